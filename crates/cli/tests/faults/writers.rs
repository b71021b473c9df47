//! Two processes that add the same documents at once.

use std::process::{Output, Stdio};

use datacube_testkit::Cluster;

use crate::archive::{Archive, tally};
use crate::kit::{Kit, said};

const N_DOCUMENTS: usize = 3000;

#[test]
fn of_an_embedded_index() {
    check(&Archive::new(Kit::sqlite(), N_DOCUMENTS), None);
}

#[test]
fn of_a_server() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let archive = Archive::new(Kit::postgis(&cluster), N_DOCUMENTS);
    check(&archive, Some(&cluster));
}

fn check(archive: &Archive, cluster: Option<&Cluster>) {
    // One of them reads them from the last to the first.
    let text = std::fs::read_to_string(&archive.file).expect("read");
    let backwards: Vec<&str> = text.lines().rev().collect();
    // The same name in another folder: a dataset is where it was found first.
    let reversed = archive
        .kit
        .write("reversed/scenes.jsonl", &backwards.join("\n"));
    let start = |file: &str| {
        let mut command = archive.kit.command();
        command
            .arg("--index")
            .arg(&archive.kit.url)
            .args(["dataset", "add", file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the binary runs")
    };
    let writers = [&archive.file, &archive.file, &reversed].map(|file| start(file));
    let mut n_added = 0;
    for writer in writers {
        let output: Output = writer.wait_with_output().expect("it ends");
        let said = said(&output);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{said:?}");
        let [added, there, failed] = tally(&said);
        assert_eq!((added + there, failed), (N_DOCUMENTS, 0), "{said:?}");
        n_added += added;
    }
    assert_eq!(
        n_added, N_DOCUMENTS,
        "each dataset was added by one of them"
    );
    assert_eq!(archive.kit.n_active(), N_DOCUMENTS as u64);
    assert_eq!(archive.complete(), 0);
    match cluster {
        Some(cluster) => crate::archive::check_database(cluster, &archive.kit),
        None => crate::archive::check_file(&archive.kit),
    }
}
