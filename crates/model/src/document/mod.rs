//! From text to documents, and back.
//!
//! A document is a [`serde_json::Value`] with its keys in the order in which
//! they were written. What is kept is the document itself; the typed values of
//! this crate are views of it, so printing one gives back what was read.
//!
//! YAML and JSON give the same document for the same content. As in ODC, dates
//! stay strings, keys become strings, and NaN and the infinities, which JSON
//! cannot write, become the strings `NaN`, `Infinity` and `-Infinity`.

mod json;
mod parts;
mod path;
mod print;
mod problem;
mod read;
mod sniff;
mod yaml;

use serde_json::Value;

pub use parts::parse_each;
pub use path::{DocPath, Step};
pub use print::{to_json, to_yaml};
pub(crate) use problem::excerpt;
pub use problem::{DocumentErrors, DocumentKind, Problem, ProblemKind};
pub(crate) use read::{Node, Report, number_of};
pub(crate) use sniff::EO3_SCHEMA;
pub use sniff::Looks;

use crate::error::{Error, Result};

/// One document of a text, with the address that ODC gives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocatedDocument {
    /// Where the text came from; `#part=N` is added when it held several documents.
    pub uri: String,
    /// The document.
    pub document: Value,
    /// What is odd in the text: keys that are written twice. What is written
    /// last counts, as in ODC.
    pub warnings: Vec<Problem>,
}

impl LocatedDocument {
    /// A document that was read from `uri`.
    pub fn new(uri: impl Into<String>, document: Value) -> Self {
        LocatedDocument {
            uri: uri.into(),
            document,
            warnings: Vec::new(),
        }
    }
}

/// Reads every document of a text.
///
/// `uri` names the text in errors and in the result. A name that ends in
/// `.json` is read as JSON, one that ends in `.yaml` or `.yml` as YAML, one that
/// ends in `.jsonl` or `.ndjson` as one JSON document a line; any other as JSON
/// when it starts with a brace or bracket and is valid JSON, as YAML otherwise.
/// Empty YAML documents and empty lines are left out. When the text holds
/// several documents, the N-th one (from 0) has `#part=N` added to its uri.
///
/// Merge keys (`<<`) are applied, anchors are resolved. Unquoted `yes`, `no`,
/// `on` and `off` are booleans, as for the YAML 1.1 readers for which ODC's
/// documents were written.
///
/// # Errors
/// [`Error::Syntax`], with line and column: text that is not YAML or JSON, and
/// aliases that would blow the document up far beyond the size of its text.
///
/// # Source
/// datacube-core, `datacube/utils/documents.py` (`read_documents`).
pub fn parse_documents(text: &str, uri: &str) -> Result<Vec<LocatedDocument>> {
    let path = name_of(uri);
    let documents = if path.ends_with(".json") || path.ends_with(".geojson") {
        vec![json::parse(text)]
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
    } else if path.ends_with(".yaml") || path.ends_with(".yml") {
        yaml::parse(text)
    } else if parts::is_lines(&path) {
        parts::lines(text).collect()
    } else {
        match json::parse(text) {
            Ok(document) if text.trim_start().starts_with(['{', '[']) => Ok(vec![document]),
            _ => yaml::parse(text),
        }
    }
    .map_err(|fault| fault.at(uri))?;
    let several = documents.len() > 1;
    Ok(documents
        .into_iter()
        .enumerate()
        .map(|(part, (document, warnings))| LocatedDocument {
            uri: part_uri(uri, part, several),
            document,
            warnings,
        })
        .collect())
}

/// The address of the N-th document of a text.
fn part_uri(uri: &str, part: usize, several: bool) -> String {
    if several {
        format!("{uri}#part={part}")
    } else {
        uri.to_owned()
    }
}

/// What the name of a text tells: in lower case, without what packed it.
fn name_of(uri: &str) -> String {
    let path = uri
        .split(['#', '?'])
        .next()
        .unwrap_or(uri)
        .to_ascii_lowercase();
    match path.strip_suffix(".gz") {
        Some(unpacked) => unpacked.to_owned(),
        None => path,
    }
}

/// Reads a text that holds exactly one document.
///
/// # Errors
/// As [`parse_documents`], and [`Error::Syntax`] when there is none or more
/// than one.
pub fn parse_document(text: &str, uri: &str) -> Result<Value> {
    let mut documents = parse_documents(text, uri)?;
    match (documents.pop(), documents.len()) {
        (Some(only), 0) => Ok(only.document),
        (found, before) => Err(Error::Syntax {
            uri: uri.to_owned(),
            line: 1,
            column: 1,
            message: format!(
                "expected one document, found {}",
                before + usize::from(found.is_some())
            ),
        }),
    }
}

/// What is wrong in a text, and where; lines and columns count from 1.
#[derive(Debug)]
struct Fault {
    line: usize,
    column: usize,
    message: String,
}

impl Fault {
    fn at(self, uri: &str) -> Error {
        Error::Syntax {
            uri: uri.to_owned(),
            line: self.line,
            column: self.column,
            message: self.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> Value {
        parse_document(text, "test.yaml").expect("valid test text")
    }

    fn fault(text: &str) -> String {
        parse_documents(text, "test.yaml")
            .expect_err("invalid test text")
            .to_string()
    }

    #[test]
    fn yaml_and_json_agree() {
        let text =
            r#"{"a": [1, 2.5, -3, true, null, "x"], "b": {"c": 1e3}, "d": 18446744073709551615}"#;
        assert_eq!(
            parse_document(text, "x.json").expect("json"),
            parse_document(text, "x.yaml").expect("yaml")
        );
    }

    #[test]
    fn json_takes_the_numbers_that_python_writes() {
        let document = parse_document(
            r#"{"nodata": NaN, "max": Infinity, "min": -Infinity, "text": "NaN, \"NaN"}"#,
            "x.json",
        );
        assert_eq!(
            document.expect("as Python's json module reads it"),
            json!({"nodata": "NaN", "max": "Infinity", "min": "-Infinity", "text": "NaN, \"NaN"})
        );
    }

    #[test]
    fn several_documents_are_numbered() {
        let documents =
            parse_documents("---\na: 1\n---\na: 2\n---\n", "s3://b/x.yaml").expect("two");
        let uris: Vec<_> = documents.iter().map(|d| d.uri.as_str()).collect();
        assert_eq!(uris, ["s3://b/x.yaml#part=0", "s3://b/x.yaml#part=1"]);
        assert_eq!(
            parse_documents("a: 1", "x.yaml").expect("one")[0].uri,
            "x.yaml"
        );
        assert!(
            parse_documents("# nothing\n", "x.yaml")
                .expect("none")
                .is_empty()
        );
        assert!(parse_document("---\na: 1\n---\na: 2\n", "x.yaml").is_err());
    }

    #[test]
    fn scalars_are_read_as_odc_reads_them() {
        check(
            "a: 2016-05-12 23:50:23.054165Z",
            json!({"a": "2016-05-12 23:50:23.054165Z"}),
        );
        check("a: 2016-05-12", json!({"a": "2016-05-12"}));
        check(
            "a: .nan\nb: -.inf\nc: .inf",
            json!({"a": "NaN", "b": "-Infinity", "c": "Infinity"}),
        );
        check("a: nan", json!({"a": "nan"}));
        check("0: No\n2: Yes", json!({"0": false, "2": true}));
        check("0: 'No'\n2: \"Yes\"", json!({"0": "No", "2": "Yes"}));
        check(
            "[on, Off, y, n, true]",
            json!([true, false, "y", "n", true]),
        );
        check("a: 089080", json!({"a": "089080"}));
        check("a:\nb: ~\n", json!({"a": null, "b": null}));
        check(
            "{1: a, 2.5: b, true: c}",
            json!({"1": "a", "2.5": "b", "true": "c"}),
        );
        check(
            "a: -340282346638528859811704183484516925440",
            json!({"a": -3.4028234663852886e38}),
        );
        check("a: !!str 12\nb: !!int '7'", json!({"a": "12", "b": 7}));
    }

    fn check(text: &str, expected: Value) {
        assert_eq!(yaml(text), expected, "{text}");
    }

    #[test]
    fn merges_give_way_to_own_keys_and_to_earlier_merges() {
        check(
            "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nc:\n  y: 9\n  <<: *b\nd:\n  <<: [*b, *o]\n",
            json!({
                "base": {"x": 1, "y": 2}, "other": {"y": 3, "z": 4},
                "c": {"x": 1, "y": 9}, "d": {"x": 1, "y": 2, "z": 4}
            }),
        );
        check("'<<': {a: 1}", json!({"<<": {"a": 1}}));
        assert!(fault("a:\n  <<: 3\n").contains("merge"));
    }

    #[test]
    fn faults_have_a_place() {
        let message = fault("a: [1, 2\nb: 3\n");
        assert!(message.starts_with("test.yaml:2:"), "{message}");
        let error = parse_documents("{\"a\": 1,\n 2}", "x.json").expect_err("no key");
        assert!(error.to_string().starts_with("x.json:2:"), "{error}");
        assert!(fault("a: !python/object:os.system [ls]").contains("tag"));
        assert!(fault("? [a, b]\n: c\n").contains("key"));
    }

    #[test]
    fn repeated_keys_are_noted() {
        for (text, uri) in [
            ("a: 1\nb:\n- c: 2\n  d: 3\n  c: 4\n", "x.yaml"),
            (
                "{\"a\": 1, \"b\": [{\"c\": 2, \"d\": 3, \"c\": 4}]}",
                "x.json",
            ),
        ] {
            let found = parse_documents(text, uri).expect("valid").remove(0);
            assert_eq!(found.document, json!({"a": 1, "b": [{"c": 4, "d": 3}]}));
            let [warning] = found.warnings.as_slice() else {
                panic!("one key is repeated: {:?}", found.warnings)
            };
            assert_eq!(warning.path.to_string(), "b[0].c");
            assert!(
                warning.to_string().contains("the key `c` again"),
                "{warning}"
            );
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            text += &format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{before}"); 10].join(", ")
            );
        }
        assert!(fault(&text).contains("alias"), "{}", fault(&text));
        // Few aliases of one long text, which no count of nodes would notice.
        let long = "x".repeat(200_000);
        let text = format!("a: &a \"{long}\"\nb: [{}]\n", vec!["*a"; 50_000].join(", "));
        assert!(fault(&text).contains("alias"));
        let deep = "[".repeat(100_000);
        assert!(!fault(&deep).is_empty());
    }

    #[test]
    fn printed_yaml_is_easy_to_read() {
        let document = json!({
            "name": "x", "description": "Two\nlines\n", "empty": {}, "none": [], "code": "089080",
            "shape": [10, 20], "bands": [{"name": "red", "nodata": "NaN"}, {"name": "nir"}],
            "say": "no", "time": "2020-01-01T00:00:00Z", "odd": " a: b #c"
        });
        let text = to_yaml(&document);
        assert_eq!(
            text,
            "name: x\ndescription: |\n  Two\n  lines\nempty: {}\nnone: []\ncode: '089080'\n\
             shape: [10, 20]\nbands:\n- name: red\n  nodata: NaN\n- name: nir\nsay: 'no'\n\
             time: '2020-01-01T00:00:00Z'\nodd: ' a: b #c'\n"
        );
        assert_eq!(yaml(&text), document);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_:.\\-#&*!|>'\"%@`{}\\[\\], \n\t]{0,12}",
            "\\PC{0,8}",
            any::<String>(),
            prop::sample::select(vec![
                "",
                "~",
                "null",
                "true",
                "No",
                "on",
                "1",
                "1.0",
                "1e5",
                "0x1F",
                "0o7",
                "010",
                ".nan",
                "-.inf",
                "NaN",
                "2020-01-01",
                "12:30:45",
                "<<",
                "=",
                "---",
                "...",
                "- a",
                "? a",
                "a: b",
                "a #b",
                "1_000",
                "\u{85}",
                "\u{2028}",
                "\u{feff}x",
                "x ",
                " x",
                "x\n",
                "x\n\n",
                "\nx",
                "a\n b\n",
                "é\n",
                "a\r\nb",
            ])
            .prop_map(str::to_owned),
        ]
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("finite", |x| x.is_finite())
                .prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn parse_of_print_is_the_document(document in document()) {
            prop_assume!(!document.is_null());
            let text = to_yaml(&document);
            let back = parse_document(&text, "x.yaml");
            prop_assert_eq!(back.as_ref().ok(), Some(&document), "{}\n{:?}", text, back);
            let text = to_json(&document);
            prop_assert_eq!(parse_document(&text, "x.json").ok(), Some(document), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[a-z0-9:&*!|>'\"%@`{}\\[\\]<, \n-]{0,60}") {
            let _ = parse_documents(&text, "x.yaml");
            let _ = parse_documents(&text, "x.json");
        }
    }
}
