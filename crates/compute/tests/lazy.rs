//! What is read, and what is not: counted at the source.

mod common;

use std::sync::Arc;

use common::{Log, Pattern};
use datacube_compute::{
    Attrs, Chunks, Cube, DataArray, Engine, Event, Index, Job, LocalCluster, MemorySink, Observer,
    Region, RunReport, Serial, optimize,
};
use datacube_model::DType;
use parking_lot::Mutex;

const DIMS: [&str; 3] = ["time", "y", "x"];
const SHAPE: [usize; 3] = [4, 100, 100];

fn band(name: &str, log: &Arc<Log>) -> DataArray {
    let flags = serde_json::json!({"cloud": {"bits": 3, "values": {"0": "no", "1": "yes"}}});
    let chunks = Chunks::new([("time", 1), ("y", 50), ("x", 50)]);
    Pattern::new(name, &SHAPE, DType::UInt16, log)
        .array(&DIMS, &chunks)
        .with_attrs(
            Attrs::new()
                .with("flags_definition", flags)
                .with("nodata", 0),
        )
}

fn cube(log: &Arc<Log>) -> Cube {
    let names = ["blue", "green", "red", "nir", "swir", "qa"];
    Cube::new(names.map(|name| (name, band(name, log)))).unwrap()
}

fn ndvi(cube: &Cube) -> DataArray {
    let clear = cube.where_(&cube.get("qa").unwrap().make_mask([("cloud", "no")]));
    let (red, nir) = (clear.get("red").unwrap(), clear.get("nir").unwrap());
    ((nir - red) / (nir + red)).named("ndvi")
}

fn cluster() -> LocalCluster {
    LocalCluster::builder()
        .n_workers(2)
        .memory_limit("1GiB")
        .unwrap()
        .start()
        .unwrap()
}

/// Computes without the chunks being divided.
fn run(array: &DataArray) -> RunReport {
    struct Whole;
    impl datacube_compute::ChunkSink for Whole {
        fn write(&self, _: usize, _: &Region, _: &[u8]) -> Result<(), datacube_compute::SinkError> {
            Ok(())
        }
    }
    cluster()
        .run(&Job::new(array.plan().unwrap()), &Whole, &())
        .unwrap()
}

#[test]
fn unused_measurements_are_never_read() {
    let log = Log::new();
    let cube = cube(&log);
    let report = run(&ndvi(&cube));
    assert_eq!(report.tasks, 16);
    for name in ["red", "nir", "qa"] {
        assert_eq!(
            log.regions(name).len(),
            16,
            "{name}: once a chunk, though used twice"
        );
    }
    for name in ["blue", "green", "swir"] {
        assert!(log.regions(name).is_empty(), "{name}");
    }
    assert_eq!(report.requests, 48);
    assert_eq!(report.read_bytes, 3 * 4 * 100 * 100);
    assert_eq!(report.decoded_bytes, 3 * 4 * 100 * 100 * 2);
}

#[test]
fn the_five_placements_of_compute_agree() {
    let log = Log::new();
    let cube = cube(&log);
    let expected = ndvi(&cube.compute_with(&Serial::new()).unwrap());
    let expected = expected
        .compute_with(&Serial::new())
        .unwrap()
        .to_vec::<f32>()
        .unwrap();
    let mask = cube.get("qa").unwrap().make_mask([("cloud", "no")]);
    let clear = cube.where_(&mask).compute().unwrap();
    let at_mask = {
        let (red, nir) = (clear.get("red").unwrap(), clear.get("nir").unwrap());
        (nir - red) / (nir + red)
    };
    let selected = cube.select(&["nir", "red", "qa"]).unwrap();
    for found in [at_mask, ndvi(&cube), ndvi(&selected)] {
        let found = found.compute().unwrap().to_vec::<f32>().unwrap();
        let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        assert!(found.iter().zip(&expected).all(same));
    }
    let two = ndvi(&cube).isel("time", 0..2).unwrap().compute().unwrap();
    assert!(
        two.to_vec::<f32>()
            .unwrap()
            .iter()
            .zip(&expected)
            .all(|(a, b)| a == b || b.is_nan())
    );
}

#[test]
fn slicing_reaches_the_source() {
    let log = Log::new();
    let cube = cube(&log);
    let part = ndvi(&cube)
        .isel("time", 2)
        .unwrap()
        .isel("y", 10..20)
        .unwrap();
    let part = part.isel("x", Index::step(Some(60), Some(20), -1)).unwrap();
    run(&part);
    // The chunks of the result end where those of the source do.
    let expected = [
        Region::new(vec![2..3, 10..20, 21..50]),
        Region::new(vec![2..3, 10..20, 50..61]),
    ];
    for name in ["red", "nir", "qa"] {
        assert_eq!(log.regions(name), expected, "{name}");
    }
}

#[test]
fn steps_and_lists_read_what_is_cheaper() {
    let log = Log::new();
    let red =
        Pattern::new("red", &[40, 64, 64], DType::UInt16, &log).array(&DIMS, &Chunks::whole());
    // Far apart along time: single planes. Close together along x: one hull.
    run(&red.isel("time", Index::step(Some(1), None, 13)).unwrap());
    let plane = |time| Region::new(vec![time..time + 1, 0..64, 0..64]);
    assert_eq!(log.regions("red"), [plane(1), plane(14), plane(27)]);
    log.clear();
    run(&red.isel("x", Index::step(Some(1), Some(40), 2)).unwrap());
    assert_eq!(log.regions("red"), [Region::new(vec![0..40, 0..64, 1..40])]);
    log.clear();
    run(&red.isel("time", vec![30, 0, 31, 0]).unwrap());
    let expected = [
        Region::new(vec![0..1, 0..64, 0..64]),
        Region::new(vec![30..32, 0..64, 0..64]),
    ];
    assert_eq!(log.regions("red"), expected);
}

#[test]
fn neighbours_in_time_share_a_read() {
    let log = Log::new();
    let red = Pattern::new("red", &[5, 8, 8], DType::Float32, &log)
        .array(&DIMS, &Chunks::new([("time", 2)]));
    let change = red.isel("time", 1..).unwrap() - red.isel("time", ..-1).unwrap();
    assert_eq!(run(&change).tasks, log.count());
    let value = change.compute().unwrap();
    let all = red.compute().unwrap();
    let all = all.values::<f32>().unwrap();
    for (index, value) in value.values::<f32>().unwrap().indexed_iter() {
        let (t, y, x) = (index[0], index[1], index[2]);
        let expected = all[[t + 1, y, x]] - all[[t, y, x]];
        assert!(*value == expected || expected.is_nan());
    }
}

#[test]
fn one_read_serves_all_variables_of_a_cube() {
    let log = Log::new();
    let cube = cube(&log);
    let clear = cube.where_(&cube.get("qa").unwrap().make_mask([("cloud", "no")]));
    let with_ndvi = clear.assign("ndvi", ndvi(&cube)).unwrap();
    with_ndvi.compute_with(&cluster()).unwrap();
    for name in cube.names() {
        assert_eq!(log.regions(name).len(), 16, "{name}");
    }
    // The same pixels loaded twice are one source, by content.
    log.clear();
    let twice = band("red", &log) + band("red", &log);
    run(&twice);
    assert_eq!(log.count(), 16);
}

#[test]
fn broadcast_reads_the_small_array_only() {
    let log = Log::new();
    let cube =
        Pattern::new("red", &SHAPE, DType::Float32, &log).array(&DIMS, &Chunks::new([("time", 1)]));
    let gain = Pattern::new("gain", &[100, 100], DType::Float32, &log)
        .array(&["x", "y"], &Chunks::whole());
    let product = &cube * &gain;
    assert_eq!(product.dims(), DIMS);
    run(&product);
    assert_eq!(
        log.regions("gain"),
        vec![Region::new(vec![0..100, 0..100]); 4]
    );
}

#[test]
fn what_is_known_without_looking_is_not_read() {
    let log = Log::new();
    let red = band("red", &log);
    let never = red.isnull() | red.gt(70_000) | red.make_mask(&[] as &[(&str, &str)]);
    assert!(
        never
            .compute()
            .unwrap()
            .to_vec::<bool>()
            .unwrap()
            .iter()
            .all(|truth| *truth)
    );
    let nir = band("nir", &log);
    nir.where_or(&red.ge(0).ne(red.ge(0)), 7).compute().unwrap();
    assert_eq!(log.count(), 32, "both bands, once a chunk");
    log.clear();
    let chosen = nir.where_or(&red.lt(1_000_000), &red).compute().unwrap();
    assert_eq!(chosen.dtype(), DType::UInt16);
    assert!(log.regions("red").is_empty());
}

#[test]
fn the_consumers_chunks_are_asked_of_the_source() {
    let log = Log::new();
    let pixel_series = band("red", &log)
        .rechunk(&Chunks::new([("y", 25), ("x", 100)]))
        .unwrap();
    run(&(pixel_series + 1));
    let expected: Vec<Region> = (0..4)
        .map(|i| Region::new(vec![0..4, i * 25..i * 25 + 25, 0..100]))
        .collect();
    assert_eq!(log.regions("red"), expected);
}

#[test]
fn plans_do_not_grow_with_chunks() {
    let log = Log::new();
    let sizes = |chunk: usize, shape: [usize; 3]| {
        let names = ["red", "nir", "qa"];
        let arrays = names.map(|name| {
            let chunks = Chunks::new([("time", 1), ("y", chunk), ("x", chunk)]);
            let flags = serde_json::json!({"cloud": {"bits": 3, "values": {"0": "no"}}});
            let array = Pattern::new(name, &shape, DType::UInt16, &log).array(&DIMS, &chunks);
            (
                name,
                array.with_attrs(Attrs::new().with("flags_definition", flags)),
            )
        });
        let array = ndvi(&Cube::new(arrays).unwrap());
        let plan = array.plan().unwrap();
        let optimized = optimize(&plan).unwrap();
        let bytes = plan.to_bytes().unwrap().len();
        (
            array.chunks().n_chunks(),
            plan.nodes().len(),
            optimized.nodes().len(),
            bytes,
        )
    };
    let (one, nodes, optimized, bytes) = sizes(1000, [1, 1000, 1000]);
    let (million, more_nodes, more_optimized, more_bytes) = sizes(1000, [100, 100_000, 100_000]);
    assert_eq!((one, million), (1, 1_000_000));
    assert_eq!((nodes, optimized), (more_nodes, more_optimized));
    assert_eq!(optimized, 4, "three sources and one pass");
    assert!(more_bytes < bytes + 200, "{bytes} and {more_bytes} bytes");
}

#[test]
fn events_tell_the_story() {
    #[derive(Default)]
    struct Count(Mutex<(usize, usize, usize, u64, usize)>);
    impl Observer for Count {
        fn event(&self, event: &Event<'_>) {
            let mut count = self.0.lock();
            match event {
                Event::JobStarted {
                    tasks,
                    projected,
                    exact,
                    ..
                } => {
                    assert!(exact);
                    assert_eq!((*tasks, projected.requests), (16, 48));
                    count.0 += 1;
                }
                Event::TaskFetched { bytes, .. } => {
                    count.1 += 1;
                    count.3 += bytes;
                }
                Event::TaskDone { array, .. } => {
                    assert_eq!(*array, "ndvi");
                    count.2 += 1;
                }
                Event::JobDone { report } => {
                    assert_eq!(report.tasks, 16);
                    assert!(report.peak_pool_bytes > 0);
                    count.4 += 1;
                }
                _ => {}
            }
        }
    }
    let log = Log::new();
    let count = Count::default();
    let plan = ndvi(&cube(&log)).plan().unwrap();
    let report = cluster()
        .run(&Job::new(plan), &MemorySink::new(), &count)
        .unwrap();
    assert_eq!(*count.0.lock(), (1, 16, 16, report.read_bytes, 1));
    let text = report.to_string();
    assert!(
        text.starts_with("16 tasks in ") && text.contains("48 requests"),
        "{text}"
    );
}
