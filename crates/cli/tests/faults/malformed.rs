//! Broken documents among thousands of good ones.

use std::fmt::Write;

use datacube_testkit::Cluster;
use serde_json::{Value, json};

use crate::archive::{document, id, tally};
use crate::kit::{Kit, Said};

/// All documents, the broken one included.
const N_DOCUMENTS: usize = 10_000;

/// Where the broken one is.
const BROKEN: usize = 6789;

/// Where to begin when the good ones are in the index already.
const FROM: usize = BROKEN - 20;

/// A document that cannot be indexed: its text, and what is said of it.
struct Broken {
    text: String,
    says: &'static [&'static str],
}

/// What is wrong with documents, each in JSON on one line, which is YAML too.
fn broken() -> Vec<(&'static str, Broken)> {
    let good = document(BROKEN);
    let with = |key: &str, value: Value| {
        let mut document = good.clone();
        document[key] = value;
        document.to_string()
    };
    let without_id = {
        let mut document = good.clone();
        document
            .as_object_mut()
            .expect("a document")
            .shift_remove("id");
        document.to_string()
    };
    let mut cut = good.to_string();
    cut.truncate(cut.len() / 2);
    let all = [
        ("no id", without_id, &["id"][..]),
        (
            "an id that is none",
            with("id", json!("12345")),
            &["id", "12345"],
        ),
        (
            "wrong types",
            with(
                "grids",
                json!({"default": {"shape": "large", "transform": [1]}}),
            ),
            &["shape"],
        ),
        ("no mapping", json!([1, 2, 3]).to_string(), &["mapping"]),
        ("a text", json!("just a text").to_string(), &["mapping"]),
        ("cut off", cut, &[]),
        (
            "another product",
            with("product", json!({"name": "huge"})),
            &["huge"],
        ),
        (
            "no time",
            with("properties", json!({"eo:platform": "x"})),
            &["datetime"],
        ),
    ];
    all.into_iter()
        .map(|(what, text, says)| (what, Broken { text, says }))
        .collect()
}

/// Checks that all but one went in, of which `good` were added now and were
/// there already, and that the one is named.
fn check(kit: &Kit, what: &str, said: &Said, good: [usize; 2], place: &str, says: &[&str]) {
    assert_eq!(said.status, 1, "{what}: {said:?}");
    assert_eq!(tally(said), [good[0], good[1], 1], "{what}: {said:?}");
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(
        lines[0].contains(place),
        "{what}: `{place}` is not named: {said:?}"
    );
    for words in says {
        assert!(
            said.err.contains(words),
            "{what}: `{words}` is not said: {said:?}"
        );
    }
    assert!(said.err.len() < 2000, "one is told of: {said:?}");
    assert_eq!(kit.n_active(), N_DOCUMENTS as u64 - 1, "{what}");
    kit.fails(1, &["dataset", "info", &id(BROKEN).to_string()]);
}

fn lines(texts: impl Iterator<Item = String>, before: &str) -> String {
    let mut all = String::new();
    for text in texts {
        writeln!(all, "{before}{text}").expect("memory is enough");
    }
    all
}

/// The text of the document of that number.
fn text(n: usize, broken: &Broken) -> String {
    if n == BROKEN {
        broken.text.clone()
    } else {
        document(n).to_string()
    }
}

fn one_of_the_lines_of_a_file(kit: &Kit) {
    kit.with_products();
    let (mut first, mut good) = (0, [N_DOCUMENTS - 1, 0]);
    for (what, broken) in broken() {
        let all = lines((first..N_DOCUMENTS).map(|n| text(n, &broken)), "");
        let file = kit.write("scenes.jsonl", &all);
        let said = kit.run(&["dataset", "add", &file]);
        // A line that cannot be read has a number, a document its part.
        let place = match what {
            "cut off" => format!("scenes.jsonl:{}:", BROKEN - first + 1),
            _ => format!("scenes.jsonl#part={}", BROKEN - first),
        };
        check(kit, what, &said, good, &place, broken.says);
        (first, good) = (FROM, [0, N_DOCUMENTS - 1 - FROM]);
    }
}

#[test]
fn one_of_the_lines_of_a_file_on_sqlite() {
    one_of_the_lines_of_a_file(&Kit::sqlite());
}

#[test]
fn one_of_the_lines_of_a_file_on_postgis() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    one_of_the_lines_of_a_file(&Kit::postgis(&cluster));
}

#[test]
fn one_of_the_files_of_a_folder() {
    let kit = Kit::sqlite();
    kit.with_products();
    let name = |n: usize, ending: &str| format!("scenes/{:03}/{n}.odc-metadata.{ending}", n / 100);
    for n in (0..N_DOCUMENTS).filter(|n| *n != BROKEN) {
        // Every other one is YAML that is no JSON.
        if n % 2 == 0 {
            kit.write(&name(n, "json"), &document(n).to_string());
        } else {
            kit.write(&name(n, "yaml"), &datacube::model::to_yaml(&document(n)));
        }
    }
    // All of it, then the part with the broken one.
    let (mut folder, mut good) = (kit.path("scenes"), [N_DOCUMENTS - 1, 0]);
    let yaml = [
        ("broken YAML", "id: [\nlabel: }", &["yaml:2:"][..]),
        ("a tab", "id: 1\n\tlabel: x", &["yaml:2:"]),
        ("a list", "- 1\n- 2\n", &["mapping"]),
        ("a word", "word\n", &["mapping"]),
        ("no text", "\u{0}\u{1}", &[]),
    ];
    let yaml = yaml.map(|(what, text, says)| {
        (
            what,
            Broken {
                text: text.to_owned(),
                says,
            },
        )
    });
    for (what, broken) in broken().into_iter().chain(yaml) {
        kit.write(&name(BROKEN, "yaml"), &broken.text);
        let said = kit.run(&["dataset", "add", &folder]);
        check(&kit, what, &said, good, &name(BROKEN, "yaml"), broken.says);
        (folder, good) = (kit.path(&format!("scenes/{:03}", BROKEN / 100)), [0, 99]);
    }
    // Bytes that are no text, and a file that may not be read or is gone.
    std::fs::write(kit.path(&name(BROKEN, "yaml")), [0xff, 0xfe, 0x00]).expect("written");
    let said = kit.run(&["dataset", "add", &folder]);
    check(
        &kit,
        "no UTF-8",
        &said,
        good,
        &name(BROKEN, "yaml"),
        &["UTF-8"],
    );
    std::fs::remove_file(kit.path(&name(BROKEN, "yaml"))).expect("removed");
    std::os::unix::fs::symlink("nowhere", kit.path(&name(BROKEN, "yaml"))).expect("linked");
    let said = kit.run(&["dataset", "add", &folder]);
    check(
        &kit,
        "gone",
        &said,
        good,
        &name(BROKEN, "yaml"),
        &["No such file"],
    );
}

#[test]
fn one_of_the_documents_of_a_yaml_file() {
    let kit = Kit::sqlite();
    kit.with_products();
    let (mut first, mut good) = (0, [N_DOCUMENTS - 1, 0]);
    for (what, broken) in broken() {
        let all = lines((first..N_DOCUMENTS).map(|n| text(n, &broken)), "---\n");
        let file = kit.write("scenes.yaml", &all);
        let said = kit.run(&["dataset", "add", &file]);
        let place = match what {
            // Two lines each; the text ends in the line after the one where it was cut off.
            "cut off" => format!("scenes.yaml:{}:", 2 * (BROKEN - first) + 3),
            _ => format!("scenes.yaml#part={}", BROKEN - first),
        };
        check(&kit, what, &said, good, &place, broken.says);
        (first, good) = (FROM, [0, N_DOCUMENTS - 1 - FROM]);
    }
}
