//! The grammar of search expressions: text to terms, with the place of each.
//!
//! ```text
//! expression = { term }
//! term       = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" ( value | "[" value { "," value } "]" )
//! field      = letter { letter | digit | "_" }
//! value      = '"' text '"' | "'" text "'" | word
//! ```
//!
//! A word runs to the next space, bracket, comma, quote or comparison sign;
//! what it means (number, date, text) depends on the field it is compared with.

use winnow::ascii::multispace0;
use winnow::combinator::{
    alt, cut_err, eof, not, opt, peek, preceded, repeat, repeat_till, terminated,
};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, one_of, take_while};

use crate::error::{Error, Result};

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) field: String,
    /// Where the field is named, in bytes.
    pub(super) at: usize,
    pub(super) operator: Operator,
    pub(super) values: Vec<Literal>,
    /// Whether the values were written as a list.
    pub(super) is_list: bool,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) text: String,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    Differs,
    In,
    NotIn,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Operator::Equals => "=",
            Operator::Differs => "!=",
            Operator::In => "in",
            Operator::NotIn => "not in",
            Operator::Less => "<",
            Operator::AtMost => "<=",
            Operator::More => ">",
            Operator::AtLeast => ">=",
        }
    }
}

type Input<'a> = LocatingSlice<&'a str>;

/// Reads a whole expression.
///
/// # Errors
/// [`Error::Expression`] with the place and what was expected there.
pub(super) fn terms(text: &str) -> Result<Vec<Term>> {
    preceded(
        multispace0,
        repeat_till(0.., terminated(term, multispace0), eof),
    )
    .map(|(terms, _): (Vec<Term>, _)| terms)
    .parse(LocatingSlice::new(text))
    .map_err(|error| {
        // The innermost is the most exact.
        let expected = error.inner().context().find_map(|context| match context {
            StrContext::Expected(value) => Some(value.to_string()),
            _ => None,
        });
        let expected = expected.unwrap_or_else(|| "a search field".to_owned());
        let met = text[error.offset()..].chars().next();
        let met = met.map_or("the end".to_owned(), |c| format!("`{c}`"));
        refuse(
            text,
            error.offset(),
            format!("expected {expected}, met {met}"),
        )
    })
}

/// An error at a place given in bytes.
pub(super) fn refuse(text: &str, at: usize, reason: impl Into<String>) -> Error {
    Error::Expression {
        text: text.to_owned(),
        position: text
            .char_indices()
            .take_while(|(byte, _)| *byte < at)
            .count(),
        reason: reason.into(),
    }
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn term(input: &mut Input<'_>) -> ModalResult<Term> {
    let at = input.current_token_start();
    let field = (
        one_of(|c: char| c.is_alphabetic() || c == '_'),
        take_while(0.., is_word),
    )
        .take()
        .context(expected("a search field"))
        .parse_next(input)?;
    let operator = preceded(multispace0, operator)
        .context(expected(
            "`=`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `not in`",
        ))
        .parse_next(input)?;
    multispace0.parse_next(input)?;
    let (values, is_list) = if matches!(operator, Operator::In | Operator::NotIn) {
        alt((
            list.map(|values| (values, true)),
            value.map(|value| (vec![value], false)),
        ))
        .context(expected("a value or a list `[a, b]`"))
        .parse_next(input)?
    } else {
        let value = value.context(expected("a value")).parse_next(input)?;
        (vec![value], false)
    };
    Ok(Term {
        field: field.to_owned(),
        at,
        operator,
        values,
        is_list,
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn operator(input: &mut Input<'_>) -> ModalResult<Operator> {
    let keyword = |word: &'static str| (word, not(one_of(is_word)));
    alt((
        "!=".value(Operator::Differs),
        ("=", opt("=")).value(Operator::Equals),
        "<=".value(Operator::AtMost),
        ">=".value(Operator::AtLeast),
        "<".value(Operator::Less),
        ">".value(Operator::More),
        keyword("in").value(Operator::In),
        (keyword("not"), multispace0, keyword("in")).value(Operator::NotIn),
    ))
    .parse_next(input)
}

fn list(input: &mut Input<'_>) -> ModalResult<Vec<Literal>> {
    // Whatever begins with a bracket is a list: from here on nothing else fits.
    let item = || cut_err(value.context(expected("a value")));
    let separator = (multispace0, ",", multispace0);
    let more = repeat(0.., preceded(separator, item()));
    let end = preceded(multispace0, "]").context(expected("`,` or `]`"));
    ("[", multispace0, item(), more, cut_err(end))
        .map(|(_, _, first, more, _): (_, _, _, Vec<Literal>, _)| {
            std::iter::once(first).chain(more).collect()
        })
        .parse_next(input)
}

fn value(input: &mut Input<'_>) -> ModalResult<Literal> {
    let at = input.current_token_start();
    let text = match peek(opt(any)).parse_next(input)? {
        Some(quote @ ('"' | '\'')) => cut_err(quoted(quote)).parse_next(input)?,
        _ => take_while(1.., |c: char| {
            !c.is_whitespace() && !"[],\"'<>=".contains(c)
        })
        .map(str::to_owned)
        .parse_next(input)?,
    };
    Ok(Literal { text, at })
}

/// Text between quotes, in which a backslash takes the next sign as it is.
fn quoted<'a>(quote: char) -> impl ModalParser<Input<'a>, String, ContextError> {
    move |input: &mut Input<'a>| {
        any.parse_next(input)?;
        let mut text = String::new();
        loop {
            let sign = any.context(expected("a closing quote")).parse_next(input)?;
            match sign {
                '\\' => {
                    text.push(any.context(expected("a closing quote")).parse_next(input)?);
                }
                sign if sign == quote => return Ok(text),
                sign => text.push(sign),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, &[&str])]) {
        let terms = terms(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let found: Vec<(&str, &str, Vec<&str>)> = terms
            .iter()
            .map(|term| {
                let values = term
                    .values
                    .iter()
                    .map(|value| value.text.as_str())
                    .collect();
                (term.field.as_str(), term.operator.sign(), values)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(field, sign, values)| (*field, *sign, values.to_vec()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    fn check_refused(text: &str, place: usize, expects: &str) {
        let Err(Error::Expression {
            position, reason, ..
        }) = terms(text)
        else {
            panic!("{text}: {:?}", terms(text))
        };
        assert_eq!(position, place, "{text}: {reason}");
        assert!(reason.contains(expects), "{text}: {reason}");
    }

    #[test]
    fn every_form_of_the_manual_is_read() {
        check("", &[]);
        check("  ", &[]);
        check("platform = landsat-8", &[("platform", "=", &["landsat-8"])]);
        check(
            "platform=\"LANDSAT 8\"",
            &[("platform", "=", &["LANDSAT 8"])],
        );
        check(r#"label = 'it\'s "x"'"#, &[("label", "=", &["it's \"x\""])]);
        check(
            "uri = s3://a/b_c.d/e?f",
            &[("uri", "=", &["s3://a/b_c.d/e?f"])],
        );
        check("lat in [4, -6.5]", &[("lat", "in", &["4", "-6.5"])]);
        check("time in 2013-01", &[("time", "in", &["2013-01"])]);
        check(
            "time in [2013-01,2014]",
            &[("time", "in", &["2013-01", "2014"])],
        );
        check("time<2013-01-02", &[("time", "<", &["2013-01-02"])]);
        check(
            "id=067e6162-3b6f-4ae2-a171-2470b63dff00 in_orbit >= 5 cloud not in [1,2,3]",
            &[
                ("id", "=", &["067e6162-3b6f-4ae2-a171-2470b63dff00"]),
                ("in_orbit", ">=", &["5"]),
                ("cloud", "not in", &["1", "2", "3"]),
            ],
        );
        check(
            "a=1 b!=2\nc in x",
            &[("a", "=", &["1"]), ("b", "!=", &["2"]), ("c", "in", &["x"])],
        );
        check(
            "région = 'é' x = 1",
            &[("région", "=", &["é"]), ("x", "=", &["1"])],
        );
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        check_refused("product", 7, "met the end");
        check_refused("product =", 9, "a value");
        check_refused("product = ]", 10, "a value");
        check_refused("= ls8", 0, "a search field");
        check_refused("product ls8", 8, "`in`");
        check_refused("time in [2013, ", 15, "a value");
        check_refused("time in [2013 2014]", 14, "`,` or `]`");
        check_refused("time in [2013", 13, "`,` or `]`");
        check_refused("label = \"abc", 12, "a closing quote");
        check_refused("product = ls8 42", 14, "a search field");
        check_refused("région = 'é' =", 13, "a search field");
        check_refused("a inside b", 2, "`in`");
    }
}
