//! From words to a tree, by precedence climbing.

use super::lex::{Token, TokenKind, tokens};
use super::{Expression, Function, Kind, Node, error_at};
use crate::error::{Error, Result};
use crate::plan::{Binary, Unary};

/// Parentheses within parentheses at most: the parser calls itself.
const MAX_DEPTH: usize = 100;

/// How tightly operators bind, as in Python; comparisons least.
const COMPARISON: u8 = 1;
const SIGN: u8 = 8;

fn operator(sign: &str) -> Option<(Binary, u8)> {
    Some(match sign {
        "==" => (Binary::Eq, COMPARISON),
        "!=" => (Binary::Ne, COMPARISON),
        "<" => (Binary::Lt, COMPARISON),
        "<=" => (Binary::Le, COMPARISON),
        ">" => (Binary::Gt, COMPARISON),
        ">=" => (Binary::Ge, COMPARISON),
        "|" => (Binary::Or, 2),
        "^" => (Binary::Xor, 3),
        "&" => (Binary::And, 4),
        "+" => (Binary::Add, 6),
        "-" => (Binary::Sub, 6),
        "*" => (Binary::Mul, 7),
        "/" => (Binary::Div, 7),
        "//" => (Binary::FloorDiv, 7),
        "%" => (Binary::Mod, 7),
        "**" => (Binary::Pow, 9),
        _ => return None,
    })
}

pub(super) fn parse(text: &str) -> Result<Expression> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let mut name = None;
    if let [
        Token {
            kind: TokenKind::Name(first),
            ..
        },
        Token {
            kind: TokenKind::Sign("="),
            ..
        },
        ..,
    ] = parser.tokens.as_slice()
    {
        name = Some(first.clone());
        parser.at = 2;
    }
    let root = parser.expression(0)?;
    let left = parser.peek();
    match &left.kind {
        TokenKind::End => Ok(Expression {
            text: text.to_owned(),
            name,
            root,
        }),
        TokenKind::Sign(")") => Err(parser.error(left.column, "a `)` without its `(`")),
        TokenKind::Sign("=") => Err(parser.error(
            left.column,
            "`=` gives a name to a whole formula; to compare, write `==`",
        )),
        TokenKind::Sign(sign @ ("&&" | "||")) => Err(parser.error(
            left.column,
            format!(
                "write `{}` for `{sign}`, with parentheses around comparisons",
                &sign[..1]
            ),
        )),
        other => Err(parser.error(
            left.column,
            format!("an operator was expected, not {}", shown(other)),
        )),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Token {
        // The last token is `End`, and nothing goes past it.
        self.tokens[self.at.min(self.tokens.len() - 1)].clone()
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn error(&self, column: usize, message: impl Into<String>) -> Error {
        error_at(self.text, column, message)
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(
                self.peek().column,
                format!("nested more than {MAX_DEPTH} deep"),
            ));
        }
        let mut left = self.operand()?;
        let mut compared = false;
        loop {
            let token = self.peek();
            let TokenKind::Sign(sign) = token.kind else {
                break;
            };
            let Some((op, binds)) = operator(sign).filter(|(_, binds)| *binds >= least) else {
                break;
            };
            if binds == COMPARISON && std::mem::replace(&mut compared, true) {
                return Err(self.error(
                    token.column,
                    "comparisons cannot be chained, and `&`, `|` bind more tightly than they do; put parentheses around each",
                ));
            }
            self.next();
            // `**` binds to the right, and its exponent may have a sign.
            let right = if op == Binary::Pow {
                self.expression(binds)?
            } else {
                self.expression(binds + 1)?
            };
            let column = token.column;
            left = Node {
                column,
                kind: Kind::Binary(op, Box::new(left), Box::new(right)),
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node> {
        let Token { column, kind } = self.next();
        let kind = match kind {
            TokenKind::Int(value) => Kind::Int(value),
            TokenKind::Float(value) => Kind::Float(value),
            TokenKind::Name(name) => {
                if self.peek().kind == TokenKind::Sign("(") {
                    self.call(column, &name)?
                } else {
                    Kind::Name(name)
                }
            }
            TokenKind::Sign("(") => {
                let inner = self.expression(0)?;
                self.close(column)?;
                return Ok(inner);
            }
            TokenKind::Sign("+") => return self.expression(SIGN),
            TokenKind::Sign("-") => match self.expression(SIGN)? {
                // A negative number is a number.
                Node {
                    kind: Kind::Int(value),
                    ..
                } => Kind::Int(-value),
                Node {
                    kind: Kind::Float(value),
                    ..
                } => Kind::Float(-value),
                other => Kind::Unary(Unary::Neg, Box::new(other)),
            },
            TokenKind::Sign("~") => Kind::Unary(Unary::Not, Box::new(self.expression(SIGN)?)),
            TokenKind::Sign("=") => {
                return Err(self.error(column, "only a plain name can stand before `=`"));
            }
            other => {
                let message = format!(
                    "a number, a name or `(` was expected, not {}",
                    shown(&other)
                );
                return Err(self.error(column, message));
            }
        };
        Ok(Node { column, kind })
    }

    fn call(&mut self, column: usize, name: &str) -> Result<Kind> {
        let Some((_, function)) = Function::ALL.iter().find(|(known, _)| *known == name) else {
            let known = Function::ALL.iter().map(|(known, _)| *known);
            let error = Error::unknown_name("function", name, "formulas", known);
            return Err(self.error(column, error.to_string()));
        };
        let open = self.next().column;
        let mut args = Vec::new();
        if self.peek().kind == TokenKind::Sign(")") {
            self.next();
        } else {
            loop {
                args.push(self.expression(0)?);
                if self.peek().kind != TokenKind::Sign(",") {
                    break;
                }
                self.next();
            }
            self.close(open)?;
        }
        let takes = function.takes();
        if !takes.contains(&args.len()) {
            let expected = match (*takes.start(), *takes.end()) {
                (low, high) if low == high => low.to_string(),
                (low, usize::MAX) => format!("{low} or more"),
                (low, high) => format!("{low} to {high}"),
            };
            let message = format!("`{name}` takes {expected} arguments, not {}", args.len());
            return Err(self.error(column, message));
        }
        Ok(Kind::Call(*function, args))
    }

    /// The `)` of the `(` at `open`.
    fn close(&mut self, open: usize) -> Result<()> {
        let token = self.next();
        match token.kind {
            TokenKind::Sign(")") => Ok(()),
            TokenKind::End => {
                let message = format!("the `(` at character {} is not closed", open + 1);
                Err(self.error(token.column, message))
            }
            other => {
                let message = format!("an operator or `)` was expected, not {}", shown(&other));
                Err(self.error(token.column, message))
            }
        }
    }
}

fn shown(token: &TokenKind) -> String {
    match token {
        TokenKind::Int(value) => format!("`{value}`"),
        TokenKind::Float(value) => format!("`{value}`"),
        TokenKind::Name(name) => format!("`{name}`"),
        TokenKind::Sign(sign) => format!("`{sign}`"),
        TokenKind::End => "the end".to_owned(),
    }
}
