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
const BLOCK: usize = 2048;

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

#[cfg(test)]
mod tests {
    use datacube_model::DType;

    use super::*;
    use crate::plan::{Binary, Func, Unary};
    use crate::program::naive::{self, Operand};
    use crate::program::{Builder, Program};

    fn value(number: u32) -> Arg {
        Arg::Value(number)
    }

    /// Runs a program over `n` pixels, compiled for each level and naively.
    fn check(program: &Program, inputs: &[Buffer], n: usize) {
        let mut values: Vec<Buffer> = Vec::new();
        for step in program.steps() {
            let operands: Vec<Operand<'_>> = step
                .args
                .iter()
                .map(|&arg| match arg {
                    Arg::Const(value) => Operand::Const(value),
                    Arg::Value(number) => {
                        let at = number as usize;
                        let buffer = match at.checked_sub(inputs.len()) {
                            None => &inputs[at],
                            Some(step) => &values[step],
                        };
                        Operand::Pixels(program.dtype(number), buffer)
                    }
                })
                .collect();
            let out = naive::apply(step.func, &operands, n).unwrap();
            values.push(out);
        }
        let layout = Layout::contiguous(n);
        for simd in [Simd::Baseline, Simd::detect()] {
            let compiled = Compiled::new(program, simd).unwrap();
            let mut outs: Vec<Buffer> = (0..program.outputs().len())
                .map(|number| Buffer::zeroed(n * program.output_dtype(number).size()).unwrap())
                .collect();
            let mut scratch = Buffer::zeroed(compiled.scratch_bytes()).unwrap();
            let ins: Vec<Port<'_>> = inputs
                .iter()
                .map(|input| Port {
                    ptr: input.as_ptr().cast_mut(),
                    layout: &layout,
                })
                .collect();
            let ports: Vec<Port<'_>> = outs
                .iter_mut()
                .map(|out| Port {
                    ptr: out.as_mut_ptr(),
                    layout: &layout,
                })
                .collect();
            // SAFETY: buffers of n pixels of the program's types.
            unsafe { compiled.run(&ins, &ports, &mut scratch).unwrap() };
            for (out, &number) in outs.iter().zip(program.outputs()) {
                let expected = match (number as usize).checked_sub(inputs.len()) {
                    None => &inputs[number as usize],
                    Some(step) => &values[step],
                };
                assert_eq!(out[..], expected[..], "{program:?}");
            }
        }
    }

    #[test]
    fn masked_ndvi_is_two_kernels() {
        use DType::{Float32, UInt16};
        let mut builder = Builder::new(vec![UInt16, UInt16, UInt16]);
        let test = Func::MaskTest {
            mask: 0b1001,
            value: 1,
        };
        let clear = builder.step(test, vec![value(2)]).unwrap();
        let nan = Arg::Const(Const::nan(Float32));
        let mut masked = |band: u32| {
            let float = builder
                .step(Func::Cast(Float32), vec![value(band)])
                .unwrap();
            builder.step(Func::Where, vec![clear, float, nan]).unwrap()
        };
        let (red, nir) = (masked(0), masked(1));
        let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
        let (difference, sum) = (op(Binary::Sub, nir, red), op(Binary::Add, nir, red));
        let ndvi = op(Binary::Div, difference, sum);
        let program = builder.finish(&[ndvi]).unwrap();
        assert_eq!(program.steps().len(), 8);
        assert_eq!(select(&program, Simd::Baseline).unwrap().len(), 2);
        let n = 3 * BLOCK + 17;
        let band = |seed: u16| {
            let pixels: Vec<u16> = (0..n)
                .map(|i| u16::try_from(i % 65521).unwrap().wrapping_mul(seed) / 7)
                .collect();
            Buffer::from_slice(&pixels).unwrap()
        };
        check(&program, &[band(3), band(11), band(29)], n);
    }

    /// Bands of 3 types, as they are, converted and masked, with what is
    /// between also read by others: the kernels differ, the pixels may not.
    #[test]
    fn normalised_differences_are_the_same_in_one_kernel_as_in_many() {
        use DType::{Bool, Float32, Float64, Int16, UInt8};
        let n = BLOCK + 29;
        let bytes: Vec<u8> = (0..n).map(|i| u8::try_from(i * 7 % 256).unwrap()).collect();
        let floats: Vec<f32> = (0..n)
            .map(|i| match i % 9 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => 0.0,
                _ => f32::from(u16::try_from(i).unwrap()) / 3.0 - 200.0,
            })
            .collect();
        let shorts: Vec<i16> = (0..n)
            .map(|i| i16::try_from(i * 31 % 60000).unwrap_or(-3))
            .collect();
        let truths: Vec<bool> = (0..n).map(|i| i % 3 != 0).collect();
        let bands = [
            (UInt8, Buffer::from_slice(&bytes), Float32, 1),
            (Int16, Buffer::from_slice(&shorts), Float32, 1),
            (Int16, Buffer::from_slice(&shorts), Float64, 1),
            (Float32, Buffer::from_slice(&floats), Float32, 1),
            // Converted by a kernel of its own: no kernel does that pair.
            (UInt8, Buffer::from_slice(&bytes), Float64, 3),
        ];
        for (from, first, to, kernels) in bands {
            let first = first.unwrap();
            let mut second = Buffer::zeroed(first.len()).unwrap();
            let size = from.size();
            for (to, from) in second.chunks_exact_mut(size).zip(first.rchunks_exact(size)) {
                to.copy_from_slice(from);
            }
            let condition = Buffer::from_slice(&truths).unwrap();
            let inputs = [first, second, condition];
            for (masked, swapped, shared, other) in [
                (false, false, false, 0.0),
                (true, false, false, f32::NAN),
                (true, true, false, -999.0),
                (true, false, true, f32::NAN),
                (false, true, true, 0.0),
            ] {
                let mut builder = Builder::new(vec![from, from, Bool]);
                let other = match to {
                    Float64 => Const::new(f64::from(other)),
                    _ => Const::new(other),
                };
                let mut band = |number: u32| {
                    let mut band = value(number);
                    if from != to {
                        band = builder.step(Func::Cast(to), vec![band]).unwrap();
                    }
                    if masked {
                        let args = vec![value(2), band, Arg::Const(other)];
                        band = builder.step(Func::Where, args).unwrap();
                    }
                    band
                };
                let (a, b) = (band(0), band(1));
                let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
                let difference = op(Binary::Sub, a, b);
                let (c, d) = if swapped { (b, a) } else { (a, b) };
                let sum = op(Binary::Add, c, d);
                let index = op(Binary::Div, difference, sum);
                let outputs = if shared {
                    vec![index, sum]
                } else {
                    vec![index]
                };
                let program = builder.finish(&outputs).unwrap();
                let found = select(&program, Simd::detect()).unwrap().len();
                if !shared {
                    assert_eq!(found, kernels, "{from} to {to}, masked {masked}");
                }
                check(&program, &inputs, n);
            }
        }
    }

    #[test]
    fn outputs_that_are_inputs_shared_or_constant() {
        use DType::Float64;
        let mut builder = Builder::new(vec![Float64]);
        let two = Arg::Const(Const::new(2.0f64));
        let double = builder
            .step(Func::Binary(Binary::Mul), vec![value(0), two])
            .unwrap();
        let root = builder
            .step(Func::Unary(Unary::Sqrt), vec![double])
            .unwrap();
        let program = builder
            .finish(&[double, value(0), root, double, two])
            .unwrap();
        let pixels: Vec<f64> = (0..5000).map(|i| f64::from(i) - 100.0).collect();
        check(
            &program,
            &[Buffer::from_slice(&pixels).unwrap()],
            pixels.len(),
        );
    }

    #[test]
    fn joined_arithmetic_rounds_as_apart() {
        use Binary::{Add, Div, Mul, Sub};
        use DType::Float32;
        let pixels = |scale: f32| {
            let pixels: Vec<f32> = (0..2500u16)
                .map(|i| (f32::from(i) - 1200.0) * scale / 3.0)
                .collect();
            Buffer::from_slice(&pixels).unwrap()
        };
        let inputs = [pixels(0.1), pixels(7.3), pixels(1e-3), pixels(33.0)];
        for first in [Add, Sub, Mul, Div] {
            for second in [Add, Sub, Mul, Div] {
                for third in [Add, Sub, Mul, Div] {
                    let mut builder = Builder::new(vec![Float32; 4]);
                    let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
                    let (a, b) = (op(first, value(0), value(1)), op(third, value(2), value(3)));
                    let tree = op(second, a, b);
                    let inner = op(second, value(0), value(3));
                    let left = op(first, inner, value(2));
                    let inner = op(third, value(0), value(2));
                    let right = op(first, value(1), inner);
                    let program = builder.finish(&[tree, left, right]).unwrap();
                    check(&program, &inputs, 2500);
                }
            }
        }
    }
}
