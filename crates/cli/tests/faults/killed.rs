//! Writers that are killed, at moments that nobody chose.

use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use datacube::Datacube;
use datacube::index::Query;
use datacube_testkit::Cluster;

use crate::archive::{Archive, database, path};
use crate::kit::Kit;

/// Several batches of what one transaction takes.
const N_DOCUMENTS: usize = 8000;

/// How many datasets the command writes in one transaction.
const BATCH: usize = 2000;

/// How often a writer is killed; each begins where the one before was killed.
const N_KILLED: usize = 4;

#[test]
fn of_an_embedded_index() {
    let archive = Archive::new(Kit::sqlite(), N_DOCUMENTS);
    check(&archive, None);
    let folder = std::fs::read_dir(archive.kit.folder()).expect("read");
    let left: Vec<_> = folder
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("index.sqlite"))
        .collect();
    assert_eq!(left, ["index.sqlite"], "the log of those killed is gone");
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
    let mut moments = Vec::new();
    let mut n_in_the_middle = 0;
    let mut before = 0;
    for nth in 0..N_KILLED {
        let mut writer = spawn(archive);
        // The first when something is there for sure, the others at any moment.
        let wait = match nth {
            0 => {
                until_there(archive, &mut writer, 1);
                Duration::ZERO
            }
            1 => random(Duration::from_millis(100)),
            _ => random(Duration::from_millis(1500)),
        };
        moments.push(wait);
        std::thread::sleep(wait);
        writer.kill().expect("it is ours");
        writer.wait().expect("it ends");
        if let Some(cluster) = cluster {
            without_sessions(cluster, &archive.kit);
        }
        let n = archive.check_whole(cluster);
        assert!(
            n >= before,
            "{before} were there, {n} are left: {moments:?}"
        );
        assert_eq!(
            n % BATCH,
            0,
            "{n} datasets are no whole batches: {moments:?}"
        );
        n_in_the_middle += usize::from(before < n && n < N_DOCUMENTS);
        before = n;
    }
    assert!(n_in_the_middle > 0, "none was killed at work: {moments:?}");
    assert_eq!(archive.complete(), N_DOCUMENTS - before, "{moments:?}");
    assert_eq!(archive.check_whole(cluster), N_DOCUMENTS);
    assert_eq!(archive.complete(), 0);
    assert_eq!(archive.check_whole(cluster), N_DOCUMENTS);
}

fn spawn(archive: &Archive) -> Child {
    let mut command = archive.kit.command();
    command
        .arg("--index")
        .arg(&archive.kit.url)
        .args(["dataset", "add", &archive.file])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("the binary runs")
}

/// Returns when at least `n` datasets are there.
fn until_there(archive: &Archive, writer: &mut Child, n: u64) {
    let dc = Datacube::open_url(&archive.kit.url).expect("it opens");
    while dc.count(&Query::new()).expect("counted") < n {
        let ended = writer.try_wait().expect("it is ours");
        assert!(ended.is_none(), "it ended: {ended:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A time up to `most`, another one in each run.
fn random(most: Duration) -> Duration {
    let number = RandomState::new().hash_one(Instant::now());
    most.mul_f64((number % 10_000) as f64 / 10_000.0)
}

/// Returns when the server has noticed that its client is gone, and checks
/// that nothing is locked any more.
fn without_sessions(cluster: &Cluster, kit: &Kit) {
    let database = database(kit);
    let others = format!("datname = '{database}' AND pid <> pg_backend_pid()");
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE {others} AND backend_type = 'client backend'"
    );
    let started = Instant::now();
    while cluster.sql("postgres", &sessions) != "0" {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the server still serves a client that was killed"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let locks = format!(
        "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
         WHERE d.datname = '{database}' AND l.pid <> pg_backend_pid()"
    );
    assert_eq!(cluster.sql("postgres", &locks), "0");
    let prepared = cluster.sql("postgres", "SELECT count(*) FROM pg_prepared_xacts");
    assert_eq!(prepared, "0");
}

#[test]
fn in_the_middle_of_making_an_index() {
    // Made by a process that is killed at any moment, and made again.
    for _ in 0..8 {
        let kit = Kit::sqlite();
        let mut command = kit.command();
        command
            .arg("--index")
            .arg(&kit.url)
            .args(["system", "init"]);
        let mut maker = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary runs");
        std::thread::sleep(random(Duration::from_millis(40)));
        maker.kill().expect("it is ours");
        maker.wait().expect("it ends");
        kit.with_products();
        assert_eq!(kit.n_active(), 0);
        crate::archive::check_file(&kit);
        assert!(std::path::Path::new(path(&kit)).exists());
    }
}
