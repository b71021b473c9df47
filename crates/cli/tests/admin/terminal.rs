//! At a terminal: questions, progress and colours, through `script`.

use std::io::Write;
use std::process::{Command, Stdio};

use super::kit::{IDS, Kit, binary};

/// Runs a command on a terminal of its own, typing `answer`; what was on the screen, and the status.
fn at_terminal(kit: &Kit, arguments: &str, answer: &str) -> Option<(String, i32)> {
    let line = format!("'{}' --index '{}' {arguments}", binary().display(), kit.url);
    let child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        datacube_testkit::skip("there is no `script` to make a terminal with");
        return None;
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(answer.as_bytes()).expect("typed");
    let output = child.wait_with_output().expect("ends");
    drop(stdin);
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    Some((screen, output.status.code().expect("not killed")))
}

#[test]
fn what_destroys_asks_first() {
    let kit = Kit::sqlite();
    kit.filled();
    kit.ok(&["dataset", "archive", IDS[0]]);
    for answer in ["n\n", "\n", "nonsense\n"] {
        let Some((screen, status)) = at_terminal(&kit, "dataset purge --all", answer) else {
            return;
        };
        assert_eq!(status, 1, "{screen}");
        assert!(
            screen.contains("1 dataset will be removed from the index for good. Proceed? [y/N]:"),
            "{screen}"
        );
        assert!(screen.contains("Aborted: nothing was done."), "{screen}");
    }
    let all = ["dataset", "count", "--count-only", "--status", "all"];
    assert_eq!(kit.ok(&all), "5\n");
    // At a terminal --force asks, too.
    let force = format!("dataset purge --force {}", IDS[1]);
    let (screen, status) = at_terminal(&kit, &force, "n\n").expect("there is a terminal");
    assert!(status == 1 && screen.contains("[y/N]"), "{screen}");
    let (screen, status) = at_terminal(&kit, "dataset purge --all", "y\n").expect("a terminal");
    assert!(
        status == 0 && screen.contains("1 of 1 datasets purged"),
        "{screen}"
    );
    let (screen, status) = at_terminal(&kit, "system clear --yes", "").expect("a terminal");
    assert!(status == 0 && !screen.contains("[y/N]"), "{screen}");
}

#[test]
fn progress_and_colours_are_for_terminals() {
    let kit = Kit::sqlite();
    kit.filled();
    kit.ok(&["dataset", "purge", "--force", IDS[0]]);
    let add = format!("dataset add {}", kit.path("scenes"));
    let Some((screen, status)) = at_terminal(&kit, &add, "") else {
        return;
    };
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains("Indexing datasets"), "{screen}");
    assert!(screen.contains("Added 1 datasets"), "{screen}");
    let (screen, _) = at_terminal(&kit, "product list", "").expect("a terminal");
    assert!(screen.contains("\x1b[32mtiny\x1b[0m"), "{screen:?}");
    assert!(!kit.ok(&["product", "list"]).contains('\x1b'));
    let (screen, status) = at_terminal(&kit, "product show nope", "").expect("a terminal");
    assert!(
        status == 1 && screen.contains("\x1b[1;31merror:\x1b[0m"),
        "{screen:?}"
    );
}
