//! One flag out of a document.

use super::{Flag, Label};
use crate::Number;
use crate::document::{Node, ProblemKind};

/// Reads a flag. What is not an object defines no flag and is a warning.
pub(super) fn flag(node: &Node<'_>) -> Option<Flag> {
    if !node.value.is_object() {
        node.report().warning(node.problem(
            ProblemKind::WrongType,
            "an object with `bits` and `values`; this entry defines no flag",
        ));
        return None;
    }
    let bits = node
        .require("bits", "a bit from 0 to 63, or a list of bits")
        .and_then(|node| bits(&node));
    let description = node
        .get("description")
        .and_then(|node| node.string().map(str::to_owned));
    let values = node
        .require("values", "an object of code: label")
        .and_then(|node| values(&node));
    let (bits, single) = bits?;
    Some(Flag {
        bits,
        single,
        description,
        values: values?,
    })
}

/// The bits, and whether they were one number.
fn bits(node: &Node<'_>) -> Option<(Vec<u32>, bool)> {
    if !node.value.is_array() {
        return bit(node).map(|bit| (vec![bit], true));
    }
    let items = node.list()?;
    if items.is_empty() {
        node.fault(ProblemKind::BadValue, "at least one bit");
        return None;
    }
    let mut bits = Vec::with_capacity(items.len());
    let mut right = true;
    for item in &items {
        match bit(item) {
            Some(bit) if bits.contains(&bit) => {
                item.fault(ProblemKind::Duplicate, "each bit once");
                right = false;
            }
            Some(bit) => bits.push(bit),
            None => right = false,
        }
    }
    right.then_some((bits, false))
}

fn bit(node: &Node<'_>) -> Option<u32> {
    let number = node.number()?;
    let bit = match number {
        Number::Int(value) => u32::try_from(value).ok(),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and small"
        )]
        Number::Float(value) if value.fract() == 0.0 && (0.0..64.0).contains(&value) => {
            Some(value as u32)
        }
        Number::Float(_) => None,
    };
    let bit = bit.filter(|bit| *bit < 64);
    if bit.is_none() {
        node.fault(ProblemKind::BadValue, "a whole bit number from 0 to 63");
    }
    bit
}

fn values(node: &Node<'_>) -> Option<Vec<(i64, Label)>> {
    let n_values = node.map()?.len();
    let values: Vec<(i64, Label)> = node
        .entries()
        .filter_map(|(key, value)| {
            let code = key.trim().parse::<i64>();
            let label = Label::from_value(value.value);
            if code.is_err() {
                let problem = value.problem(
                    ProblemKind::BadValue,
                    "a whole number as the key of a label",
                );
                value
                    .report()
                    .problem(problem.found_text(format!("the key `{key}`")));
            }
            if label.is_none() {
                value.fault(
                    ProblemKind::WrongType,
                    "a label: a string, a number, true, false or null",
                );
            }
            code.ok().zip(label)
        })
        .collect();
    (values.len() == n_values).then_some(values)
}
