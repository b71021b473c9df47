//! Reading typed values out of a document, noting what is wrong.
//!
//! A [`Node`] is a value with its path; its methods give `None` after they
//! have told the [`Report`] what they met and what they wanted.

use std::cell::{Ref, RefCell};

use serde_json::{Map, Value};

use super::{DocPath, DocumentErrors, DocumentKind, Problem, ProblemKind};
use crate::Number;

/// The faults and remarks gathered while one document is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    pub(crate) fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn warning(&self, warning: Problem) {
        self.warnings.borrow_mut().push(warning);
    }

    pub(crate) fn problems(&self) -> Ref<'_, [Problem]> {
        Ref::map(self.problems.borrow(), Vec::as_slice)
    }

    /// The warnings, or the problems where there are any.
    pub(crate) fn finish(
        self,
        kind: DocumentKind,
        name: Option<String>,
    ) -> Result<Vec<Problem>, DocumentErrors> {
        let problems = self.problems.into_inner();
        if problems.is_empty() {
            Ok(self.warnings.into_inner())
        } else {
            Err(DocumentErrors::new(kind, name, problems))
        }
    }
}

/// A value inside a document.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: DocPath,
    report: &'a Report,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, report: &'a Report) -> Self {
        Node {
            value,
            path: DocPath::root(),
            report,
        }
    }

    pub(crate) fn report(&self) -> &'a Report {
        self.report
    }

    /// Notes a fault at this value.
    pub(crate) fn fault(&self, kind: ProblemKind, expected: impl Into<String>) {
        self.report.problem(self.problem(kind, expected));
    }

    /// A fault at this value, to be completed by the caller.
    pub(crate) fn problem(&self, kind: ProblemKind, expected: impl Into<String>) -> Problem {
        Problem::new(self.path.clone(), kind, expected).found(self.value)
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.fault(ProblemKind::WrongType, expected);
        None
    }

    pub(crate) fn map(&self) -> Option<&'a Map<String, Value>> {
        match self.value {
            Value::Object(map) => Some(map),
            _ => self.wrong_type("an object"),
        }
    }

    pub(crate) fn list(&self) -> Option<Vec<Node<'a>>> {
        match self.value {
            Value::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| Node {
                        value,
                        path: self.path.index(index),
                        report: self.report,
                    })
                    .collect(),
            ),
            _ => self.wrong_type("a list"),
        }
    }

    pub(crate) fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong_type("a string"),
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match number_of(self.value) {
            Some(number) => Some(number),
            None => self.wrong_type("a number"),
        }
    }

    pub(crate) fn f64(&self) -> Option<f64> {
        self.number().map(Number::as_f64)
    }

    /// A name: letters, digits and underscores of any script.
    pub(crate) fn name(&self) -> Option<&'a str> {
        let name = self.string()?;
        if is_name(name) {
            Some(name)
        } else {
            self.fault(
                ProblemKind::BadValue,
                "a name of letters, digits and underscores",
            );
            None
        }
    }

    /// Every item as a string.
    pub(crate) fn strings(&self) -> Option<Vec<String>> {
        let items = self.list()?;
        let n_items = items.len();
        let texts: Vec<String> = items
            .iter()
            .filter_map(|item| item.string().map(str::to_owned))
            .collect();
        (texts.len() == n_items).then_some(texts)
    }

    /// Every item as a number.
    pub(crate) fn numbers(&self) -> Option<Vec<Number>> {
        let items = self.list()?;
        let n_items = items.len();
        let numbers: Vec<Number> = items.iter().filter_map(Node::number).collect();
        (numbers.len() == n_items).then_some(numbers)
    }

    /// The value of `key`, when it is there; this value has to be an object
    /// already, else nothing is found and nothing noted.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.as_object()?.get(key)?;
        Some(Node {
            value,
            path: self.path.key(key),
            report: self.report,
        })
    }

    /// The value of `key`, which has to be there.
    pub(crate) fn require(&self, key: &str, expected: &str) -> Option<Node<'a>> {
        if !self.value.is_object() {
            return None;
        }
        let found = self.get(key);
        if found.is_none() {
            self.report.problem(Problem::new(
                self.path.key(key),
                ProblemKind::Missing,
                expected,
            ));
        }
        found
    }

    /// The keys and values of an object; nothing for all else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + use<'a> {
        let path = self.path.clone();
        let report = self.report;
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(key, value)| {
                (
                    key.as_str(),
                    Node {
                        value,
                        path: path.key(key),
                        report,
                    },
                )
            })
    }

    /// Notes every key that is not one of `known`.
    pub(crate) fn only_keys(&self, known: &[&str]) {
        for (key, node) in self.entries() {
            if !known.contains(&key) {
                self.report.problem(
                    Problem::new(
                        node.path,
                        ProblemKind::UnknownKey,
                        format!("one of {}", known.join(", ")),
                    )
                    .found_text(format!("the key `{key}`"))
                    .near(key, known.iter().copied()),
                );
            }
        }
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A JSON number, integers exactly.
pub(crate) fn number_of(value: &Value) -> Option<Number> {
    let number = value.as_number()?;
    number
        .as_i64()
        .map(Number::from)
        .or_else(|| number.as_u64().map(Number::from))
        .or_else(|| number.as_f64().map(Number::from))
}
