//! Engines under stress: faults, limits, orders, cancellation, other runtimes.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Fault, Log, Pattern};
use datacube_compute::{
    CancelToken, ChunkSink, Chunks, Compute, Coords, Cube, DataArray, Engine, Error, Job,
    LocalCluster, MemorySink, Region, Serial, SinkError, WriteOrder,
};
use datacube_model::DType;
use parking_lot::Mutex;

const DIMS: [&str; 3] = ["time", "y", "x"];

fn cluster() -> LocalCluster {
    LocalCluster::builder()
        .n_workers(2)
        .threads_per_worker(1)
        .memory_limit("256MiB")
        .unwrap()
        .start()
        .unwrap()
}

fn source(log: &Arc<Log>) -> Pattern {
    Pattern::new("red", &[6, 20, 20], DType::UInt16, log)
}

fn chunks() -> Chunks {
    Chunks::new([("time", 1), ("y", 10)])
}

fn works(engine: &dyn Engine) {
    let log = Log::new();
    let array = source(&log).array(&DIMS, &chunks()) + 1;
    let expected = array.compute_with(&Serial::new()).unwrap();
    let found = array.compute_with(engine).unwrap();
    assert_eq!(
        found.to_vec::<u16>().unwrap(),
        expected.to_vec::<u16>().unwrap()
    );
}

#[test]
fn starting_is_quick() {
    let start = Instant::now();
    let cluster = LocalCluster::start().unwrap();
    let took = start.elapsed();
    assert!(
        took < Duration::from_millis(50) || cfg!(debug_assertions) && took < Duration::from_secs(1),
        "{took:?}"
    );
    assert!(
        cluster.to_string().starts_with("LocalCluster("),
        "{cluster}"
    );
    works(&cluster);
}

#[test]
fn faults_name_their_chunk_and_leave_the_engine_usable() {
    let at = vec![3, 12, 0];
    let faults = [
        (
            Fault::FetchFails {
                at: at.clone(),
                transient: true,
            },
            "connection reset",
            true,
        ),
        (
            Fault::FetchFails {
                at: at.clone(),
                transient: false,
            },
            "connection reset",
            false,
        ),
        (
            Fault::DecodeFails { at: at.clone() },
            "block 7 is truncated",
            false,
        ),
        (Fault::FetchPanics { at: at.clone() }, "panicked", false),
        (Fault::DecodePanics { at }, "decoding was too much", false),
    ];
    let cluster = cluster();
    let serial = Serial::new();
    let engines: [&dyn Engine; 2] = [&serial, &cluster];
    for engine in engines {
        for (fault, words, transient) in &faults {
            let log = Log::new();
            let array = source(&log).fault(fault.clone()).array(&DIMS, &chunks());
            let array = (array * 2).named("double");
            let error = array.compute_with(engine).unwrap_err();
            let text = error.to_string();
            let place = "chunk (3, 1, 0) of double, pixels [3:4, 10:20, 0:20]: ";
            assert!(text.starts_with(place), "{text}");
            assert!(text.contains(words), "{text}");
            assert_eq!(error.is_transient(), *transient, "{text}");
            works(engine);
        }
    }
}

#[test]
fn a_panic_before_anything_is_read_is_an_error_too() {
    let log = Log::new();
    let fault = Fault::ProjectPanics { at: vec![0, 0, 0] };
    let array = source(&log).fault(fault).array(&DIMS, &chunks());
    let cluster = cluster();
    let error = array.compute_with(&cluster).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("chunk (0, 0, 0)") && text.contains("projecting was too much"),
        "{text}"
    );
    assert_eq!(log.count(), 0);
    works(&cluster);
}

/// A sink that fails, panics, or keeps the order of what it is given.
struct Sink {
    order: WriteOrder,
    fail_at: Option<usize>,
    panic_at: Option<usize>,
    writes: Mutex<Vec<(usize, Region)>>,
    writing: AtomicUsize,
}

impl Sink {
    fn new(order: WriteOrder) -> Sink {
        Sink {
            order,
            fail_at: None,
            panic_at: None,
            writes: Mutex::default(),
            writing: AtomicUsize::new(0),
        }
    }
}

impl ChunkSink for Sink {
    fn order(&self) -> WriteOrder {
        self.order
    }

    fn write(&self, output: usize, region: &Region, _: &[u8]) -> Result<(), SinkError> {
        let others = self.writing.fetch_add(1, Ordering::SeqCst);
        if self.order == WriteOrder::Chunks {
            assert_eq!(others, 0, "one write at a time");
        }
        let time = region.ranges()[0].start;
        // Later chunks are quicker, so that they would overtake.
        std::thread::sleep(Duration::from_millis(8u64.saturating_sub(time as u64)));
        self.writes.lock().push((output, region.clone()));
        self.writing.fetch_sub(1, Ordering::SeqCst);
        assert_ne!(self.panic_at, Some(time), "the sink panicked");
        if self.fail_at == Some(time) {
            Err("disk full".into())
        } else {
            Ok(())
        }
    }
}

#[test]
fn chunks_come_in_order_where_the_sink_needs_it() {
    let log = Log::new();
    let array = source(&log).array(&DIMS, &chunks());
    let other = Pattern::new("nir", &[6, 20, 20], DType::UInt16, &log).array(&DIMS, &chunks());
    let cube = Cube::new([("a", array.clone()), ("b", &array + &other)]).unwrap();
    let cluster = LocalCluster::builder().n_workers(4).start().unwrap();
    let sink = Sink::new(WriteOrder::Chunks);
    cluster
        .run(&Job::new(cube.plan().unwrap()), &sink, &())
        .unwrap();
    let writes = sink.writes.into_inner();
    assert_eq!(writes.len(), 24);
    for output in 0..2 {
        let starts: Vec<(usize, usize)> = writes
            .iter()
            .filter(|(number, _)| *number == output)
            .map(|(_, region)| (region.ranges()[0].start, region.ranges()[1].start))
            .collect();
        assert!(starts.is_sorted(), "{starts:?}");
    }
}

#[test]
fn sinks_that_fail_name_the_place() {
    let cluster = cluster();
    for order in [WriteOrder::Any, WriteOrder::Chunks] {
        let log = Log::new();
        let plan = source(&log).array(&DIMS, &chunks()).plan().unwrap();
        let failing = Sink {
            fail_at: Some(2),
            ..Sink::new(order)
        };
        let error = cluster
            .run(&Job::new(plan.clone()), &failing, &())
            .unwrap_err()
            .to_string();
        assert!(error.contains("of red: disk full"), "{error}");
        let panicking = Sink {
            panic_at: Some(2),
            ..Sink::new(order)
        };
        let error = cluster
            .run(&Job::new(plan), &panicking, &())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("chunk (2, ") && error.contains("the sink panicked"),
            "{error}"
        );
        works(&cluster);
    }
}

#[test]
fn results_larger_than_memory_are_refused_before_reading() {
    let log = Log::new();
    let huge = Pattern::new("red", &[1000, 4000, 4000], DType::Float32, &log)
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let cluster = cluster();
    let serial = Serial::new().with_memory_limit(1 << 30);
    let engines: [&dyn Engine; 2] = [&serial, &cluster];
    for engine in engines {
        let error = huge.compute_with(engine).unwrap_err();
        assert!(error.is_too_large());
        let text = error.to_string();
        assert!(
            text.starts_with("the result needs 59.60 GiB of memory"),
            "{text}"
        );
        assert!(
            text.contains("nothing was read") && text.contains(".zarr"),
            "{text}"
        );
    }
    assert_eq!(log.count(), 0);
}

#[test]
fn chunks_larger_than_memory_are_refused_before_reading() {
    let log = Log::new();
    let shape = [3, 8192, 8192];
    let make = |name: &str| {
        Pattern::new(name, &shape, DType::Float64, &log).array(&DIMS, &Chunks::new([("time", 1)]))
    };
    let sum = (make("red") + make("nir")).named("sum");
    let small = LocalCluster::builder()
        .n_workers(1)
        .memory_limit("1GiB")
        .unwrap()
        .start()
        .unwrap();
    let sink = Sink::new(WriteOrder::Any);
    let error = small
        .run(&Job::new(sum.plan().unwrap()), &sink, &())
        .unwrap_err();
    assert!(error.is_too_large());
    let text = error.to_string();
    assert!(
        text.starts_with("one chunk of sum, (1, 8192, 8192) pixels, needs 2."),
        "{text}"
    );
    assert!(
        text.contains("inputs 1.00 GiB") && text.contains("such as (1, 2048, 4096)"),
        "{text}"
    );
    assert_eq!(log.count(), 0);
    works(&small);
}

#[test]
fn outputs_that_do_not_fit_together_are_made_one_by_one() {
    let log = Log::new();
    let qa =
        Pattern::new("qa", &[1, 1024, 1024], DType::UInt16, &log).array(&DIMS, &Chunks::whole());
    let clear = qa.gt(100);
    let bands: Vec<(String, DataArray)> = (0..6)
        .map(|i| {
            let name = format!("b{i}");
            let band = Pattern::new(&name, &[1, 1024, 1024], DType::UInt16, &log)
                .array(&DIMS, &Chunks::whole());
            (name, band.where_(&clear))
        })
        .collect();
    let cube = Cube::new(bands).unwrap();
    let job = Job::new(cube.plan().unwrap());
    let reads = |memory: &str| {
        log.clear();
        let cluster = LocalCluster::builder()
            .n_workers(1)
            .memory_limit(memory)
            .unwrap()
            .start()
            .unwrap();
        let report = cluster.run(&job, &Sink::new(WriteOrder::Any), &()).unwrap();
        (report.tasks, log.regions("qa").len())
    };
    assert_eq!(
        reads("1GiB"),
        (1, 1),
        "together: the quality band is read once"
    );
    assert_eq!(
        reads("20MiB"),
        (6, 6),
        "apart: it is read again, and less is held"
    );
}

#[test]
fn memory_stays_under_the_limit() {
    let log = Log::new();
    let array = Pattern::new("red", &[64, 512, 512], DType::Float32, &log)
        .delay(Duration::from_millis(1))
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let cluster = LocalCluster::builder()
        .n_workers(2)
        .threads_per_worker(2)
        .memory_limit("3MiB")
        .unwrap()
        .start()
        .unwrap();
    let sink = Sink::new(WriteOrder::Any);
    let report = cluster
        .run(&Job::new((array + 1.0).plan().unwrap()), &sink, &())
        .unwrap();
    assert_eq!(report.tasks, 64);
    assert!(
        report.peak_pool_bytes <= 6 << 20,
        "{}",
        report.peak_pool_bytes
    );
    assert!(
        report.peak_pool_bytes >= 2 << 20,
        "{}",
        report.peak_pool_bytes
    );
}

#[test]
fn fetching_goes_on_while_computing() {
    let log = Log::new();
    let delay = Duration::from_millis(20);
    let array = Pattern::new("red", &[40, 16, 16], DType::Float32, &log)
        .delay(delay)
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let start = Instant::now();
    let (_, report) = Compute::new().engine(&cluster()).array(&array).unwrap();
    assert_eq!(report.requests, 40);
    assert!(report.fetch >= 40 * delay, "{:?}", report.fetch);
    assert!(
        start.elapsed() < 20 * delay,
        "side by side: {:?}",
        start.elapsed()
    );
}

#[test]
fn cancelling_stops_a_job_and_not_the_engine() {
    let log = Log::new();
    let array = Pattern::new("red", &[500, 16, 16], DType::Float32, &log)
        .delay(Duration::from_millis(5))
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let cluster = cluster();
    let serial = Serial::new();
    let engines: [&dyn Engine; 2] = [&serial, &cluster];
    for engine in engines {
        let token = CancelToken::new();
        let canceller = token.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            canceller.cancel();
        });
        let slow = Job::new(array.plan().unwrap()).with_cancel(token);
        let sink = Sink::new(WriteOrder::Any);
        let error = engine.run(&slow, &sink, &()).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        assert!(error.to_string().contains("of 500 tasks"), "{error}");
        thread.join().unwrap();
        works(engine);
    }
}

#[test]
fn closing_twice_and_closing_in_the_middle() {
    let closed = cluster();
    closed.close();
    closed.close();
    assert!(closed.is_closed());
    let array = DataArray::from_values("a", &["x"], &[2], vec![1u8, 2], Coords::new()).unwrap() + 1;
    let error = array.compute_with(&closed).unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");

    let log = Log::new();
    let slow = Pattern::new("red", &[500, 16, 16], DType::Float32, &log)
        .delay(Duration::from_millis(20))
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let cluster = Arc::new(
        LocalCluster::builder()
            .n_workers(2)
            .fetch_ahead(1)
            .start()
            .unwrap(),
    );
    let closer = {
        let cluster = Arc::clone(&cluster);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            cluster.close();
        })
    };
    let error = slow.compute_with(&*cluster).unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    closer.join().unwrap();
}

#[test]
fn jobs_share_a_cluster() {
    let cluster = cluster();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| works(&cluster));
        }
    });
}

#[test]
fn a_task_cannot_wait_for_its_own_cluster() {
    struct Nested(LocalCluster);
    impl ChunkSink for Nested {
        fn write(&self, _: usize, _: &Region, _: &[u8]) -> Result<(), SinkError> {
            let array = DataArray::from_values("a", &["x"], &[1], vec![1u8], Coords::new())? + 1;
            array.compute_with(&self.0)?;
            Ok(())
        }
    }
    let log = Log::new();
    let plan = source(&log).array(&DIMS, &chunks()).plan().unwrap();
    let nested = Nested(cluster());
    let error = nested.0.run(&Job::new(plan), &nested, &()).unwrap_err();
    assert!(error.to_string().contains("serial engine"), "{error}");
}

#[test]
fn from_within_async_runtimes() {
    let log = Log::new();
    let array = source(&log).array(&DIMS, &chunks()) + 1;
    let expected = array
        .compute_with(&Serial::new())
        .unwrap()
        .to_vec::<u16>()
        .unwrap();
    let current = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    for runtime in [&current, &multi] {
        runtime.block_on(async {
            // Blocking within a task, with clusters started and dropped there.
            assert_eq!(array.compute().unwrap().to_vec::<u16>().unwrap(), expected);
            works(&cluster());
            works(&Serial::new());
            // Not blocking.
            let (a, b) = futures::join!(array.compute_async(), array.compute_async());
            assert_eq!(a.unwrap().to_vec::<u16>().unwrap(), expected);
            assert_eq!(b.unwrap().to_vec::<u16>().unwrap(), expected);
        });
    }
    // On no runtime at all.
    let cube = Cube::new([("a", array)]).unwrap();
    let computed = wait_for(cube.compute_async()).unwrap();
    assert_eq!(
        computed.get("a").unwrap().to_vec::<u16>().unwrap(),
        expected
    );
}

/// Polls a future on this thread, which sleeps in between.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn dropping_the_future_cancels_the_job() {
    let log = Log::new();
    let array = Pattern::new("red", &[2000, 16, 16], DType::Float32, &log)
        .delay(Duration::from_millis(10))
        .array(&DIMS, &Chunks::new([("time", 1)]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limit = Duration::from_millis(40);
        tokio::time::timeout(limit, array.compute_async())
            .await
            .unwrap_err();
    });
    // What was on its way ends, however slow the machine; then nothing more is read.
    let mut read = 0;
    while log.count() != read {
        read = log.count();
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(read < 2000, "all was read");
}

#[test]
fn arrays_in_memory_stay_as_they_are() {
    let array = DataArray::from_values("a", &["x"], &[2], vec![1u8, 2], Coords::new()).unwrap();
    let (same, report) = Compute::new().array(&array).unwrap();
    assert_eq!(report.tasks, 0);
    assert_eq!(same.to_vec::<u8>().unwrap(), [1, 2]);
    let error = MemorySink::new()
        .write(0, &Region::whole(&[2]), &[1, 2])
        .unwrap_err();
    assert!(
        error.to_string().contains("before the job began"),
        "{error}"
    );
}

#[test]
fn empty_arrays_have_no_tasks() {
    let log = Log::new();
    let array = source(&log)
        .array(&DIMS, &chunks())
        .isel("y", 5..5)
        .unwrap()
        + 1;
    for engine in [&Serial::new() as &dyn Engine, &cluster()] {
        let (computed, report) = Compute::new().engine(engine).array(&array).unwrap();
        assert_eq!((report.tasks, computed.shape()), (0, &[6, 0, 20][..]));
    }
    assert_eq!(log.count(), 0);
}
