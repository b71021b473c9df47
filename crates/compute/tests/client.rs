//! Clients: futures, dependencies, faults, and what a cluster tells of itself.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Fault, Log, Pattern};
use datacube_compute::client::{
    Client, ComputeOptions, Future, ReturnWhen, Status, as_completed, gather, gather_or_skip, wait,
};
use datacube_compute::observe::{JobState, SpanCursor, StepKind};
use datacube_compute::{Chunks, Cube, DataArray, LocalCluster};
use datacube_model::DType;
use parking_lot::{Condvar, Mutex};

const DIMS: [&str; 3] = ["time", "y", "x"];

fn cluster() -> LocalCluster {
    LocalCluster::new()
        .name("test")
        .n_workers(2)
        .threads_per_worker(1)
        .memory_limit("256MiB")
        .unwrap()
        .start()
        .unwrap()
}

fn client() -> (LocalCluster, Client) {
    let cluster = cluster();
    let client = Client::quiet(&cluster).unwrap();
    (cluster, client)
}

fn red(log: &Arc<Log>) -> Pattern {
    Pattern::new("red", &[6, 20, 20], DType::UInt16, log)
}

fn cube(pattern: Pattern) -> Cube {
    let red: DataArray = pattern.array(&DIMS, &Chunks::new([("time", 1), ("y", 10)]));
    Cube::new([("red", red + 1)]).unwrap()
}

/// The cluster does other work as if nothing had happened.
fn works(client: &Client) {
    assert_eq!(client.submit(|| 20 + 22).result().unwrap(), 42);
    let computed = client.compute(&cube(red(&Log::new()))).result().unwrap();
    assert!(computed.get("red").unwrap().is_computed());
}

/// Waits for what another thread is about to do.
fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came true");
}

/// A door that functions wait at.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn pass(&self) {
        let mut open = self.0.lock();
        while !*open {
            self.1.wait(&mut open);
        }
    }

    fn open(&self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }
}

#[test]
fn functions_and_their_results() {
    let (_cluster, client) = client();
    let squares = client.map(0..1000u64, |i| i * i);
    let sum = client.submit_with(squares.clone(), |squares: Vec<_>| {
        squares.iter().map(|square| **square).sum::<u64>()
    });
    assert_eq!(sum.result().unwrap(), 332_833_500);
    assert_eq!(gather(&squares).unwrap()[31], 961);
    assert_eq!(sum.status(), Status::Finished);
    assert!(sum.key().starts_with("functions_and_their_results-"));
    let shown = sum.to_string();
    assert!(
        shown.starts_with("<Future: finished, type: u64, key: functions_and_their_results-"),
        "{shown}"
    );
    let scattered = client.scatter(vec![1, 2, 3]);
    let first = client.submit_with((scattered, sum), |(list, sum)| list[0] + *sum);
    assert_eq!(*first.value().unwrap(), 332_833_501);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let awaited = runtime.block_on(client.submit(|| "here"));
    assert_eq!(awaited.unwrap(), "here");
}

#[test]
fn long_chains_and_wide_fans_end() {
    let (_cluster, client) = client();
    let mut last = client.submit(|| 0u32);
    for _ in 0..20_000 {
        last = client.submit_with(last, |before| *before + 1);
    }
    assert_eq!(last.result().unwrap(), 20_000);
    let one = client.submit(|| 1u32);
    let fan: Vec<Future<u32>> = (0..1000)
        .map(|i| client.submit_with(one.clone(), move |one| *one + i))
        .collect();
    assert_eq!(gather(&fan).unwrap().iter().sum::<u32>(), 500_500);
}

#[test]
fn a_failure_and_a_panic_name_themselves_and_nothing_else_suffers() {
    let (_cluster, client) = client();
    let failed = client
        .call()
        .name("load")
        .try_submit(|| Err::<u8, _>("no such scene"));
    let panicked = client
        .call()
        .name("ndvi")
        .submit(|| -> u8 { panic!("odd pixel") });
    let user = client
        .call()
        .name("sum")
        .submit_with((failed.clone(), panicked.clone()), |(a, b)| *a + *b);
    let message = failed.exception().unwrap().to_string();
    assert_eq!(
        message,
        format!("task `{}` failed: no such scene", failed.key())
    );
    assert!(failed.key().starts_with("load-"));
    let message = panicked.result().unwrap_err().to_string();
    assert_eq!(
        message,
        format!("task `{}` panicked: odd pixel", panicked.key())
    );
    let message = user.result().unwrap_err().to_string();
    assert!(
        message.starts_with(&format!(
            "task `{}` was not run, because an input failed: task `load-",
            user.key()
        )),
        "{message}"
    );
    assert_eq!(user.status(), Status::Error);
    let all = [failed, panicked, client.submit(|| 7)];
    assert!(gather(&all).is_err());
    assert_eq!(gather_or_skip(&all), [7]);
    let info = client.scheduler_info();
    assert_eq!(info.n_errors, 2, "{:?}", info.errors);
    assert_eq!(info.errors.len(), 2);
    works(&client);
}

#[test]
fn what_fails_in_passing_is_tried_again() {
    let (_cluster, client) = client();
    let tries = Arc::new(AtomicUsize::new(0));
    let flaky = |fails: usize, retries: u32| {
        let tries = Arc::clone(&tries);
        tries.store(0, Ordering::SeqCst);
        client
            .call()
            .name("flaky")
            .retries(retries)
            .try_submit(move || {
                if tries.fetch_add(1, Ordering::SeqCst) < fails {
                    Err("the store is busy")
                } else {
                    Ok("done")
                }
            })
    };
    assert_eq!(flaky(2, 2).result().unwrap(), "done");
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let error = flaky(3, 2).result().unwrap_err().to_string();
    assert!(
        error.ends_with("failed: the store is busy after 3 tries"),
        "{error}"
    );
    works(&client);
}

#[test]
fn a_source_that_fails_twice_then_works() {
    let (cluster, client) = client();
    let fault = || Fault::FetchFailsTimes {
        at: vec![2, 5, 5],
        times: Arc::new(AtomicUsize::new(2)),
    };
    let expected = cube(red(&Log::new())).compute_with(&cluster).unwrap();
    let expected = expected.get("red").unwrap().to_vec::<u16>().unwrap();
    let flaky = cube(red(&Log::new()).fault(fault()));
    let once = client.compute(&flaky).result().unwrap_err();
    assert!(once.is_transient(), "{once}");
    assert!(
        once.to_string()
            .starts_with("chunk (2, 0, 0) of red, pixels [2:3, 0:10, 0:20]: "),
        "{once}"
    );
    let flaky = cube(red(&Log::new()).fault(fault()));
    let options = ComputeOptions::new().retries(2);
    let computed = client.compute_with(&flaky, &options).result().unwrap();
    assert_eq!(
        computed.get("red").unwrap().to_vec::<u16>().unwrap(),
        expected
    );
    works(&client);
}

#[test]
fn a_panicking_source_names_its_chunk() {
    let (cluster, client) = client();
    let broken = red(&Log::new()).fault(Fault::DecodePanics { at: vec![3, 15, 0] });
    let error = client.compute(&cube(broken)).result().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("chunk (3, 1, 0) of red, pixels [3:4, 10:20, 0:20]: the task panicked"),
        "{error}"
    );
    let info = cluster.scheduler_info();
    assert_eq!(info.errors[0].place, "red");
    assert_eq!(info.errors[0].chunk, "(3, 1, 0) [3:4, 10:20, 0:20]");
    assert_eq!(info.jobs[0].state, JobState::Failed);
    let map = info.jobs[0].map.as_ref().unwrap();
    assert_eq!(map.percent[1], 255, "the failed cell is marked");
    works(&client);
}

#[test]
fn cancelled_in_the_middle() {
    let (cluster, client) = client();
    let slow = red(&Log::new()).delay(Duration::from_secs(30));
    let future = client.compute(&cube(slow));
    let user = client.submit_with(future.clone(), |cube| cube.len());
    while cluster.scheduler_info().memory.fetching == 0 {
        std::thread::yield_now();
    }
    future.cancel();
    assert_eq!(future.status(), Status::Cancelled);
    let message = future.result().unwrap_err().to_string();
    assert_eq!(message, format!("task `{}` was cancelled", future.key()));
    assert!(user.result().unwrap_err().is_cancelled());
    assert!(user.cancelled());
    // The job lets go of its memory without waiting for its source.
    while cluster.scheduler_info().memory.tasks > 0 {
        std::thread::yield_now();
    }
    let jobs = cluster.scheduler_info().jobs;
    assert!(jobs[0].state != JobState::Done, "{jobs:?}");
    works(&client);
}

#[test]
fn a_function_that_waits_can_be_cancelled_and_one_that_runs_is_ignored() {
    let (_cluster, client) = client();
    let door = Arc::new(Door::default());
    let running: Vec<Future<()>> = (0..2)
        .map(|_| {
            let door = Arc::clone(&door);
            client.submit(move || door.pass())
        })
        .collect();
    while !running.iter().all(Future::running) {
        std::thread::yield_now();
    }
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let waiting = client.submit(move || count.fetch_add(1, Ordering::SeqCst));
    assert_eq!(waiting.status(), Status::Pending);
    waiting.cancel();
    running[0].cancel();
    assert_eq!(running[0].status(), Status::Cancelled);
    door.open();
    running[1].result().unwrap();
    assert!(running[0].result().unwrap_err().is_cancelled());
    assert!(waiting.result().is_err());
    works(&client);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn higher_priorities_first_and_dependents_before_others() {
    let cluster = LocalCluster::new()
        .n_workers(1)
        .threads_per_worker(1)
        .start()
        .unwrap();
    let client = Client::quiet(&cluster).unwrap();
    let door = Arc::new(Door::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let at_door = Arc::clone(&door);
    let first = client.submit(move || at_door.pass());
    while !first.running() {
        std::thread::yield_now();
    }
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().push(name)
    };
    let low = client.call().priority(-1).submit(note("low"));
    let a = client.submit(note("a"));
    let b = client.submit(note("b"));
    let high = client.call().priority(5).submit(note("high"));
    let noted = note("after a");
    let after_a = client.submit_with(a.clone(), move |_| noted());
    door.open();
    gather(&[low, a, b, high, after_a]).unwrap();
    assert_eq!(*order.lock(), ["high", "a", "after a", "b", "low"]);
}

#[test]
fn as_they_come() {
    let (_cluster, client) = client();
    let door = Arc::new(Door::default());
    let at_door = Arc::clone(&door);
    let slow = client.submit(move || {
        at_door.pass();
        1
    });
    let quick = client.submit(|| 2);
    let all = [slow.clone(), quick];
    let some = wait(&all, None, ReturnWhen::FirstCompleted);
    assert_eq!((some.done.len(), some.not_done.len()), (1, 1));
    let none = wait(&all, Duration::from_millis(5), ReturnWhen::AllCompleted);
    assert_eq!(none.not_done.len(), 1);
    let error = slow.result_timeout(Duration::from_millis(5)).unwrap_err();
    assert!(error.to_string().contains("has not ended yet"), "{error}");
    let mut completed = as_completed(all);
    assert_eq!(completed.next().unwrap().result().unwrap(), 2);
    let (tell, told) = std::sync::mpsc::channel();
    slow.add_done_callback(move |future| tell.send(future.result().unwrap()).unwrap());
    door.open();
    assert_eq!(completed.next_batch().len(), 1);
    assert!(completed.is_empty() && completed.next().is_none());
    assert_eq!(told.recv().unwrap(), 1);
}

#[test]
fn pure_functions_run_once_while_somebody_holds_them() {
    let (_cluster, client) = client();
    let ran = Arc::new(AtomicUsize::new(0));
    let square = |x: i32| {
        let ran = Arc::clone(&ran);
        client.call().name("square").pure(&x).submit(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            x * x
        })
    };
    let (a, b, c) = (square(3), square(3), square(4));
    assert_eq!((a.result().unwrap(), c.result().unwrap()), (9, 16));
    assert_eq!(a.key(), b.key());
    assert_eq!(ran.load(Ordering::SeqCst), 2);
    drop((a, b));
    until(|| square(3).result().unwrap() == 9 && ran.load(Ordering::SeqCst) == 3);
    // Without a name it is the function itself that counts.
    let one = client.call().pure(&1).submit(|| "one");
    let other = client.call().pure(&1).submit(|| "other");
    assert_eq!(
        (one.result().unwrap(), other.result().unwrap()),
        ("one", "other")
    );
}

#[test]
fn the_same_computation_is_the_same_work() {
    let (_cluster, client) = client();
    let log = Log::new();
    let (first, second) = (cube(red(&log)), cube(red(&log)));
    let (a, b) = (client.compute(&first), client.compute(&second));
    assert_eq!(a.key(), b.key());
    a.result().unwrap();
    b.result().unwrap();
    assert_eq!(log.count(), 12, "each chunk was fetched once");
}

#[test]
fn persisted_cubes_are_read_once() {
    let (cluster, client) = client();
    let log = Log::new();
    let persisted = client.persist(&cube(red(&log))).unwrap();
    let array = persisted.get("red").unwrap();
    assert!(!array.is_computed());
    let twice = (array * 2).compute_with(&cluster).unwrap();
    let part = array
        .isel("time", 4..5)
        .unwrap()
        .compute_with(&cluster)
        .unwrap();
    let expected = cube(red(&Log::new())).compute_with(&cluster).unwrap();
    let expected = expected.get("red").unwrap().to_vec::<u16>().unwrap();
    let doubled: Vec<u16> = expected.iter().map(|v| v.wrapping_mul(2)).collect();
    assert_eq!(twice.to_vec::<u16>().unwrap(), doubled);
    assert_eq!(part.to_vec::<u16>().unwrap(), expected[1600..2000]);
    assert_eq!(log.count(), 12);
}

#[test]
fn results_are_freed_with_their_futures() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (_cluster, client) = client();
    let alive = Arc::new(AtomicUsize::new(0));
    let make = || {
        let alive = Arc::clone(&alive);
        client.submit(move || {
            alive.fetch_add(1, Ordering::SeqCst);
            Counted(alive)
        })
    };
    let (a, b) = (make(), make());
    let both = client.submit_with((a.clone(), b), |(a, _)| a.0.load(Ordering::SeqCst));
    assert_eq!(both.result().unwrap(), 2);
    // The user let its inputs go.
    until(|| alive.load(Ordering::SeqCst) == 1);
    drop(a);
    until(|| alive.load(Ordering::SeqCst) == 0);
    // What nobody waits for is not run, unless somebody says so.
    let door = Arc::new(Door::default());
    let blocked: Vec<Future<()>> = (0..2)
        .map(|_| {
            let door = Arc::clone(&door);
            client.submit(move || door.pass())
        })
        .collect();
    let ran = Arc::new(AtomicUsize::new(0));
    let note = || {
        let ran = Arc::clone(&ran);
        move || {
            ran.fetch_add(1, Ordering::SeqCst);
        }
    };
    drop(client.submit(note()));
    client.fire_and_forget(client.submit(note()));
    door.open();
    gather(&blocked).unwrap();
    works(&client);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_restart_gives_up_everything_and_goes_on() {
    let (cluster, client) = client();
    let had = client.submit(|| 5);
    assert_eq!(had.result().unwrap(), 5);
    let slow = client.compute(&cube(red(&Log::new()).delay(Duration::from_secs(30))));
    while cluster.scheduler_info().memory.fetching == 0 {
        std::thread::yield_now();
    }
    client.restart().unwrap();
    assert_eq!(had.status(), Status::Lost);
    let message = had.result().unwrap_err().to_string();
    assert!(message.contains("restarted; submit it again"), "{message}");
    assert!(slow.result().is_err());
    works(&client);
}

#[test]
fn a_closed_cluster_says_so() {
    let (cluster, client) = client();
    let door = Arc::new(Door::default());
    let blocked: Vec<Future<()>> = (0..2)
        .map(|_| {
            let door = Arc::clone(&door);
            client.submit(move || door.pass())
        })
        .collect();
    while !blocked.iter().all(Future::running) {
        std::thread::yield_now();
    }
    let waiting = client.submit(|| 1);
    let closing = {
        let opener = Arc::clone(&door);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            opener.open();
        })
    };
    cluster.close();
    closing.join().unwrap();
    let message = waiting.result().unwrap_err().to_string();
    assert!(message.contains("the cluster is closed"), "{message}");
    let message = client.submit(|| 1).result().unwrap_err().to_string();
    assert!(message.contains("the cluster is closed"), "{message}");
    assert!(client.compute(&cube(red(&Log::new()))).result().is_err());
    assert_eq!(client.to_string(), "<Client: No scheduler connected>");
    assert!(Client::quiet(&cluster).is_err());
    assert!(client.restart().is_err());
}

#[test]
fn workers_come_and_go() {
    let (cluster, client) = client();
    for n in [5, 1, 3] {
        cluster.scale(n).unwrap();
        assert_eq!((cluster.n_workers(), cluster.n_threads()), (n, n));
        // As many functions run side by side as there are threads.
        let door = Arc::new(Door::default());
        let running: Vec<Future<()>> = (0..n)
            .map(|_| {
                let door = Arc::clone(&door);
                client.submit(move || door.pass())
            })
            .collect();
        while !running.iter().all(Future::running) {
            std::thread::yield_now();
        }
        door.open();
        gather(&running).unwrap();
        works(&client);
        assert_eq!(cluster.scheduler_info().workers.len(), n);
    }
    assert!(cluster.scale(0).is_err());
}

#[test]
fn shown_as_dask_shows_them() {
    let (cluster, client) = client();
    assert_eq!(
        cluster.to_string(),
        "LocalCluster(test, 'inproc://test', workers=2, threads=2, memory=512.00 MiB)"
    );
    assert_eq!(
        client.to_string(),
        "<Client: 'inproc://test' processes=2 threads=2, memory=512.00 MiB>"
    );
    cluster.set_dashboard_link(Some("http://127.0.0.1:8787/status?a=1&b".to_owned()));
    let html = client.to_html();
    for part in [
        "Connection method",
        "Cluster object",
        "datacube.LocalCluster",
        "Cluster Info",
        "Scheduler Info",
        "inproc://test/1",
        "512.00 MiB",
        "http://127.0.0.1:8787/status?a=1&amp;b",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(cluster.to_html().contains("Total threads"));
}

#[test]
fn a_client_becomes_the_default_and_closes_its_own_cluster() {
    // Nothing else in this file looks at the default.
    let client = Client::local().unwrap();
    let default = datacube_compute::default_client().unwrap();
    assert_eq!(default.to_string(), client.to_string());
    let engine = datacube_compute::default_engine().unwrap();
    assert!(
        client
            .to_string()
            .contains(&engine.name().replace("LocalCluster ", "inproc://"))
    );
    client.close();
    assert!(client.is_closed() && default.is_closed());
    assert!(datacube_compute::default_client().is_none());
    let engine = datacube_compute::default_engine().unwrap();
    assert_eq!(engine.name(), "LocalCluster default");
    client.close();
}

#[test]
fn everything_is_watched() {
    let (cluster, client) = client();
    let folder = tempfile::tempdir().unwrap();
    let report = client
        .performance_report(folder.path().join("report.html"))
        .unwrap();
    client.compute(&cube(red(&Log::new()))).result().unwrap();
    gather(&client.call().name("inc").map(0..100, |i| i + 1)).unwrap();
    let failed = client
        .call()
        .name("bad")
        .submit(|| -> u8 { panic!("<odd> pixel") });
    assert!(failed.result().is_err());
    let spans = cluster.monitor().spans(&mut SpanCursor::default());
    let count = |kind| spans.iter().filter(|span| span.kind == kind).count();
    assert_eq!(count(StepKind::Fetch), 12);
    assert_eq!(count(StepKind::Compute), 12 + 101);
    let info = cluster.scheduler_info();
    let layer = |name: &str| info.layers.iter().find(|layer| layer.name == name).unwrap();
    assert_eq!((layer("red").total, layer("red").done), (12, 12));
    assert_eq!((layer("inc").total, layer("inc").done), (100, 100));
    assert_eq!(layer("bad").failed, 1);
    assert_eq!(info.jobs[0].done, 12);
    let map = info.jobs[0].map.as_ref().unwrap();
    assert!(map.percent.iter().all(|&percent| percent == 100), "{map:?}");
    let path = report.finish().unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    for part in [
        "<h2>Summary</h2>",
        "112 finished, 1 failed",
        "<h2>Task stream</h2>",
        "<h2>Memory</h2>",
        "&lt;odd&gt; pixel",
        "<h2>Layers</h2>",
        "datacube 0.",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    // Any thread may have been asleep all the time; one that worked has its row.
    for span in spans.iter().filter(|span| span.kind == StepKind::Compute) {
        let row = format!("worker {}.{}", span.worker.unwrap(), span.thread);
        assert!(html.contains(&row), "{row} in {html}");
    }
    assert!(
        !html.contains("src=") && !html.contains("<script"),
        "needs nothing else"
    );
    let nowhere = folder.path().join("no/such/folder.html");
    let error = client.performance_report(nowhere).unwrap_err().to_string();
    assert!(error.contains("no/such/folder.html"), "{error}");
}

#[test]
fn run_reaches_the_process_of_the_workers() {
    let (_cluster, client) = client();
    let name = client
        .run(|| std::thread::current().name().map(str::to_owned))
        .unwrap();
    assert!(name.unwrap().starts_with("datacube-test-"));
    assert!(
        client
            .run(|| panic!("no credentials"))
            .is_err_and(|error| error.to_string().contains("no credentials"))
    );
}
