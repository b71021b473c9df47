//! Functions pixel by pixel, written down as nodes.

use datacube_model::DType;

use super::align::{Aligned, align, align_inner};
use super::promote::{self, Kind};
use crate::array::{DataArray, Operand};
use crate::attrs::Attrs;
use crate::error::{Error, Result};
use crate::plan::{Arg, Binary, Func, Node, NodeRef, Unary};
use crate::value::{Const, Scalar};

/// `op` of one array.
pub(crate) fn unary(op: Unary, array: &DataArray) -> DataArray {
    array.defer(|| {
        let whole = !array.dtype().is_float() && !array.dtype().is_complex();
        if whole && matches!(op, Unary::Floor | Unary::Ceil | Unary::Trunc) {
            return Ok(array.clone());
        }
        let loop_dtype = promote::unary(op, array.dtype())?;
        let node = if op.is_question() && !loop_dtype.is_float() {
            // Known without looking, and so without reading.
            Node::full(Const::new(op.of_integers()), array.node().schema())?
        } else {
            let node = convert(array.node(), loop_dtype)?;
            Node::elementwise(Func::Unary(op), vec![Arg::Value(0)], vec![node])?
        };
        let keeps_units = matches!(
            op,
            Unary::Neg | Unary::Abs | Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Rint
        );
        let attrs = Attrs::after_math(&[array.attrs()], node.schema().dtype, keeps_units);
        let attrs = if node.schema().dtype == DType::Bool {
            plain(attrs)
        } else {
            attrs
        };
        Ok(array.with_node(node, array.coords().clone(), attrs))
    })
}

/// `op` of two operands, of which one at least is an array.
pub(crate) fn binary(op: Binary, a: &Operand, b: &Operand) -> DataArray {
    match (a, b) {
        (Operand::Array(x), Operand::Array(y)) => x.defer(|| {
            y.check()?;
            let kinds = (Kind::Strong(x.dtype()), Kind::Strong(y.dtype()));
            let plan = promote::binary(op, kinds.0, kinds.1)?;
            let Aligned { nodes, coords } = align_inner(op.verb(), &[x, y])?;
            let node = match plan {
                promote::Plan::As(dtype) => {
                    let inputs = vec![convert(&nodes[0], dtype)?, convert(&nodes[1], dtype)?];
                    pair(op, inputs)?
                }
                promote::Plan::SignedUnsigned { swap } => {
                    let (signed, unsigned) = if swap { (1, 0) } else { (0, 1) };
                    let op = if swap { op.swapped() } else { op };
                    let inputs = vec![
                        convert(&nodes[signed], DType::Int64)?,
                        convert(&nodes[unsigned], DType::UInt64)?,
                    ];
                    pair(op, inputs)?
                }
                promote::Plan::Always(_) => {
                    return Err(Error::Bug("two arrays compared without looking".to_owned()));
                }
            };
            let attrs = math_attrs(op, &[x.attrs(), y.attrs()], node.schema().dtype);
            let result = x.with_node(node, coords, attrs);
            Ok(if x.name() == y.name() {
                result
            } else {
                result.without_name()
            })
        }),
        (Operand::Array(x), Operand::Scalar(s)) => x.defer(|| {
            let node = with_scalar(op, x, *s, false)?;
            let attrs = math_attrs(op, &[x.attrs()], node.schema().dtype);
            Ok(x.with_node(node, x.coords().clone(), attrs))
        }),
        (Operand::Scalar(s), Operand::Array(x)) => x.defer(|| {
            let node = with_scalar(op, x, *s, true)?;
            let attrs = math_attrs(op, &[x.attrs()], node.schema().dtype);
            Ok(x.with_node(node, x.coords().clone(), attrs))
        }),
        (Operand::Scalar(_), Operand::Scalar(_)) => {
            DataArray::failed(Error::Invalid("an operation on scalars alone".to_owned()))
        }
    }
}

fn with_scalar(op: Binary, array: &DataArray, scalar: Scalar, left: bool) -> Result<NodeRef> {
    let (strong, weak) = (Kind::Strong(array.dtype()), Kind::Weak(scalar));
    let plan = if left {
        promote::binary(op, weak, strong)
    } else {
        promote::binary(op, strong, weak)
    };
    let dtype = match plan? {
        promote::Plan::As(dtype) => dtype,
        promote::Plan::Always(truth) => {
            return Node::full(Const::new(truth), array.node().schema());
        }
        promote::Plan::SignedUnsigned { .. } => {
            return Err(Error::Bug("a scalar compared as an array".to_owned()));
        }
    };
    let value = Const::of(scalar, dtype)?;
    let node = convert(array.node(), dtype)?;
    if op == Binary::Pow && !left {
        return power(node, scalar, value);
    }
    let args = if left {
        vec![Arg::Const(value), Arg::Value(0)]
    } else {
        vec![Arg::Value(0), Arg::Const(value)]
    };
    Node::elementwise(Func::Binary(op), args, vec![node])
}

/// `x ** constant`, with the short ways that numpy takes too (they differ from
/// the general function in the last bit, and for -0 and -inf).
fn power(node: NodeRef, scalar: Scalar, value: Const) -> Result<NodeRef> {
    let float = node.schema().dtype.is_float();
    #[allow(clippy::cast_precision_loss, reason = "compared with small numbers")]
    let exponent = match scalar {
        Scalar::Bool(value) => f64::from(u8::from(value)),
        Scalar::Int(value) => value as f64,
        Scalar::Float(value) => value,
    };
    if !float && exponent < 0.0 {
        return Err(Error::DType {
            operation: format!("`** {scalar}`"),
            dtypes: vec![node.schema().dtype],
            reason:
                "a negative power of an integer is no integer; convert with `astype(Float64)` first"
                    .to_owned(),
        });
    }
    let this = || Arg::Value(0);
    if exponent == 2.0 {
        return Node::elementwise(Func::Binary(Binary::Mul), vec![this(), this()], vec![node]);
    }
    if float && exponent == 0.5 {
        return Node::elementwise(Func::Unary(Unary::Sqrt), vec![this()], vec![node]);
    }
    if float && exponent == -1.0 {
        let one = Const::of(Scalar::Float(1.0), node.schema().dtype)?;
        let args = vec![Arg::Const(one), this()];
        return Node::elementwise(Func::Binary(Binary::Div), args, vec![node]);
    }
    Node::elementwise(
        Func::Binary(Binary::Pow),
        vec![this(), Arg::Const(value)],
        vec![node],
    )
}

/// `op` of two nodes; one node alone if both are the same.
fn pair(op: Binary, mut inputs: Vec<NodeRef>) -> Result<NodeRef> {
    let mut args = vec![Arg::Value(0), Arg::Value(1)];
    if std::sync::Arc::ptr_eq(&inputs[0], &inputs[1]) {
        inputs.pop();
        args[1] = Arg::Value(0);
    }
    Node::elementwise(Func::Binary(op), args, inputs)
}

/// The node with pixels of `dtype`.
fn convert(node: &NodeRef, dtype: DType) -> Result<NodeRef> {
    if node.schema().dtype == dtype {
        return Ok(std::sync::Arc::clone(node));
    }
    Node::elementwise(
        Func::Cast(dtype),
        vec![Arg::Value(0)],
        vec![std::sync::Arc::clone(node)],
    )
}

/// The array with pixels of `dtype`.
pub(crate) fn cast(array: &DataArray, dtype: DType) -> DataArray {
    array.defer(|| {
        for dtype in [array.dtype(), dtype] {
            if dtype.is_complex() && array.dtype() != dtype {
                return Err(crate::value::complex(dtype));
            }
        }
        let node = convert(array.node(), dtype)?;
        let attrs = array.attrs().after_cast(dtype);
        Ok(array.with_node(node, array.coords().clone(), attrs))
    })
}

/// `array` where `condition` holds, elsewhere `other`, or NaN without one.
pub(crate) fn where_(
    array: &DataArray,
    condition: &DataArray,
    other: Option<&Operand>,
) -> DataArray {
    array.defer(|| {
        condition.check()?;
        let mut arrays = vec![array, condition];
        let dtype = match other {
            None => promote::masked(array.dtype())?,
            Some(Operand::Scalar(s)) => {
                promote::common_kinds(Kind::Strong(array.dtype()), Kind::Weak(*s))?
            }
            Some(Operand::Array(other)) => {
                other.check()?;
                arrays.push(other);
                promote::common(array.dtype(), other.dtype())?
            }
        };
        // As xarray: a mask may lie on fewer pixels, another choice may not.
        let Aligned { nodes, coords } = match other {
            None => align_inner("mask", &arrays)?,
            Some(_) => align("mask", &arrays)?,
        };
        let mut inputs = vec![convert(&nodes[1], DType::Bool)?, convert(&nodes[0], dtype)?];
        let last = match other {
            None => Arg::Const(Const::nan(dtype)),
            Some(Operand::Scalar(s)) => Arg::Const(Const::of(*s, dtype)?),
            Some(Operand::Array(_)) => {
                inputs.push(convert(&nodes[2], dtype)?);
                Arg::Value(2)
            }
        };
        let args = vec![Arg::Value(0), Arg::Value(1), last];
        let node = Node::elementwise(Func::Where, args, inputs)?;
        let attrs = match other {
            None => array.attrs().after_where(dtype),
            Some(_) => array.attrs().after_cast(dtype),
        };
        Ok(array.with_node(node, coords, attrs))
    })
}

fn math_attrs(op: Binary, operands: &[&Attrs], result: DType) -> Attrs {
    let keeps_units = matches!(
        op,
        Binary::Add
            | Binary::Sub
            | Binary::Mod
            | Binary::Fmod
            | Binary::Minimum
            | Binary::Maximum
            | Binary::Hypot
    );
    let attrs = Attrs::after_math(operands, result, keeps_units);
    if op.is_comparison() {
        plain(attrs)
    } else {
        attrs
    }
}

/// Truth has no units.
fn plain(mut attrs: Attrs) -> Attrs {
    attrs.remove("units");
    attrs.remove("long_name");
    attrs.remove("standard_name");
    attrs
}
