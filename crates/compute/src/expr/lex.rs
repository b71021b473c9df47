//! The words of a formula.

use super::error_at;
use crate::error::Result;

/// A word, and how many characters stand before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) column: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Int(i128),
    Float(f64),
    Name(String),
    /// An operator, a parenthesis or a comma.
    Sign(&'static str),
    End,
}

/// Longer signs first.
const SIGNS: [&str; 22] = [
    "**", "//", "==", "!=", "<=", ">=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "&", "|",
    "^", "~", "(", ")", ",",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let column = at;
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
        let kind = if c.is_ascii_digit() || (c == '.' && digit(at + 1)) {
            while digit(at) {
                at += 1;
            }
            let mut float = false;
            if chars.get(at) == Some(&'.') {
                float = true;
                at += 1;
                while digit(at) {
                    at += 1;
                }
            }
            if matches!(chars.get(at), Some('e' | 'E')) {
                let sign = usize::from(matches!(chars.get(at + 1), Some('+' | '-')));
                if digit(at + 1 + sign) {
                    float = true;
                    at += 1 + sign;
                    while digit(at) {
                        at += 1;
                    }
                }
            }
            number(
                text,
                column,
                &chars[column..at].iter().collect::<String>(),
                float,
            )?
        } else if c.is_alphabetic() || c == '_' {
            while chars
                .get(at)
                .is_some_and(|c| c.is_alphanumeric() || *c == '_')
            {
                at += 1;
            }
            TokenKind::Name(chars[column..at].iter().collect())
        } else if c == '`' {
            let end = chars[at + 1..].iter().position(|c| *c == '`');
            let Some(end) = end.filter(|end| *end > 0) else {
                return Err(error_at(
                    text,
                    column,
                    "a name in backquotes needs the second one",
                ));
            };
            let name = chars[at + 1..at + 1 + end].iter().collect();
            at += end + 2;
            TokenKind::Name(name)
        } else {
            let rest: String = chars[at..chars.len().min(at + 2)].iter().collect();
            match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(&sign) => {
                    at += sign.len();
                    TokenKind::Sign(sign)
                }
                None if c == '=' => {
                    at += 1;
                    TokenKind::Sign("=")
                }
                None => {
                    return Err(error_at(
                        text,
                        column,
                        format!("`{c}` means nothing in a formula"),
                    ));
                }
            }
        };
        tokens.push(Token { column, kind });
    }
    tokens.push(Token {
        column: chars.len(),
        kind: TokenKind::End,
    });
    Ok(tokens)
}

fn number(text: &str, column: usize, digits: &str, float: bool) -> Result<TokenKind> {
    let wrong = || error_at(text, column, format!("`{digits}` is no number that fits"));
    if float {
        let value: f64 = digits.parse().map_err(|_| wrong())?;
        if value.is_finite() {
            Ok(TokenKind::Float(value))
        } else {
            Err(wrong())
        }
    } else {
        digits.parse().map(TokenKind::Int).map_err(|_| wrong())
    }
}
