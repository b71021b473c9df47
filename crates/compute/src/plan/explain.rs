//! A plan as a tree for people.
//!
//! A node that is used more than once is written out where it is met first
//! and named by its number elsewhere.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::func::Arg;
use super::node::{Node, NodeRef, Op, Schema};
use super::{Output, Plan};
use crate::program::Program;
use crate::repr::tuple;

/// Lines after which a tree is cut off.
const MAX_LINES: usize = 400;

/// The tree, as `explain()` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uses: HashMap<*const Node, usize> = HashMap::new();
        for node in self.nodes() {
            for input in node.inputs() {
                *uses.entry(Arc::as_ptr(input)).or_default() += 1;
            }
        }
        for output in self.outputs() {
            *uses.entry(Arc::as_ptr(output.node())).or_default() += 1;
        }
        let mut tree = Tree {
            uses,
            numbers: HashMap::new(),
            text: String::new(),
            lines: 0,
        };
        for output in self.outputs() {
            tree.output(output)?;
        }
        f.write_str(&tree.text)
    }
}

struct Tree {
    uses: HashMap<*const Node, usize>,
    numbers: HashMap<*const Node, usize>,
    text: String,
    lines: usize,
}

impl Tree {
    fn output(&mut self, output: &Output) -> fmt::Result {
        let schema = output.schema();
        let dims: Vec<String> = schema
            .dims
            .iter()
            .zip(&*schema.shape)
            .map(|(dim, len)| format!("{dim}: {len}"))
            .collect();
        writeln!(
            self.text,
            "{}: {} ({}), {} of {}",
            output.name(),
            schema.dtype,
            dims.join(", "),
            match output.chunks().n_chunks() {
                1 => "1 chunk".to_owned(),
                n => format!("{n} chunks"),
            },
            output.chunks()
        )?;
        // Depth first by hand: a chain can be longer than a stack is deep.
        let mut waiting = vec![(Arc::clone(output.node()), String::new(), true)];
        while let Some((node, indent, last)) = waiting.pop() {
            if self.lines >= MAX_LINES {
                writeln!(self.text, "{indent}.. and more")?;
                break;
            }
            self.lines += 1;
            let branch = if last { "└─ " } else { "├─ " };
            let below = format!("{indent}{}", if last { "   " } else { "│  " });
            let known = self.numbers.get(&Arc::as_ptr(&node)).copied();
            if let Some(number) = known {
                writeln!(self.text, "{indent}{branch}#{number} again")?;
                continue;
            }
            let mut label = describe(&node);
            if self
                .uses
                .get(&Arc::as_ptr(&node))
                .is_some_and(|&uses| uses > 1)
            {
                let number = self.numbers.len() + 1;
                self.numbers.insert(Arc::as_ptr(&node), number);
                label = format!("#{number} {label}");
            }
            writeln!(self.text, "{indent}{branch}{label}")?;
            if let Op::Fused(program) = node.op() {
                let rail = if node.inputs().is_empty() {
                    "   "
                } else {
                    "│  "
                };
                for line in program_lines(program) {
                    writeln!(self.text, "{below}{rail}{line}")?;
                }
            }
            let inputs = node.inputs();
            for (i, input) in inputs.iter().enumerate().rev() {
                waiting.push((Arc::clone(input), below.clone(), i + 1 == inputs.len()));
            }
        }
        Ok(())
    }
}

/// One line on what a node does.
pub(crate) fn describe(node: &NodeRef) -> String {
    let schema = node.schema();
    let dtype = schema.dtype;
    match node.op() {
        Op::Source(source) => {
            format!(
                "source {} {dtype} {}",
                source.describe(),
                tuple(&schema.shape)
            )
        }
        Op::Memory(_) => format!("memory {dtype} {}", tuple(&schema.shape)),
        Op::Full(value) => format!("{value} everywhere -> {dtype}"),
        Op::Slice(index) => {
            let input = node.inputs()[0].schema();
            let parts: Vec<String> = index
                .iter()
                .zip(input.dims.iter().zip(&*input.shape))
                .filter(|(index, (_, len))| !index.is_whole(**len))
                .map(|(index, (dim, _))| format!("{dim}={index}"))
                .collect();
            format!("slice {}", parts.join(", "))
        }
        Op::Broadcast(_) => format!("broadcast to ({})", schema.dims.join(", ")),
        Op::Rechunk => format!("rechunk to {}", schema.chunks),
        Op::Elementwise { func, args } => {
            let constants: Vec<String> = args
                .iter()
                .filter_map(|arg| match arg {
                    Arg::Const(value) => Some(value.to_string()),
                    Arg::Value(_) => None,
                })
                .collect();
            match constants.is_empty() {
                true => format!("{func} -> {dtype}"),
                false => format!("{func} with {} -> {dtype}", constants.join(", ")),
            }
        }
        Op::Fused(program) => format!(
            "one pass of {} functions over {} inputs",
            program.steps().len(),
            program.inputs().len()
        ),
        Op::Pick(output) => format!("output {output} -> {dtype}"),
        Op::Regional(regional) => {
            let inputs: Vec<&Schema> = node.inputs().iter().map(|input| input.schema()).collect();
            format!("{} -> {dtype}", regional.describe(&inputs))
        }
        Op::Materialize => format!("made once, in chunks of {}", schema.chunks),
    }
}

/// The steps of a program, one a line: `t0 = in0 & 0x8 == 0x0`.
pub(crate) fn program_lines(program: &Program) -> Vec<String> {
    let n_inputs = program.inputs().len();
    let name = |value: usize| match value.checked_sub(n_inputs) {
        None => format!("in{value}"),
        Some(step) => format!("t{step}"),
    };
    let mut lines: Vec<String> = program
        .steps()
        .iter()
        .enumerate()
        .map(|(i, step)| {
            let operands: Vec<String> = step
                .args
                .iter()
                .map(|arg| match arg {
                    Arg::Value(value) => name(*value as usize),
                    Arg::Const(value) => value.to_string(),
                })
                .collect();
            format!("t{i} = {}", step.func.text(&operands))
        })
        .collect();
    let outputs: Vec<String> = program
        .outputs()
        .iter()
        .map(|&value| name(value as usize))
        .collect();
    lines.push(format!("-> {}", outputs.join(", ")));
    lines
}
