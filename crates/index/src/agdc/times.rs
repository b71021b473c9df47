//! The time range of a dataset, worked out from its document in SQL.
//!
//! Only a text that is plainly a time is taken for one, cut at microseconds as
//! the model does it; for any other there is no answer here (NULL), and the
//! dataset itself is asked.

use datacube_model::{FieldSource, MetadataType};

use super::steps::Steps;

/// A text that PostgreSQL and the model read as the same instant: ISO 8601 from
/// the year 1000, of a day that exists.
const TIME: &str = "^([12]\\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|\
    (0[13578]|1[02])-31)|[12]\\d(0[48]|[2468][048]|[13579][26])-02-29|(12|16|20|24|28)00-02-29)\
    ([T ]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d([.]\\d+)?(Z|[+-](0\\d|1[0-4]):?[0-5]\\d)?)?$";

/// The microseconds since 1970 of a text; NULL for one that is no plain time.
pub(super) fn instant(text: &str) -> String {
    format!(
        "(CASE WHEN {text} ~ '{TIME}' THEN (extract(epoch FROM \
         regexp_replace({text}, '([.]\\d{{6}})\\d+', '\\1')::timestamptz) * 1000000)::bigint END)"
    )
}

/// A path of keys as PostgreSQL takes it, to stand in a statement.
pub(super) fn path(keys: &[String]) -> String {
    let quoted: Vec<String> = keys
        .iter()
        .map(|key| {
            let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", escaped.replace('\'', "''"))
        })
        .collect();
    let prefix = if keys.iter().any(|key| key.contains(['\\', '"'])) {
        // The backslashes are the array's, whatever the server's setting is.
        "E"
    } else {
        ""
    };
    let list = quoted.join(",");
    if prefix.is_empty() {
        format!("'{{{list}}}'")
    } else {
        format!("E'{{{}}}'", list.replace('\\', "\\\\"))
    }
}

/// Where documents of a type have the ends of their time range.
///
/// # Source
/// `datacube_model`, the time range of a dataset.
fn offsets(metadata_type: &MetadataType) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let property = |name: &str| vec!["properties".to_owned(), name.to_owned()];
    match metadata_type.field("time").map(|field| &field.source) {
        Some(FieldSource::Range { min, max }) => (min.clone(), max.clone()),
        Some(FieldSource::Offset(offset)) => (vec![offset.clone()], vec![offset.clone()]),
        None => (
            vec![property("dtr:start_datetime"), property("datetime")],
            vec![property("dtr:end_datetime"), property("datetime")],
        ),
    }
}

/// The columns that lead to `begin_us` and `end_us` of a row, of which both or
/// neither are there.
pub(super) fn columns(metadata_type: &MetadataType, steps: &mut Steps) {
    let (min, max) = offsets(metadata_type);
    let mut distinct: Vec<&Vec<String>> = Vec::new();
    for offset in min.iter().chain(&max) {
        if !distinct.contains(&offset) {
            distinct.push(offset);
        }
    }
    // A document is unpacked once, for the part that all of them are in.
    let n_shared = (0..)
        .take_while(|nth| {
            let first = distinct[0].get(*nth);
            let is_shared = |o: &&Vec<String>| o.get(*nth) == first && o.len() > nth + 1;
            first.is_some() && distinct.iter().all(is_shared)
        })
        .count();
    steps.add(
        0,
        match n_shared {
            0 => "d.metadata AS part".to_owned(),
            n => format!("d.metadata #> {} AS part", path(&distinct[0][..n])),
        },
    );
    for (nth, offset) in distinct.iter().enumerate() {
        let text = format!("d.part #>> {} AS x{nth}", path(&offset[n_shared..]));
        steps.add(1, text);
        steps.add(2, format!("{} AS u{nth}", instant(&format!("d.x{nth}"))));
    }
    let is_odd: Vec<String> = (0..distinct.len())
        .map(|nth| format!("(d.x{nth} IS NOT NULL AND d.u{nth} IS NULL)"))
        .collect();
    let of = |function: &str, offsets: &[Vec<String>]| {
        let columns: Vec<String> = distinct
            .iter()
            .enumerate()
            .filter(|(_, offset)| offsets.contains(offset))
            .map(|(nth, _)| format!("d.u{nth}"))
            .collect();
        format!("{function}({})", columns.join(", "))
    };
    steps.add(3, format!("({}) AS is_odd", is_odd.join(" OR ")));
    steps.add(3, format!("{} AS b", of("least", &min)));
    steps.add(3, format!("{} AS e", of("greatest", &max)));
    let begin = "CASE WHEN NOT d.is_odd THEN coalesce(d.b, d.e) END AS begin_us";
    let end = "CASE WHEN NOT d.is_odd THEN greatest(d.b, d.e) END AS end_us";
    steps.add(4, begin.to_owned());
    steps.add(4, end.to_owned());
}

/// The condition that Python's index of the time range answers: it meets what
/// lies between two times, in microseconds since 1970; `None` where the type
/// has no such field.
///
/// Python forgets the offset from UTC that a time is written with, so a day is
/// added on either side.
pub(super) fn indexed(metadata_type: &MetadataType, low: i64, high: i64) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    /// What PostgreSQL's calendar holds, generously within.
    const MOST: i64 = 8_000_000_000_000_000;
    let field = metadata_type.field("time")?;
    let FieldSource::Range { min, max } = &field.source else {
        return None;
    };
    let end = |function: &str, offsets: &[Vec<String>]| {
        let values: Vec<String> = offsets
            .iter()
            .map(|offset| format!("agdc.common_timestamp(d.metadata #>> {})", path(offset)))
            .collect();
        match values.as_slice() {
            [only] => only.clone(),
            _ => format!("{function}({})", values.join(", ")),
        }
    };
    let at = |us: i64, open: bool| {
        if open || us.abs() > MOST {
            "NULL".to_owned()
        } else {
            // Whole seconds are exact as doubles.
            format!("to_timestamp({})", us.div_euclid(1_000_000))
        }
    };
    Some(format!(
        "tstzrange({}, {}, '[]') && tstzrange({}, {}, '[]')",
        end("least", min),
        end("greatest", max),
        at(low.saturating_sub(DAY), low == i64::MIN),
        at(high.saturating_add(DAY + 1_000_000), high == i64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_in_statements() {
        let check = |keys: &[&str], expected: &str| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(path(&keys), expected);
        };
        check(&["a", "b:c"], r#"'{"a","b:c"}'"#);
        check(&["it's", "{a,b}"], r#"'{"it''s","{a,b}"}'"#);
        check(&[r#"say "a\b""#], r#"E'{"say \\"a\\\\b\\""}'"#);
    }
}
