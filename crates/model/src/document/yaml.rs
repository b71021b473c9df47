//! YAML text as documents, within a budget.
//!
//! `yaml_serde` resolves anchors while it reads, so that a few lines of
//! aliases can ask for terabytes. The tree is therefore built here, node by
//! node, and every node and byte is paid for out of a [`Budget`] that grows
//! with the text: what is written out costs less than it allows, and what
//! aliases add may reach a fixed amount and no more.
//!
//! A key that is written twice has the value that is written last, as for the
//! readers of ODC, on which documents in use rely; it is noted. Building the
//! tree here also tells unquoted scalars from quoted ones (an
//! unquoted one is borrowed from the text, with no quote before it), which
//! YAML 1.1 booleans and merge keys need.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{DocPath, Fault, Problem, ProblemKind};

/// Nodes and bytes that aliases may add to a document.
const ALIASES_MAY_ADD: usize = 1_000_000;

/// What may still be built, in nodes and bytes of text.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// The budget for a text. Without aliases a document has at most two
    /// nodes and one byte of content per byte of text.
    pub(super) fn of(text: &str) -> Self {
        Budget(Cell::new(
            text.len().saturating_mul(4).saturating_add(ALIASES_MAY_ADD),
        ))
    }

    fn pay<E: serde::de::Error>(&self, cost: usize) -> Result<(), E> {
        match self.0.get().checked_sub(cost) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(E::custom(
                "the aliases of this text make a document far larger than the text itself; \
                 write the repeated parts out, or split the file",
            )),
        }
    }
}

/// Reads every document of a YAML stream that is not empty.
pub(super) fn parse(text: &str) -> Result<Vec<(Value, Vec<Problem>)>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let budget = Budget::of(text);
    let mut documents = Vec::new();
    for deserializer in yaml_serde::Deserializer::from_str(text) {
        let repeated = RefCell::default();
        let tree = Tree {
            text,
            budget: &budget,
            merge: true,
            at: &Link::Root,
            repeated: &repeated,
        };
        let value = tree
            .deserialize(deserializer)
            .map_err(|error| fault(&error))?;
        if !value.is_null() {
            documents.push((value, repeated.into_inner()));
        }
    }
    Ok(documents)
}

fn fault(error: &yaml_serde::Error) -> Fault {
    let full = error.to_string();
    let Some(location) = error.location() else {
        let message = if full.contains("repetition limit") {
            format!("{full}: too many aliases")
        } else {
            full
        };
        return Fault {
            line: 1,
            column: 1,
            message,
        };
    };
    let (line, column) = (location.line(), location.column());
    let place = format!(" at line {line} column {column}");
    let message = if full.ends_with(&place) {
        full[..full.len() - place.len()].to_owned()
    } else {
        full
    };
    Fault {
        line,
        column,
        message,
    }
}

/// The way to the value that is being built.
#[derive(Clone, Copy)]
pub(super) enum Link<'a> {
    Root,
    Key(&'a Link<'a>, &'a str),
    Index(&'a Link<'a>, usize),
}

impl Link<'_> {
    fn path(&self) -> DocPath {
        match self {
            Link::Root => DocPath::root(),
            Link::Key(parent, key) => parent.path().key(*key),
            Link::Index(parent, index) => parent.path().index(*index),
        }
    }
}

/// Builds one value.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    /// The text that is read, to tell plain scalars from quoted ones.
    pub(super) text: &'a str,
    pub(super) budget: &'a Budget,
    /// Whether `<<` merges.
    pub(super) merge: bool,
    pub(super) at: &'a Link<'a>,
    /// Keys that are written twice.
    pub(super) repeated: &'a RefCell<Vec<Problem>>,
}

impl Tree<'_> {
    /// Whether this slice of the text stands there without quotes.
    fn is_plain(&self, part: &str) -> bool {
        let start = self.text.as_ptr() as usize;
        let Some(offset) = (part.as_ptr() as usize).checked_sub(start) else {
            return false;
        };
        offset + part.len() <= self.text.len()
            && (offset == 0 || !matches!(self.text.as_bytes()[offset - 1], b'"' | b'\''))
    }

    fn string<E: serde::de::Error>(&self, text: &str) -> Result<Value, E> {
        self.budget.pay(1 + text.len())?;
        Ok(Value::String(text.to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can write")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.budget.pay(1)?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.budget.pay(1)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.budget.pay(1)?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.budget.pay(1)?;
        Ok(Value::from(value))
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "what JSON does with integers this large"
    )]
    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "what JSON does with integers this large"
    )]
    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.budget.pay(1)?;
        Ok(match Number::from_f64(value) {
            Some(number) => Value::Number(number),
            None if value.is_nan() => Value::from("NaN"),
            None if value > 0.0 => Value::from("Infinity"),
            None => Value::from("-Infinity"),
        })
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Value, E> {
        if self.merge && self.is_plain(text) {
            match text {
                "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return self.visit_bool(true),
                "no" | "No" | "NO" | "off" | "Off" | "OFF" => return self.visit_bool(false),
                _ => {}
            }
        }
        self.string(text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.string(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.budget.pay(1)?;
        let mut items = Vec::new();
        loop {
            let at = Link::Index(self.at, items.len());
            match seq.next_element_seed(Tree { at: &at, ..self })? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.budget.pay(1)?;
        let mut own = Map::new();
        let mut merged = Map::new();
        while let Some(Key { name, plain }) = map.next_key_seed(KeySeed { tree: self })? {
            let value = map.next_value_seed(Tree {
                at: &Link::Key(self.at, &name),
                ..self
            })?;
            if self.merge && plain && name == "<<" {
                merge_into(&mut merged, value).map_err(A::Error::custom)?;
            } else if own.contains_key(&name) {
                let problem = Problem::new(
                    self.at.path().key(&*name),
                    ProblemKind::Duplicate,
                    "each key once",
                );
                let found = format!("the key `{name}` again; what is written last counts");
                self.repeated.borrow_mut().push(problem.found_text(found));
                own.insert(name, value);
            } else {
                own.insert(name, value);
            }
        }
        if merged.is_empty() {
            return Ok(Value::Object(own));
        }
        merged.extend(own);
        Ok(Value::Object(merged))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (tag, _) = data.variant::<String>()?;
        Err(A::Error::custom(format!(
            "the tag `!{tag}` is not read; write the value without it"
        )))
    }
}

/// Adds what is not there yet: among merges the first one wins.
fn merge_into(merged: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                merged.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(items) => items.into_iter().try_for_each(|item| match item {
            Value::Object(_) => merge_into(merged, item),
            _ => Err("a merge key `<<` takes an object or a list of objects"),
        }),
        _ => Err("a merge key `<<` takes an object or a list of objects"),
    }
}

struct Key {
    name: String,
    plain: bool,
}

/// Reads a key as text.
struct KeySeed<'a> {
    tree: Tree<'a>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl KeySeed<'_> {
    fn key<E: serde::de::Error>(self, name: impl Into<String>, plain: bool) -> Result<Key, E> {
        let name = name.into();
        self.tree.budget.pay(1 + name.len())?;
        Ok(Key { name, plain })
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a string or a number")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Key, E> {
        let plain = self.tree.is_plain(text);
        self.key(text, plain)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
        self.key(text, false)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Key, E> {
        self.key(value.to_string(), false)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Key, E> {
        self.key(value.to_string(), false)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Key, E> {
        self.key(value.to_string(), false)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Key, E> {
        self.key(value.to_string(), false)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Key, E> {
        self.key("null", false)
    }
}
