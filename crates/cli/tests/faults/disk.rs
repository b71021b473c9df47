//! Disks that are full, for an embedded index.

use std::path::Path;
use std::process::{Command, Output};

use crate::archive::{Archive, check_file, path, tally};
use crate::kit::{Kit, Said, binary, said};

const N_DOCUMENTS: usize = 7000;

/// Datasets that are written together.
const BATCH: usize = 2000;

/// What is said when nothing more can be written.
fn check_said(said: &Said, file: &str) {
    assert_eq!(said.status, 1, "{said:?}");
    for words in [
        "no space left",
        file,
        "nothing of this change was kept",
        "free some space",
    ] {
        assert!(said.err.contains(words), "`{words}` is not said: {said:?}");
    }
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
}

/// A shell that may write no file beyond so many KiB; it is told so by an
/// error, as on a full disk, and not by a signal.
fn limited(kit: &Kit, kib: usize, arguments: &[&str]) -> Said {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kib * 2);
    let mut command = kit.command();
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("sh");
    command
        .current_dir(kit.folder())
        .env_clear()
        .envs(environment)
        .args(["-c", &script, "sh"])
        .arg(binary())
        .args(["--index", &kit.url])
        .args(arguments);
    said(&command.output().expect("there is a shell"))
}

#[test]
fn a_file_that_may_not_grow() {
    let archive = Archive::new(Kit::sqlite(), N_DOCUMENTS);
    let kit = &archive.kit;
    let mut before = 0;
    // Room for nothing, for some batches, for some more.
    for mib in [1, 4, 6] {
        let said = limited(kit, mib * 1024, &["dataset", "add", &archive.file]);
        check_said(&said, path(kit));
        let n = archive.check_whole(None);
        assert!(
            n >= before && n.is_multiple_of(BATCH) && n < N_DOCUMENTS,
            "{n} datasets, {before} before"
        );
        before = n;
        // It can be read, searched, and told what it is, still without space.
        for arguments in [
            &["dataset", "count", "--count-only"][..],
            &["product", "list"],
            &["system", "check"],
        ] {
            let said = limited(kit, mib * 1024, arguments);
            assert_eq!(
                (said.status, said.err.as_str()),
                (0, ""),
                "{arguments:?}: {said:?}"
            );
        }
    }
    assert!(before > 0, "the limits leave no room at all");
    assert_eq!(archive.complete(), N_DOCUMENTS - before);
    assert_eq!(archive.check_whole(None), N_DOCUMENTS);
}

#[test]
fn an_index_that_cannot_be_made() {
    let kit = Kit::sqlite();
    let said = limited(&kit, 20, &["system", "init"]);
    check_said(&said, path(&kit));
    kit.with_products();
    check_file(&kit);
}

#[test]
fn a_disk_that_is_full() {
    let archive = Archive::new(Kit::sqlite(), N_DOCUMENTS);
    let kit = &archive.kit;
    let disk = kit.path("disk");
    std::fs::create_dir(&disk).expect("created");
    // A disk of its own, which nobody else sees and which is gone with the shell.
    let in_space = |script: &str| -> Output {
        let script = format!(
            "mount -t tmpfs -o size=6m tmpfs {disk} || exit 77\n\
             datacube() {{ {} --index sqlite:{disk}/index.sqlite \"$@\"; }}\n{script}",
            binary().display()
        );
        let mut command = Command::new("unshare");
        command
            .current_dir(kit.folder())
            .args(["--mount", "--map-root-user"]);
        command
            .args(["sh", "-c", &script])
            .output()
            .expect("there is a shell")
    };
    let tried = Command::new("unshare").arg("--version").output().is_ok()
        && in_space("true").status.success();
    if !tried {
        datacube_testkit::skip("this user may not mount a small disk of its own");
        return;
    }
    let (tiny, mean) = (kit.path("tiny.yaml"), kit.path("mean.yaml"));
    let kept = kit.path("kept.sqlite");
    let output = in_space(&format!(
        "datacube system init && datacube product add {tiny} {mean} || exit 1\n\
         datacube dataset add {file} >&2; echo status $?\n\
         datacube dataset count --count-only\n\
         datacube dataset search -f csv --limit 1 | tail -n 1 | cut -d, -f 3\n\
         ls {disk}\n\
         cp {disk}/index.sqlite* {folder}",
        file = archive.file,
        folder = Path::new(&kept).parent().expect("a folder").display(),
    ));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    let lines: Vec<&str> = out
        .lines()
        .skip_while(|line| !line.starts_with("status"))
        .collect();
    assert_eq!(lines[0], "status 1", "{out}{err}");
    let error = err.lines().last().unwrap_or_default();
    for words in ["no space left", "disk/index.sqlite", "free some space"] {
        assert!(error.contains(words), "`{words}` is not said: {err}");
    }
    let n: usize = lines[1].parse().unwrap_or_else(|_| panic!("{out}{err}"));
    assert!(
        n > 0 && n.is_multiple_of(BATCH) && n < N_DOCUMENTS,
        "{n} datasets"
    );
    assert_eq!(lines[2], "tiny", "{out}");
    // What was on that disk goes on where there is room.
    assert_eq!(archive.check_whole(None), n);
    let again = kit.ok(&["dataset", "add", &archive.file]);
    let again = Said {
        status: 0,
        out: again,
        err: String::new(),
    };
    assert_eq!(tally(&again), [N_DOCUMENTS - n, n, 0]);
}
