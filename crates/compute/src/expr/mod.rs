//! Formulas as text: `ndvi = (nir - red) / (nir + red)`.
//!
//! Python's notation and precedence, so that what a notebook or a product
//! definition says means the same here: `**` before sign before `* / // %`
//! before `+ -` before `&` before `^` before `|` before comparisons. What
//! cannot be read or applied is pointed at.

mod apply;
mod lex;
mod parse;

use std::fmt;

use crate::error::{Error, Result};
use crate::plan::{Binary, Unary};

/// A formula over the variables of a cube.
///
/// Numbers, names (in backquotes if they are not plain words), parentheses,
/// `+ - * / // % **`, comparisons, `& | ^ ~`, and the functions `min`, `max`,
/// `clip(x, low, high)`, `where(condition, x)`, `where(condition, x, other)`,
/// `float32`, `float64`, and numpy's by their names: `abs`, `sqrt`, `cbrt`,
/// `exp`, `log`, `log10`, `sin`, `arctan2`, `hypot`, `fmod`, `floor`, `isnan`
/// and the like.
///
/// ```
/// use datacube_compute::Expression;
/// let formula = Expression::parse("ndvi = (nir - red) / (nir + red)")?;
/// assert_eq!(formula.name(), Some("ndvi"));
/// assert_eq!(formula.variables(), ["nir", "red"]);
/// let error = Expression::parse("(nir - red").unwrap_err().to_string();
/// assert!(error.contains("\n  (nir - red\n            ^"));
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    name: Option<String>,
    root: Node,
}

/// A part of a formula, and where it starts.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// Characters before it.
    column: usize,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Int(i128),
    Float(f64),
    Name(String),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

/// Functions that a formula can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// Of one value.
    Of(Unary),
    /// Of two values.
    Of2(Binary),
    /// Of two values or more, taken together one after the other.
    Fold(Binary),
    Clip,
    Where,
    Float32,
    Float64,
}

impl Function {
    const ALL: [(&'static str, Function); 38] = [
        ("abs", Function::Of(Unary::Abs)),
        ("sqrt", Function::Of(Unary::Sqrt)),
        ("cbrt", Function::Of(Unary::Cbrt)),
        ("exp", Function::Of(Unary::Exp)),
        ("exp2", Function::Of(Unary::Exp2)),
        ("expm1", Function::Of(Unary::Expm1)),
        ("log", Function::Of(Unary::Log)),
        ("log2", Function::Of(Unary::Log2)),
        ("log10", Function::Of(Unary::Log10)),
        ("log1p", Function::Of(Unary::Log1p)),
        ("sin", Function::Of(Unary::Sin)),
        ("cos", Function::Of(Unary::Cos)),
        ("tan", Function::Of(Unary::Tan)),
        ("arcsin", Function::Of(Unary::Arcsin)),
        ("arccos", Function::Of(Unary::Arccos)),
        ("arctan", Function::Of(Unary::Arctan)),
        ("sinh", Function::Of(Unary::Sinh)),
        ("cosh", Function::Of(Unary::Cosh)),
        ("tanh", Function::Of(Unary::Tanh)),
        ("degrees", Function::Of(Unary::Degrees)),
        ("radians", Function::Of(Unary::Radians)),
        ("floor", Function::Of(Unary::Floor)),
        ("ceil", Function::Of(Unary::Ceil)),
        ("trunc", Function::Of(Unary::Trunc)),
        ("rint", Function::Of(Unary::Rint)),
        ("sign", Function::Of(Unary::Sign)),
        ("isnan", Function::Of(Unary::IsNan)),
        ("isinf", Function::Of(Unary::IsInf)),
        ("isfinite", Function::Of(Unary::IsFinite)),
        ("arctan2", Function::Of2(Binary::Arctan2)),
        ("hypot", Function::Of2(Binary::Hypot)),
        ("fmod", Function::Of2(Binary::Fmod)),
        ("min", Function::Fold(Binary::Minimum)),
        ("max", Function::Fold(Binary::Maximum)),
        ("clip", Function::Clip),
        ("where", Function::Where),
        ("float32", Function::Float32),
        ("float64", Function::Float64),
    ];

    fn name(self) -> &'static str {
        Function::ALL
            .iter()
            .find(|(_, function)| *function == self)
            .map_or("", |(name, _)| name)
    }

    /// How many arguments it takes.
    fn takes(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Function::Fold(_) => 2..=usize::MAX,
            Function::Of2(_) => 2..=2,
            Function::Clip => 3..=3,
            Function::Where => 2..=3,
            _ => 1..=1,
        }
    }
}

impl Expression {
    /// Reads a formula, with or without `name =` in front.
    ///
    /// # Errors
    /// A text that is no formula; the message points at the place.
    pub fn parse(text: &str) -> Result<Expression> {
        parse::parse(text)
    }

    /// What the result is to be called.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The variables that it needs, each once, in the order of the text.
    pub fn variables(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let mut waiting = vec![&self.root];
        while let Some(node) = waiting.pop() {
            match &node.kind {
                Kind::Int(_) | Kind::Float(_) => {}
                Kind::Name(name) if names.contains(&name.as_str()) => {}
                Kind::Name(name) => names.push(name),
                Kind::Unary(_, x) => waiting.push(x),
                Kind::Binary(_, a, b) => waiting.extend([&**b, &**a]),
                Kind::Call(_, args) => waiting.extend(args.iter().rev()),
            }
        }
        names
    }

    fn error(&self, column: usize, message: impl Into<String>) -> Error {
        error_at(&self.text, column, message)
    }
}

/// As it was written.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Expression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Expression> {
        Expression::parse(text)
    }
}

fn error_at(text: &str, column: usize, message: impl Into<String>) -> Error {
    Error::Expression {
        text: text.to_owned(),
        column,
        message: message.into(),
    }
}
