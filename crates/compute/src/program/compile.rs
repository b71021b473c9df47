//! From a program to kernels and registers, and running them block by block.
//!
//! Values live in registers of one block that are reused as soon as their last
//! reader is done, and an output is computed where it will stay if its pixels
//! lie one after the other there.

use super::Program;
use super::kernel::{Call, Kernel, MAX_ARGS, Simd};
use super::layout::Layout;
use super::naive::NEGATIVE_POWER;
use super::select::{Draft, select};
use crate::buffer::{ALIGNMENT, Buffer};
use crate::error::Result;
use crate::plan::Arg;
use crate::value::Const;

/// Pixels of a block at most, where some are moved to or from registers: a few
/// registers of them stay in the first-level cache.
pub(super) const BLOCK: usize = 2048;

/// Pixels of a block where inputs and outputs are used in place: so few that the
/// memory is never waited for between two blocks.
///
/// It is asked for the next blocks while this one is computed. With blocks of
/// 2048 pixels a masked NDVI ran at the sum of both times, with these at little
/// more than the longer of them.
const STRIP: usize = 256;

/// How far ahead of a strip its inputs are fetched, in bytes.
const AHEAD: usize = 2048;

/// Where an input's or output's pixels are.
#[derive(Debug)]
pub(crate) struct Port<'a> {
    /// The buffer.
    pub(crate) ptr: *mut u8,
    /// The region's pixels in it.
    pub(crate) layout: &'a Layout,
}

/// A program ready to run.
#[derive(Debug)]
pub(crate) struct Compiled {
    places: Vec<Place>,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    constants: Vec<(Const, usize)>,
    ops: Vec<Op>,
    scratch_bytes: usize,
}

/// Memory of one block in the scratch buffer.
#[derive(Debug)]
struct Place {
    offset: usize,
}

/// An input or output, and the place for its blocks if they have to be moved.
#[derive(Debug)]
struct Slot {
    place: usize,
    size: usize,
}

#[derive(Debug)]
struct Op {
    kernel: Option<Kernel>,
    args: [usize; MAX_ARGS],
    out: usize,
    params: [u64; 2],
    /// Bytes of a pixel of the result.
    size: usize,
}

impl Compiled {
    /// `program` for this machine.
    pub(crate) fn new(program: &Program, simd: Simd) -> Result<Compiled> {
        let drafts = select(program, simd)?;
        Ok(allocate(program, &drafts))
    }

    /// Bytes that [`Compiled::run`] needs besides inputs and outputs.
    pub(crate) fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    /// Runs the program over all pixels of the outputs.
    ///
    /// # Errors
    /// Values were met that have no result.
    ///
    /// # Safety
    /// There has to be a port for each input and output of the program, all of
    /// one length; inputs valid for reading and outputs for writing of pixels
    /// of the program's types as their layouts say, and outputs not overlapping
    /// each other or an input. `scratch` has to have [`Compiled::scratch_bytes`].
    pub(crate) unsafe fn run(
        &self,
        inputs: &[Port<'_>],
        outputs: &[Port<'_>],
        scratch: &mut Buffer,
    ) -> Result<(), &'static str> {
        let n = outputs.first().map_or(0, |output| output.layout.len());
        let base = scratch.as_mut_ptr();
        // SAFETY: every place lies within the scratch buffer.
        let mut at: Vec<*mut u8> = self
            .places
            .iter()
            .map(|place| unsafe { base.add(place.offset) })
            .collect();
        for (value, place) in &self.constants {
            // SAFETY: a place has room for a block of any type.
            unsafe { fill(*value, at[*place]) };
        }
        let in_place = |port: &Port<'_>| port.layout.start_if_contiguous().is_some();
        let block = match inputs.iter().chain(outputs).all(in_place) {
            true => STRIP,
            false => BLOCK,
        };
        let mut start = 0;
        while start < n {
            let count = block.min(n - start);
            for (slot, port) in self.inputs.iter().zip(inputs) {
                match port.layout.start_if_contiguous() {
                    Some(first) => {
                        let offset = (first + start.cast_signed()) * slot.size.cast_signed();
                        at[slot.place] = port.ptr.wrapping_offset(offset);
                        prefetch(at[slot.place].wrapping_add(AHEAD), count * slot.size);
                    }
                    // SAFETY: the caller vouches for the port; the place has
                    // room for a block.
                    None => unsafe {
                        port.layout
                            .gather(port.ptr, start, count, slot.size, at[slot.place]);
                    },
                }
            }
            for (slot, port) in self.outputs.iter().zip(outputs) {
                if let Some(first) = port.layout.start_if_contiguous() {
                    let offset = (first + start.cast_signed()) * slot.size.cast_signed();
                    at[slot.place] = port.ptr.wrapping_offset(offset);
                }
            }
            for op in &self.ops {
                let (out, from) = (at[op.out], op.args.map(|arg| at[arg].cast_const()));
                // SAFETY: each place has room for a block of its type or is part
                // of a port; registers that are read are not written (they are
                // given free only after their last reader).
                let fine = unsafe {
                    match op.kernel {
                        Some(kernel) => kernel(&Call {
                            n: count,
                            out,
                            args: from,
                            params: op.params,
                        }),
                        None => {
                            std::ptr::copy_nonoverlapping(from[0], out, count * op.size);
                            true
                        }
                    }
                };
                if !fine {
                    return Err(NEGATIVE_POWER);
                }
            }
            for (slot, port) in self.outputs.iter().zip(outputs) {
                if port.layout.start_if_contiguous().is_none() {
                    // SAFETY: the caller vouches for the port.
                    unsafe {
                        port.layout
                            .scatter(at[slot.place], start, count, slot.size, port.ptr)
                    };
                }
            }
            start += count;
        }
        Ok(())
    }
}

/// Asks for `bytes` from `ptr` on, without waiting for them; they need not be
/// anybody's.
#[inline(always)]
fn prefetch(ptr: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (ptr, bytes);
}

/// Writes a block of `value`.
///
/// # Safety
/// `to` has to have room for a block of pixels of its type.
unsafe fn fill(value: Const, to: *mut u8) {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the bits of a type of that size"
    )]
    // SAFETY: places are aligned to `ALIGNMENT` and have room for a block.
    unsafe {
        match value.dtype().size() {
            1 => to.write_bytes(value.bits() as u8, BLOCK),
            2 => std::slice::from_raw_parts_mut(to.cast::<u16>(), BLOCK).fill(value.bits() as u16),
            4 => std::slice::from_raw_parts_mut(to.cast::<u32>(), BLOCK).fill(value.bits() as u32),
            _ => std::slice::from_raw_parts_mut(to.cast::<u64>(), BLOCK).fill(value.bits()),
        }
    }
}

/// Gives every value a place: inputs and outputs their own, the rest registers
/// that are free again after their last reader.
fn allocate(program: &Program, drafts: &[Draft]) -> Compiled {
    let n_inputs = program.inputs().len();
    let mut places: Vec<Place> = Vec::new();
    let mut scratch_bytes = 0;
    let mut new_place = |size: usize| {
        places.push(Place {
            offset: scratch_bytes,
        });
        scratch_bytes += (size * BLOCK).next_multiple_of(ALIGNMENT);
        places.len() - 1
    };
    let inputs: Vec<Slot> = program
        .inputs()
        .iter()
        .map(|dtype| Slot {
            place: new_place(dtype.size()),
            size: dtype.size(),
        })
        .collect();
    let outputs: Vec<Slot> = (0..program.outputs().len())
        .map(|number| program.output_dtype(number).size())
        .map(|size| Slot {
            place: new_place(size),
            size,
        })
        .collect();

    let n_values = n_inputs + program.steps().len();
    let mut home: Vec<Option<usize>> = vec![None; n_values];
    for (value, slot) in inputs.iter().enumerate() {
        home[value] = Some(slot.place);
    }
    // The first output of a value is where it is computed.
    let mut copies = Vec::new();
    for (&value, slot) in program.outputs().iter().zip(&outputs) {
        match home[value as usize] {
            None => home[value as usize] = Some(slot.place),
            Some(_) => copies.push((value, slot)),
        }
    }
    let fixed = home.clone();
    let mut last_reader = vec![0usize; n_values];
    for (number, draft) in drafts.iter().enumerate() {
        for arg in &draft.args {
            if let Arg::Value(value) = arg {
                last_reader[*value as usize] = number;
            }
        }
    }
    let mut free: Vec<(usize, usize)> = Vec::new();
    let mut constants: Vec<(Const, usize)> = Vec::new();
    let mut ops = Vec::with_capacity(drafts.len() + copies.len());
    for (number, draft) in drafts.iter().enumerate() {
        let size = program.dtype(draft.value).size();
        let out = match home[draft.value as usize] {
            Some(place) => place,
            None => {
                let reused = free.iter().rposition(|(free_size, _)| *free_size == size);
                let place = match reused {
                    Some(at) => free.swap_remove(at).1,
                    None => new_place(size),
                };
                home[draft.value as usize] = Some(place);
                place
            }
        };
        let mut args = [out; MAX_ARGS];
        for (slot, arg) in args.iter_mut().zip(&draft.args) {
            *slot = match *arg {
                Arg::Value(value) => {
                    home[value as usize].expect("values are made before they are read")
                }
                Arg::Const(value) => match constants.iter().find(|(known, _)| *known == value) {
                    Some((_, place)) => *place,
                    None => {
                        let place = new_place(value.dtype().size());
                        constants.push((value, place));
                        place
                    }
                },
            };
        }
        ops.push(Op {
            kernel: draft.kernel,
            args,
            out,
            params: draft.params,
            size,
        });
        let mut released: Vec<u32> = Vec::new();
        for arg in &draft.args {
            if let Arg::Value(value) = *arg
                && last_reader[value as usize] == number
                && fixed[value as usize].is_none()
                && !released.contains(&value)
                && let Some(place) = home[value as usize]
            {
                released.push(value);
                free.push((program.dtype(value).size(), place));
            }
        }
    }
    for (value, slot) in copies {
        let from = home[value as usize].expect("every value was made");
        let args = [from; MAX_ARGS];
        ops.push(Op {
            kernel: None,
            args,
            out: slot.place,
            params: [0, 0],
            size: slot.size,
        });
    }
    Compiled {
        places,
        inputs,
        outputs,
        constants,
        ops,
        scratch_bytes: scratch_bytes.max(1),
    }
}
