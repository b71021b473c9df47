//! Programs: several elementwise functions in one pass over a chunk.
//!
//! A [`Program`] is data: a list of steps, each a function of inputs, earlier
//! steps and constants. To run it is compiled once to kernels (`select`) and
//! registers (`compile`) and interpreted over blocks of pixels, so that
//! what one step leaves is still in the first-level cache when the next one
//! reads it, and no intermediate ever has the size of a chunk.

mod compile;
pub(crate) mod element;
mod kernel;
pub(crate) mod layout;
pub(crate) mod naive;
mod select;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use datacube_model::DType;
use serde::{Deserialize, Serialize};

pub(crate) use compile::{Compiled, Port};
pub(crate) use kernel::Simd;

use crate::error::{Error, Result};
use crate::plan::{Arg, Func};
use crate::value::Const;

/// Elementwise functions that run together.
///
/// Values are numbered: the inputs first, then the steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    inputs: Vec<DType>,
    steps: Vec<Step>,
    outputs: Vec<u32>,
}

/// One function of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// The function.
    pub func: Func,
    /// Its operands.
    pub args: Vec<Arg>,
    /// Type of its result.
    pub dtype: DType,
}

impl Program {
    /// Types of the inputs.
    pub fn inputs(&self) -> &[DType] {
        &self.inputs
    }

    /// The functions, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The values that come out.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// Type of a value.
    pub(crate) fn dtype(&self, value: u32) -> DType {
        let value = value as usize;
        match value.checked_sub(self.inputs.len()) {
            None => self.inputs[value],
            Some(step) => self.steps[step].dtype,
        }
    }

    /// Type of output `number`.
    pub(crate) fn output_dtype(&self, number: usize) -> DType {
        self.dtype(self.outputs[number])
    }

    /// Type of an operand.
    pub(crate) fn arg_dtype(&self, arg: Arg) -> DType {
        match arg {
            Arg::Value(value) => self.dtype(value),
            Arg::Const(value) => value.dtype(),
        }
    }

    /// The same program, known to be sound: for what comes off a wire.
    pub(crate) fn checked(self) -> Result<Program> {
        let wrong = |what: String| Err(Error::Wire(format!("program: {what}")));
        if self.outputs.is_empty() || self.inputs.iter().any(|dtype| dtype.is_complex()) {
            return wrong("no outputs, or complex inputs".to_owned());
        }
        for (i, step) in self.steps.iter().enumerate() {
            let known = self.inputs.len() + i;
            let mut dtypes = Vec::with_capacity(step.args.len());
            for arg in &step.args {
                match *arg {
                    Arg::Value(value) if value as usize >= known => {
                        return wrong(format!("step {i} reads value {value}"));
                    }
                    Arg::Const(value) if !value.is_valid() => {
                        return wrong(format!("step {i} has a constant that is none"));
                    }
                    arg => dtypes.push(self.arg_dtype(arg)),
                }
            }
            if step.func.result(&dtypes) != Some(step.dtype) {
                return wrong(format!("step {i}: {} of {dtypes:?}", step.func));
            }
        }
        let known = self.inputs.len() + self.steps.len();
        match self.outputs.iter().find(|&&value| value as usize >= known) {
            Some(value) => wrong(format!("output {value}")),
            None => Ok(self),
        }
    }
}

/// Puts a program together; equal steps become one.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    inputs: Vec<DType>,
    steps: Vec<Step>,
    known: HashMap<(Func, Vec<Arg>), u32>,
}

impl Builder {
    /// For these inputs; all of them have to be stated before the first step.
    pub(crate) fn new(inputs: Vec<DType>) -> Builder {
        Builder {
            inputs,
            ..Builder::default()
        }
    }

    /// The value of `func` of `args`.
    pub(crate) fn step(&mut self, func: Func, args: Vec<Arg>) -> Result<Arg> {
        let dtypes: Vec<DType> = args.iter().map(|&arg| self.dtype(arg)).collect();
        let dtype = func
            .result(&dtypes)
            .ok_or_else(|| Error::Bug(format!("{func} of {dtypes:?} in a program")))?;
        if let Some(&value) = self.known.get(&(func, args.clone())) {
            return Ok(Arg::Value(value));
        }
        let value = u32::try_from(self.inputs.len() + self.steps.len())
            .map_err(|_| Error::Bug("a program of 4294967296 steps".to_owned()))?;
        self.known.insert((func, args.clone()), value);
        self.steps.push(Step { func, args, dtype });
        Ok(Arg::Value(value))
    }

    /// Type of a value.
    pub(crate) fn dtype(&self, arg: Arg) -> DType {
        match arg {
            Arg::Const(value) => value.dtype(),
            Arg::Value(value) => {
                let value = value as usize;
                match value.checked_sub(self.inputs.len()) {
                    None => self.inputs[value],
                    Some(step) => self.steps[step].dtype,
                }
            }
        }
    }

    /// The program of these outputs; what they do not need is left out.
    pub(crate) fn finish(mut self, outputs: &[Arg]) -> Result<Program> {
        let mut values = Vec::with_capacity(outputs.len());
        for &output in outputs {
            values.push(match output {
                Arg::Value(value) => value,
                // A constant output still has to be written to every pixel.
                Arg::Const(value) => match self.constant(value)? {
                    Arg::Value(value) => value,
                    Arg::Const(_) => return Err(Error::Bug("a constant output".to_owned())),
                },
            });
        }
        Ok(prune(Program {
            inputs: self.inputs,
            steps: self.steps,
            outputs: values,
        }))
    }

    /// A step that gives `value`: either of its two choices is it.
    fn constant(&mut self, value: Const) -> Result<Arg> {
        let condition = Const::new(true);
        self.step(
            Func::Where,
            vec![Arg::Const(condition), Arg::Const(value), Arg::Const(value)],
        )
    }
}

/// Leaves out steps that no output needs; inputs keep their numbers.
fn prune(program: Program) -> Program {
    let n_inputs = program.inputs.len();
    let mut needed = vec![false; program.steps.len()];
    let step_of = |value: u32| (value as usize).checked_sub(n_inputs);
    for &output in &program.outputs {
        if let Some(step) = step_of(output) {
            needed[step] = true;
        }
    }
    for step in (0..program.steps.len()).rev() {
        if needed[step] {
            for arg in &program.steps[step].args {
                if let Arg::Value(value) = arg
                    && let Some(step) = step_of(*value)
                {
                    needed[step] = true;
                }
            }
        }
    }
    if needed.iter().all(|&needed| needed) {
        return program;
    }
    let mut numbers: Vec<u32> = Vec::with_capacity(needed.len());
    let mut next = n_inputs;
    for &needed in &needed {
        numbers.push(u32::try_from(next).unwrap_or(u32::MAX));
        next += usize::from(needed);
    }
    let renumber = |value: u32| step_of(value).map_or(value, |step| numbers[step]);
    let steps = program
        .steps
        .into_iter()
        .zip(&needed)
        .filter(|(_, needed)| **needed)
        .map(|(mut step, _)| {
            for arg in &mut step.args {
                if let Arg::Value(value) = arg {
                    *value = renumber(*value);
                }
            }
            step
        })
        .collect();
    let outputs = program
        .outputs
        .iter()
        .map(|&value| renumber(value))
        .collect();
    Program {
        inputs: program.inputs,
        steps,
        outputs,
    }
}

impl Program {
    /// Which inputs matter.
    pub(crate) fn used_inputs(&self) -> Vec<bool> {
        let mut used = vec![false; self.inputs.len()];
        let args = self.steps.iter().flat_map(|step| step.args.iter());
        let values = args.filter_map(|arg| match arg {
            Arg::Value(value) => Some(*value),
            Arg::Const(_) => None,
        });
        for value in values.chain(self.outputs.iter().copied()) {
            if let Some(used) = used.get_mut(value as usize) {
                *used = true;
            }
        }
        used
    }

    /// The program without the inputs that are not `kept`, which nothing reads.
    pub(crate) fn with_inputs(&self, kept: &[bool]) -> Program {
        let mut numbers = Vec::with_capacity(kept.len());
        let mut next = 0u32;
        for &kept in kept {
            numbers.push(next);
            next += u32::from(kept);
        }
        let gone = u32::try_from(kept.len()).unwrap_or(u32::MAX) - next;
        let renumber = |value: u32| {
            numbers
                .get(value as usize)
                .copied()
                .unwrap_or_else(|| value - gone)
        };
        let inputs = self.inputs.iter().zip(kept).filter(|(_, kept)| **kept);
        let steps = self.steps.iter().map(|step| {
            let args = step.args.iter().map(|arg| match *arg {
                Arg::Value(value) => Arg::Value(renumber(value)),
                constant => constant,
            });
            Step {
                func: step.func,
                args: args.collect(),
                dtype: step.dtype,
            }
        });
        Program {
            inputs: inputs.map(|(dtype, _)| *dtype).collect(),
            steps: steps.collect(),
            outputs: self.outputs.iter().map(|&value| renumber(value)).collect(),
        }
    }
}
