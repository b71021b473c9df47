//! Which kernel does which steps of a program.
//!
//! Steps that belong together become one kernel: what lies between them stays
//! in registers of the machine.

use datacube_model::DType;

use super::Program;
use super::kernel::{self, Kernel, Pair, Simd};
use crate::error::{Error, Result};
use crate::plan::{Arg, Binary, Func};
use crate::value::Const;

/// A step before it has registers.
#[derive(Debug)]
pub(super) struct Draft {
    /// The value that it makes.
    pub(super) value: u32,
    /// Nothing but a copy, if `None`.
    pub(super) kernel: Option<Kernel>,
    pub(super) args: Vec<Arg>,
    pub(super) params: [u64; 2],
}

/// Kernel, operands and parameters of a step.
type Choice = (Option<Kernel>, Vec<Arg>, [u64; 2]);

/// Chooses kernels; steps that another one takes in are left out.
pub(super) fn select(program: &Program, simd: Simd) -> Result<Vec<Draft>> {
    let mut selection = Selection::new(program, simd);
    let n_inputs = program.inputs().len();
    let mut drafts = Vec::with_capacity(program.steps().len());
    for number in (0..program.steps().len()).rev() {
        if selection.taken[number] {
            continue;
        }
        let value = u32::try_from(n_inputs + number)
            .map_err(|_| Error::Bug("a program of 4294967296 values".to_owned()))?;
        let (kernel, args, params) = selection.choose(number)?;
        drafts.push(Draft {
            value,
            kernel,
            args,
            params,
        });
    }
    drafts.reverse();
    Ok(drafts)
}

struct Selection<'a> {
    program: &'a Program,
    simd: Simd,
    /// How often each step is read, outputs included.
    uses: Vec<usize>,
    /// Steps that are done by the kernel of a later one.
    taken: Vec<bool>,
}

impl<'a> Selection<'a> {
    fn new(program: &'a Program, simd: Simd) -> Self {
        let steps = program.steps();
        let mut selection = Selection {
            program,
            simd,
            uses: vec![0; steps.len()],
            taken: vec![false; steps.len()],
        };
        let args = steps.iter().flat_map(|step| step.args.iter().copied());
        // An output is never taken in: it counts as read by many.
        let outputs = program.outputs().iter();
        let outputs = outputs.map(|&value| (Arg::Value(value), usize::MAX / 2));
        for (arg, times) in args.map(|arg| (arg, 1)).chain(outputs) {
            if let Some(step) = selection.step_of(arg) {
                selection.uses[step] = selection.uses[step].saturating_add(times);
            }
        }
        selection
    }

    fn choose(&mut self, number: usize) -> Result<Choice> {
        if let Some(choice) = self.masked(number) {
            return Ok(choice);
        }
        if let Some(choice) = self.normalised_difference(number) {
            return Ok(choice);
        }
        if let Some(choice) = self.joined(number) {
            return Ok(choice);
        }
        self.plain(number)
    }

    fn step_of(&self, arg: Arg) -> Option<usize> {
        match arg {
            Arg::Value(value) => (value as usize).checked_sub(self.program.inputs().len()),
            Arg::Const(_) => None,
        }
    }

    /// The step that makes `arg`, if nothing reads it but the `readings` of
    /// whoever asks, whose kernel can then do it.
    fn own(&self, arg: Arg, readings: usize) -> Option<usize> {
        self.step_of(arg)
            .filter(|&step| self.uses[step] == readings && !self.taken[step])
    }

    /// Where `arg` is a conversion that can be taken in: the step, and what it
    /// converts.
    fn own_cast(&self, arg: Arg) -> Option<(usize, Arg)> {
        let cast = self.own(arg, 1)?;
        let step = &self.program.steps()[cast];
        let inner = step.args[0];
        let converts = matches!(step.func, Func::Cast(_)) && matches!(inner, Arg::Value(_));
        converts.then_some((cast, inner))
    }

    /// `where(condition, x, constant)`, with the conversion of `x`.
    fn masked(&mut self, number: usize) -> Option<Choice> {
        let (condition, x, other) = self.mask(number)?;
        let to = self.program.steps()[number].dtype;
        let params = [other.bits(), 0];
        if let Some((cast, inner)) = self.own_cast(x)
            && let Some(kernel) = kernel::masked(self.program.arg_dtype(inner), to, self.simd)
        {
            self.taken[cast] = true;
            return Some((Some(kernel), vec![condition, inner], params));
        }
        let kernel = kernel::masked(to, to, self.simd)?;
        Some((Some(kernel), vec![condition, x], params))
    }

    /// Condition, pixels and the constant elsewhere of a step that masks.
    fn mask(&self, number: usize) -> Option<(Arg, Arg, Const)> {
        let step = &self.program.steps()[number];
        match (step.func, step.args.as_slice()) {
            (Func::Where, &[condition, x @ Arg::Value(_), Arg::Const(other)]) => {
                Some((condition, x, other))
            }
            _ => None,
        }
    }

    /// `(a - b) / (a + b)` of two bands that are converted for it, or masked
    /// alike: most spectral indices.
    fn normalised_difference(&mut self, number: usize) -> Option<Choice> {
        let steps = self.program.steps();
        let two = |number: usize, op: Binary| match (steps[number].func, &steps[number].args[..]) {
            (Func::Binary(found), &[a, b]) if found == op => Some((a, b)),
            _ => None,
        };
        let (difference, sum) = two(number, Binary::Div)?;
        let (difference, sum) = (self.own(difference, 1)?, self.own(sum, 1)?);
        let (a, b) = two(difference, Binary::Sub)?;
        let added = two(sum, Binary::Add)?;
        if a == b || (added != (a, b) && added != (b, a)) {
            return None;
        }
        let bands = [self.own(a, 2)?, self.own(b, 2)?];
        let to = steps[number].dtype;
        let dtype = |arg: Arg| self.program.arg_dtype(arg);
        let mut taken = vec![difference, sum, bands[0], bands[1]];
        let (kernel, args, params) = match bands.map(|band| self.mask(band)) {
            [Some((condition, a, other)), Some((same, b, too))]
                if condition == same && other == too =>
            {
                let (mut a, mut b) = (a, b);
                if let (Some((cast_a, inner_a)), Some((cast_b, inner_b))) =
                    (self.own_cast(a), self.own_cast(b))
                    && dtype(inner_a) == dtype(inner_b)
                    && kernel::difference(dtype(inner_a), to, true, self.simd).is_some()
                {
                    taken.extend([cast_a, cast_b]);
                    (a, b) = (inner_a, inner_b);
                }
                let kernel = kernel::difference(dtype(a), to, true, self.simd)?;
                (kernel, vec![condition, a, b], [other.bits(), 0])
            }
            _ => {
                let converted = bands.map(|band| match (steps[band].func, &steps[band].args[..]) {
                    (Func::Cast(_), &[inner @ Arg::Value(_)]) => Some(inner),
                    _ => None,
                });
                let [Some(a), Some(b)] = converted else {
                    return None;
                };
                if dtype(a) != dtype(b) {
                    return None;
                }
                let kernel = kernel::difference(dtype(a), to, false, self.simd)?;
                (kernel, vec![a, b], [0, 0])
            }
        };
        for step in taken {
            self.taken[step] = true;
        }
        Some((Some(kernel), args, params))
    }

    /// Two or three operations of floats that hang together.
    fn joined(&mut self, number: usize) -> Option<Choice> {
        let steps = self.program.steps();
        let step = &steps[number];
        let (op, dtype) = arithmetic(step.func, step.dtype)?;
        let inner = |arg: Arg| {
            let other = self.own(arg, 1)?;
            let (op, inner_dtype) = arithmetic(steps[other].func, steps[other].dtype)?;
            (inner_dtype == dtype).then_some((other, op))
        };
        let args = |step: usize| steps[step].args.as_slice();
        let (pair, args, taken) = match (inner(step.args[0]), inner(step.args[1])) {
            (Some((a, left)), Some((b, right))) => (
                Pair::Tree(left, op, right),
                [args(a), args(b)].concat(),
                vec![a, b],
            ),
            (Some((a, left)), None) => (
                Pair::Left(left, op),
                [args(a), &step.args[1..]].concat(),
                vec![a],
            ),
            (None, Some((b, right))) => (
                Pair::Right(op, right),
                [&step.args[..1], args(b)].concat(),
                vec![b],
            ),
            (None, None) => return None,
        };
        let kernel = kernel::joined(pair, dtype, self.simd)?;
        for step in taken {
            self.taken[step] = true;
        }
        Some((Some(kernel), args, [0, 0]))
    }

    fn plain(&self, number: usize) -> Result<Choice> {
        let step = &self.program.steps()[number];
        let args = step.args.iter();
        let dtypes: Vec<DType> = args.map(|&arg| self.program.arg_dtype(arg)).collect();
        let mut params = [0, 0];
        if let Func::MaskTest { mask, value } = step.func {
            match kernel::narrow_mask(mask, value, dtypes[0]) {
                Some((mask, value)) => params = [mask, value],
                // No pixel can match: a copy of false.
                None => return Ok((None, vec![Arg::Const(Const::new(false))], params)),
            }
        }
        let kernel = kernel::plain(step.func, &dtypes, self.simd)
            .ok_or_else(|| Error::Bug(format!("no kernel for {} of {dtypes:?}", step.func)))?;
        Ok((Some(kernel), step.args.clone(), params))
    }
}

/// The arithmetic that can be joined with its neighbours.
fn arithmetic(func: Func, dtype: DType) -> Option<(Binary, DType)> {
    match func {
        Func::Binary(op @ (Binary::Add | Binary::Sub | Binary::Mul | Binary::Div))
            if matches!(dtype, DType::Float32 | DType::Float64) =>
        {
            Some((op, dtype))
        }
        _ => None,
    }
}
