//! A formula applied to a cube.

use datacube_model::DType;

use super::{Expression, Function, Kind, Node};
use crate::array::{DataArray, Operand};
use crate::cube::Cube;
use crate::error::{Error, Result};
use crate::ops;
use crate::plan::{Binary, Func, Unary};
use crate::program::naive;
use crate::value::{Const, Scalar};

/// What the names of a formula mean.
struct Scope<'a> {
    cube: &'a Cube,
    params: &'a [(&'a str, Scalar)],
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Result<Operand> {
        match self.params.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok((*value).into()),
            None => Ok(self.cube.get(name)?.into()),
        }
    }
}

impl Expression {
    /// The array that the formula means over the variables of `cube`, lazily.
    ///
    /// # Errors
    /// A variable that the cube does not have, types for which an operation is
    /// not defined, arrays that do not lie on the same pixels; the message
    /// points at the place.
    pub fn apply(&self, cube: &Cube) -> Result<DataArray> {
        self.apply_with(cube, &[])
    }

    /// As [`Expression::apply`], with names that stand for numbers, before
    /// those of the cube's variables.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Source
    /// odc-algo, `expr_eval` and `apply_numexpr`.
    pub fn apply_with(&self, cube: &Cube, params: &[(&str, Scalar)]) -> Result<DataArray> {
        cube.check()?;
        match self.value(&self.root, &Scope { cube, params })? {
            Operand::Array(array) => Ok(match self.name() {
                Some(name) => array.named(name),
                None => array,
            }),
            Operand::Scalar(_) => {
                Err(self.error(self.root.column, "the formula uses no variable of the cube"))
            }
        }
    }

    fn value(&self, node: &Node, scope: &Scope<'_>) -> Result<Operand> {
        let value = match &node.kind {
            Kind::Int(value) => Scalar::Int(*value).into(),
            Kind::Float(value) => Scalar::Float(*value).into(),
            Kind::Name(name) => match scope.get(name) {
                Ok(operand) => operand,
                Err(error) => return Err(self.error(node.column, error.to_string())),
            },
            Kind::Unary(op, x) => match self.value(x, scope)? {
                Operand::Array(x) => ops::unary(*op, &x).into(),
                Operand::Scalar(x) => {
                    self.constant(node, unary_type(*op, x), Func::Unary(*op), &[x])?
                }
            },
            Kind::Binary(op, a, b) => {
                let (a, b) = (self.value(a, scope)?, self.value(b, scope)?);
                match (a, b) {
                    (Operand::Scalar(a), Operand::Scalar(b)) => {
                        let dtype = scalar_type(*op, a, b);
                        self.constant(node, dtype, Func::Binary(*op), &[a, b])?
                    }
                    (a, b) => ops::binary(*op, &a, &b).into(),
                }
            }
            Kind::Call(function, args) => {
                let args = args
                    .iter()
                    .map(|arg| self.value(arg, scope))
                    .collect::<Result<Vec<_>>>()?;
                self.call(node, *function, &args)?
            }
        };
        match value {
            Operand::Array(array) => match array.error() {
                Some(error) => Err(self.error(node.column, error.to_string())),
                None => Ok(array.into()),
            },
            scalar => Ok(scalar),
        }
    }

    fn call(&self, node: &Node, function: Function, args: &[Operand]) -> Result<Operand> {
        let array = |arg: &Operand| match arg {
            Operand::Array(array) => Ok(array.clone()),
            Operand::Scalar(scalar) => Err(self.error(
                node.column,
                format!(
                    "`{}` needs an array here, and {scalar} is a number",
                    function.name()
                ),
            )),
        };
        let one = |op: Unary| match &args[0] {
            Operand::Array(x) => Ok(Operand::from(ops::unary(op, x))),
            Operand::Scalar(x) => self.constant(node, unary_type(op, *x), Func::Unary(op), &[*x]),
        };
        let fold = |op: Binary| {
            let mut args = args.iter().cloned();
            let first = args
                .next()
                .ok_or_else(|| Error::Bug("a call without arguments".to_owned()))?;
            args.try_fold(first, |a, b| match (a, b) {
                (Operand::Scalar(a), Operand::Scalar(b)) => {
                    self.constant(node, scalar_type(op, a, b), Func::Binary(op), &[a, b])
                }
                (a, b) => Ok(ops::binary(op, &a, &b).into()),
            })
        };
        Ok(match function {
            Function::Of(op) if op.is_question() => ops::unary(op, &array(&args[0])?).into(),
            Function::Of(op) => one(op)?,
            Function::Fold(op) | Function::Of2(op) => fold(op)?,
            Function::Clip => array(&args[0])?
                .clip(args[1].clone(), args[2].clone())
                .into(),
            Function::Where => {
                let condition = array(&args[0])?;
                match (&args[1], args.get(2)) {
                    (Operand::Array(x), None) => x.where_(&condition).into(),
                    (Operand::Array(x), Some(other)) => {
                        x.where_or(&condition, other.clone()).into()
                    }
                    // A number where the condition holds: the array elsewhere.
                    (Operand::Scalar(_), Some(Operand::Array(other))) => {
                        other.where_or(&!condition, args[1].clone()).into()
                    }
                    _ => {
                        return Err(self.error(
                            node.column,
                            "`where` needs an array to choose from; both choices are numbers",
                        ));
                    }
                }
            }
            Function::Float32 => array(&args[0])?.astype(DType::Float32).into(),
            Function::Float64 => array(&args[0])?.astype(DType::Float64).into(),
        })
    }

    /// A function of numbers alone, as Python computes it: in 64 bits.
    fn constant(&self, node: &Node, dtype: DType, func: Func, args: &[Scalar]) -> Result<Operand> {
        let wrong = |message: &str| self.error(node.column, message);
        let args = args
            .iter()
            .map(|&arg| Const::of(arg, dtype))
            .collect::<Result<Vec<_>>>()
            .map_err(|error| wrong(&error.to_string()))?;
        let value =
            naive::fold(func, &args).ok_or_else(|| wrong("these numbers have no result"))?;
        Ok(match value.dtype() {
            DType::Bool => Scalar::Bool(value.get()).into(),
            DType::Int64 => Scalar::Int(value.get::<i64>().into()).into(),
            _ => Scalar::Float(value.get()).into(),
        })
    }
}

/// The type in which numbers meet.
fn scalar_type(op: Binary, a: Scalar, b: Scalar) -> DType {
    let float = |scalar| matches!(scalar, Scalar::Float(_));
    let negative = |scalar| matches!(scalar, Scalar::Int(value) if value < 0);
    let truth = |scalar| matches!(scalar, Scalar::Bool(_));
    let power = op == Binary::Pow && negative(b);
    if float(a) || float(b) || op == Binary::Div || op.is_float_only() || power {
        DType::Float64
    } else if truth(a) && truth(b) && op.is_logic() {
        DType::Bool
    } else {
        DType::Int64
    }
}

fn unary_type(op: Unary, x: Scalar) -> DType {
    match (op, x) {
        (_, Scalar::Float(_)) => DType::Float64,
        (op, _) if !op.takes_integers() || op.is_question() => DType::Float64,
        (Unary::Not, Scalar::Bool(_)) => DType::Bool,
        _ => DType::Int64,
    }
}
