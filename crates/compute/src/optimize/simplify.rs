//! Simplification: fewer functions, the same bits.
//!
//! Functions of constants are worked out, conversions that follow each other
//! become one, a choice whose condition is known is made, and a comparison of
//! masked bits becomes one test. What is the same becomes one node on the way
//! (see `share`), because that lets more be seen.

use std::sync::Arc;

use datacube_model::DType;

use super::rewrite::rewrite;
use super::share::Known;
use crate::error::{Error, Result};
use crate::plan::{Arg, Binary, Func, Node, NodeRef, Op, Plan};
use crate::program::naive;
use crate::value::Const;

/// The plan with as few functions as give the same bits.
///
/// # Errors
/// Constants that have no result, such as `2 ** -1` in integers.
pub fn simplify(plan: &Plan) -> Result<Plan> {
    let mut known = Known::default();
    rewrite(plan, |node, inputs| {
        let node = match node.op() {
            Op::Elementwise { func, args } => {
                let operands: Vec<Operand> = args
                    .iter()
                    .map(|arg| match *arg {
                        Arg::Const(value) => Operand::Const(value),
                        Arg::Value(input) => Operand::of(&inputs[input as usize]),
                    })
                    .collect();
                simplified(*func, &operands, node)?
            }
            _ => super::rewrite::with_inputs(node, inputs)?,
        };
        Ok(known.one(node))
    })
}

/// An operand: a node, or a constant where the node is the same everywhere.
#[derive(Clone)]
enum Operand {
    Node(NodeRef),
    Const(Const),
}

impl Operand {
    fn of(node: &NodeRef) -> Operand {
        match node.op() {
            Op::Full(value) => Operand::Const(*value),
            _ => Operand::Node(Arc::clone(node)),
        }
    }

    /// The function and operands of a node that is one.
    fn step(&self) -> Option<(Func, Vec<Operand>)> {
        let Operand::Node(node) = self else {
            return None;
        };
        let Op::Elementwise { func, args } = node.op() else {
            return None;
        };
        let operands = args.iter().map(|arg| match *arg {
            Arg::Const(value) => Operand::Const(value),
            Arg::Value(input) => Operand::of(&node.inputs()[input as usize]),
        });
        Some((*func, operands.collect()))
    }

    fn dtype(&self) -> DType {
        match self {
            Operand::Node(node) => node.schema().dtype,
            Operand::Const(value) => value.dtype(),
        }
    }

    fn is(&self, other: &Operand) -> bool {
        match (self, other) {
            (Operand::Node(a), Operand::Node(b)) => Arc::ptr_eq(a, b),
            (Operand::Const(a), Operand::Const(b)) => a == b,
            _ => false,
        }
    }

    /// The operand as a node on the pixels of `like`.
    fn node(&self, like: &Node) -> Result<NodeRef> {
        match self {
            Operand::Node(node) => Ok(Arc::clone(node)),
            Operand::Const(value) => Node::full(*value, like.schema()),
        }
    }
}

/// `func` of the operands, on the pixels of `node`.
fn simplified(func: Func, operands: &[Operand], node: &Node) -> Result<NodeRef> {
    let constants: Option<Vec<Const>> = operands
        .iter()
        .map(|operand| match operand {
            Operand::Const(value) => Some(*value),
            Operand::Node(_) => None,
        })
        .collect();
    if let Some(constants) = constants {
        let value = naive::fold(func, &constants)
            .ok_or_else(|| Error::Invalid(naive::NEGATIVE_POWER.to_owned()))?;
        return Node::full(value, node.schema());
    }
    match (func, operands) {
        (Func::Cast(to), [x]) if x.dtype() == to => return x.node(node),
        (Func::Cast(to), [x]) => {
            if let Some((Func::Cast(through), inner)) = x.step()
                && merges(inner[0].dtype(), through, to)
            {
                return simplified(func, &inner, node);
            }
        }
        (Func::Where, [Operand::Const(condition), yes, no]) => {
            return if condition.get::<bool>() {
                yes.node(node)
            } else {
                no.node(node)
            };
        }
        (Func::Where, [_, yes, no]) if yes.is(no) => return yes.node(node),
        (Func::Binary(Binary::Eq), [x, Operand::Const(value)] | [Operand::Const(value), x])
            if value.dtype().is_integer() =>
        {
            // `(x & mask) == value`
            if let Some((Func::Binary(Binary::And), inner)) = x.step()
                && let [x, Operand::Const(mask)] | [Operand::Const(mask), x] = inner.as_slice()
            {
                let test = Func::MaskTest {
                    mask: mask.bits(),
                    value: value.bits(),
                };
                return elementwise(test, std::slice::from_ref(x));
            }
        }
        _ => {}
    }
    elementwise(func, operands)
}

/// The node of `func` of the operands, not all of which are constants.
fn elementwise(func: Func, operands: &[Operand]) -> Result<NodeRef> {
    let mut inputs: Vec<NodeRef> = Vec::new();
    let mut args = Vec::with_capacity(operands.len());
    for operand in operands {
        let node = match operand {
            Operand::Const(value) => {
                args.push(Arg::Const(*value));
                continue;
            }
            Operand::Node(node) => node,
        };
        let known = inputs.iter().position(|input| Arc::ptr_eq(input, node));
        let number = known.unwrap_or_else(|| {
            inputs.push(Arc::clone(node));
            inputs.len() - 1
        });
        args.push(Arg::Value(u32::try_from(number).unwrap_or(u32::MAX)));
    }
    Node::elementwise(func, args, inputs)
}

/// Whether converting by way of `through` is the same as converting directly:
/// `through` holds every value of `from`, and the second conversion depends on
/// the value alone.
fn merges(from: DType, through: DType, to: DType) -> bool {
    let whole = |dtype: DType| dtype == DType::Bool || dtype.is_integer();
    let holds = match (from, through) {
        (DType::Bool, _) => true,
        (_, DType::Bool) => false,
        (from, through) => match (from.integer_range(), through.integer_range()) {
            (Some(from), Some(through)) => through.0 <= from.0 && from.1 <= through.1,
            (Some((low, high)), None) => {
                let digits = match through {
                    DType::Float16 => 11,
                    DType::Float32 => 24,
                    _ => 53,
                };
                let limit = 1i128 << digits;
                -limit <= low && high <= limit
            }
            (None, Some(_)) => false,
            (None, None) => through.size() >= from.size(),
        },
    };
    // A float becomes the nearest integer of a type, an integer wraps; half
    // precision is reached through single by some types and directly by others.
    let same_rule = whole(from) == whole(through) || !whole(to);
    holds && same_rule && to != DType::Float16
}
