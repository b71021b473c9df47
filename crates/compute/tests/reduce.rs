//! Reductions and their like: what they give, what they read, what they hold.

mod common;

use common::{Fault, Log, Pattern};
use datacube_compute::kernels::interp::InterpMethod;
use datacube_compute::kernels::morphology::Morph;
use datacube_compute::regional::Footprint;
use datacube_compute::{
    ChunkSink, Chunks, Compute, Coord, Coords, Cube, DataArray, Engine, Error, Job, LocalCluster,
    ReduceOp, Reduction, Region, Serial, SinkError, concat,
};
use datacube_model::DType;

fn cluster(memory: &str) -> LocalCluster {
    LocalCluster::builder()
        .n_workers(2)
        .threads_per_worker(1)
        .total_memory_limit(memory)
        .unwrap()
        .start()
        .unwrap()
}

/// Takes chunks and keeps none.
struct Nowhere;

impl ChunkSink for Nowhere {
    fn write(&self, _: usize, _: &Region, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

fn array(dims: &[&str], shape: &[usize], values: &[f64]) -> DataArray {
    DataArray::from_values("a", dims, shape, values, Coords::new()).unwrap()
}

fn floats(array: &DataArray) -> Vec<f64> {
    let computed = array.compute_with(&cluster("1GB")).unwrap();
    let serial = array.compute_with(&Serial::new()).unwrap();
    let values = computed.to_vec::<f64>().unwrap();
    let same = values.iter().map(|x| x.to_bits());
    assert!(same.eq(serial.to_vec::<f64>().unwrap().iter().map(|x| x.to_bits())));
    values
}

/// Equal, NaN to NaN.
fn check(found: &DataArray, expected: &[f64]) {
    let found = floats(found);
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(same, "{found:?} is not {expected:?}");
}

#[test]
fn values_are_numpys() {
    let nan = f64::NAN;
    let a = array(&["y", "x"], &[2, 3], &[1.0, nan, 3.0, 4.0, nan, 7.0]);
    check(&a.sum("y").unwrap(), &[5.0, 0.0, 10.0]);
    check(&a.mean("y").unwrap(), &[2.5, nan, 5.0]);
    check(&a.mean("x").unwrap(), &[2.0, 5.5]);
    check(&a.max(..).unwrap(), &[7.0]);
    check(&a.min(["y", "x"]).unwrap(), &[1.0]);
    check(&a.std("x").unwrap(), &[1.0, 1.5]);
    check(&a.median(..).unwrap(), &[3.5]);
    check(&a.first("x").unwrap(), &[1.0, 4.0]);
    check(&a.last("x").unwrap(), &[3.0, 7.0]);
    check(&a.quantile(0.25, "x").unwrap(), &[1.5, 4.75]);
    check(&a.quantiles([0.0, 1.0], ..).unwrap(), &[1.0, 7.0]);
    check(&a.cumsum("x").unwrap(), &[1.0, 1.0, 4.0, 4.0, 4.0, 11.0]);
    check(
        &a.ffill("x", None).unwrap(),
        &[1.0, 1.0, 3.0, 4.0, 4.0, 7.0],
    );
    check(
        &a.bfill("x", None).unwrap(),
        &[1.0, 3.0, 3.0, 4.0, 7.0, 7.0],
    );
    let strict = Reduction::new(ReduceOp::Sum).skipna(false);
    check(&a.reduce(strict, "y").unwrap(), &[5.0, nan, 10.0]);
    let enough = Reduction::new(ReduceOp::Sum).min_count(3).keepdims();
    let enough = a.reduce(enough, "x").unwrap();
    assert_eq!(enough.dims(), ["y", "x"]);
    check(&enough, &[nan, nan]);
    let counted = a.count("y").unwrap().compute().unwrap();
    assert_eq!(counted.to_vec::<i64>().unwrap(), [2, 0, 2]);
    let place = array(&["x"], &[4], &[2.0, nan, 9.0, 9.0]);
    let place = place.argmax("x").unwrap().compute().unwrap();
    assert_eq!(place.to_vec::<i64>().unwrap(), [2]);
    let rolled = array(&["x"], &[4], &[1.0, 2.0, 3.0, nan])
        .rolling("x", 2)
        .unwrap();
    check(&rolled.mean().unwrap(), &[nan, 1.5, 2.5, nan]);
    check(&rolled.min_periods(1).sum().unwrap(), &[1.0, 3.0, 5.0, 3.0]);
}

#[test]
fn types_are_numpys() {
    let bytes = DataArray::from_values("b", &["x"], &[3], vec![200u8, 100, 7], Coords::new());
    let bytes = bytes.unwrap();
    let sum = bytes.sum("x").unwrap();
    assert_eq!(sum.dtype(), DType::UInt64);
    assert_eq!(sum.compute().unwrap().to_vec::<u64>().unwrap(), [307]);
    assert_eq!(bytes.mean("x").unwrap().dtype(), DType::Float64);
    assert_eq!(bytes.max("x").unwrap().dtype(), DType::UInt8);
    assert_eq!(bytes.gt(9).sum("x").unwrap().dtype(), DType::Int64);
    assert_eq!(
        bytes.astype(DType::Float32).mean("x").unwrap().dtype(),
        DType::Float32
    );
    let all = bytes.gt(9).all("x").unwrap().compute().unwrap();
    assert_eq!(all.to_vec::<bool>().unwrap(), [false]);
}

#[test]
fn misuse_is_named() {
    let a = array(&["y", "x"], &[1, 2], &[f64::NAN, f64::NAN]);
    assert!(
        a.mean("z")
            .unwrap_err()
            .to_string()
            .contains("no dimension `z`")
    );
    assert!(a.argmin(..).is_err());
    assert!(
        a.quantile(1.5, "x")
            .unwrap_err()
            .to_string()
            .contains("0 to 1")
    );
    for engine in [&Serial::new() as &dyn Engine, &cluster("1GB")] {
        let nothing = a.argmin("x").unwrap().compute_with(engine).unwrap_err();
        assert!(
            nothing.to_string().contains("all pixels are NaN"),
            "{nothing}"
        );
        let none = DataArray::from_values("i", &["x"], &[0], Vec::<i32>::new(), Coords::new());
        let none = none
            .unwrap()
            .min("x")
            .unwrap()
            .compute_with(engine)
            .unwrap_err();
        assert!(none.to_string().contains("no pixels"), "{none}");
    }
}

#[test]
fn groups_of_dates() {
    let day = 86_400_000_000_000i64;
    // From 2022-01-30 on, every 20 days.
    let times: Vec<i64> = (0..5).map(|i| (19_022 + 20 * i) * day).collect();
    let coords = Coords::from([("time", Coord::time("time", times))]);
    let values = vec![0.0, 1.0, 2.0, 3.0, 4.0];
    let a = DataArray::from_values("a", &["time"], &[5], values, coords).unwrap();
    let months = a.groupby("time.month").unwrap().sum().unwrap();
    check(&months, &[0.0, 1.0, 5.0, 4.0]);
    assert_eq!(months.dims(), ["month"]);
    let seasons = a.groupby("time.season").unwrap().mean().unwrap();
    check(&seasons, &[0.5, 3.0]);
    let monthly = a.resample("time", "1MS").unwrap();
    check(&monthly.mean().unwrap(), &[0.0, 1.0, 2.5, 4.0]);
    check(&monthly.median().unwrap(), &[0.0, 1.0, 2.5, 4.0]);
    let decades = a.resample("time", "10D").unwrap().max().unwrap();
    let nan = f64::NAN;
    check(&decades, &[0.0, nan, 1.0, nan, 2.0, nan, 3.0, nan, 4.0]);
    assert!(a.groupby("time.fortnight").is_err());
    assert!(
        a.resample("time", "1fortnight")
            .unwrap_err()
            .to_string()
            .contains("QS-DEC")
    );
}

#[test]
fn neighbours_and_parts() {
    let coords = Coords::from([("x", Coord::float("x", vec![1.0, 2.0, 3.0, 4.0, 5.0]))]);
    let a = DataArray::from_values("a", &["x"], &[5], vec![1.0, 2.0, 3.0, 4.0, 9.0], coords);
    let a = a.unwrap();
    let coarse = a.coarsen(&[("x", 2)]).unwrap().mean().unwrap();
    check(&coarse, &[1.5, 3.5]);
    assert_eq!(coarse.coord("x").unwrap().to_f64().unwrap(), [1.5, 3.5]);
    let twice = concat(&[&a, &a.isel("x", 0..1).unwrap()], "x").unwrap();
    check(&twice, &[1.0, 2.0, 3.0, 4.0, 9.0, 1.0]);
    let stacked = concat(&[&a, &a], "again").unwrap();
    assert_eq!((stacked.dims().len(), stacked.shape()), (2, &[2, 5][..]));
    let mask = array(
        &["y", "x"],
        &[3, 3],
        &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    );
    let disk = Footprint::Disk { radius: 1 };
    let grown = mask.window(disk, ReduceOp::Max).unwrap();
    check(&grown, &[0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn functions_of_chunks() {
    let log = Log::new();
    let source = Pattern::new("p", &[10, 10], DType::Float32, &log);
    let a = source.array(&["y", "x"], &Chunks::new([("y", 4usize), ("x", 5)]));
    let first = a
        .map_chunks("first", |pixels: &[f32], region, out: &mut [f64]| {
            let place = region.ranges()[0].start * 100 + region.ranges()[1].start;
            out.fill(f64::from(u16::try_from(place).unwrap()));
            assert_eq!(pixels.len(), out.len());
            Ok(())
        })
        .unwrap();
    // The function sees whole chunks whatever is asked of it.
    let part = (&first + 1.0)
        .isel("y", 3..6)
        .unwrap()
        .isel("x", 4..6)
        .unwrap();
    check(&part, &[1.0, 6.0, 401.0, 406.0, 401.0, 406.0]);
    assert!(part.plan().unwrap().to_bytes().is_err());
    assert_eq!(
        part.plan().unwrap().key().unwrap(),
        part.plan().unwrap().key().unwrap()
    );
    let around = a
        .map_overlap(
            "sizes",
            &[("y", 2)],
            |_: &[f32], around, _, out: &mut [f64]| {
                out.fill(f64::from(u16::try_from(around.shape()[0]).unwrap()));
                Ok(())
            },
        )
        .unwrap();
    let rows = around.isel("x", 0).unwrap();
    check(&rows, &[6.0, 6.0, 6.0, 6.0, 8.0, 8.0, 8.0, 8.0, 4.0, 4.0]);
    let fails = a.map_chunks("fails", |_: &[f32], _, _: &mut [f32]| {
        Err("no luck".to_owned())
    });
    let error = fails.unwrap().compute_with(&cluster("1GB")).unwrap_err();
    assert!(error.to_string().contains("no luck"), "{error}");
    assert!(
        a.map_chunks("u8", |_: &[u8], _, _: &mut [u8]| Ok(()))
            .is_err()
    );
}

#[test]
fn reductions_over_time_stream() {
    let log = Log::new();
    let source = Pattern::new("p", &[100, 256, 512], DType::Float32, &log);
    let a = source.array(&["time", "y", "x"], &Chunks::new([("time", 1usize)]));
    let ndvi = (&a - 1.0) / (&a + 1.0);
    let mean = ndvi.where_(&a.gt(0)).mean("time").unwrap();
    // 52 MB in all, of which a tenth may be there at a time.
    let small = cluster("8MB");
    let (streamed, report) = Compute::new().engine(&small).array(&mean).unwrap();
    assert!(report.peak_pool_bytes < 8_000_000, "{report}");
    let steps = log.regions("p");
    assert!(steps.len() >= 10, "{} reads", steps.len());
    assert!(steps.iter().all(|step| step.len() * 4 <= 4 << 20));
    let whole = mean.compute_with(&Serial::new()).unwrap();
    let bits = |array: &DataArray| -> Vec<u32> {
        array
            .to_vec::<f32>()
            .unwrap()
            .iter()
            .map(|x| x.to_bits())
            .collect()
    };
    assert_eq!(bits(&streamed), bits(&whole));
}

#[test]
fn a_mean_of_all_is_made_once() {
    let log = Log::new();
    let source = Pattern::new("p", &[3, 700, 800], DType::Int16, &log);
    let chunks = Chunks::new([("time", 1usize), ("y", 100), ("x", 400)]);
    let a = source.array(&["time", "y", "x"], &chunks);
    let anomaly = &a - &a.mean(..).unwrap();
    let plan = anomaly.explain().unwrap();
    assert!(plan.contains("made once"), "{plan}");
    assert!(plan.contains("of each block"), "{plan}");
    let expected = anomaly
        .isel("time", 1)
        .unwrap()
        .compute_with(&Serial::new())
        .unwrap();
    let expected = expected.to_vec::<f64>().unwrap();
    for target in [0.6, 0.0] {
        let directory = std::env::temp_dir().join(format!("datacube-test-{}", std::process::id()));
        let cluster = LocalCluster::builder()
            .n_workers(2)
            .local_directory(&directory)
            .memory_target(target)
            .start()
            .unwrap();
        log.clear();
        let found = anomaly.compute_with(&cluster).unwrap();
        let pixels: usize = log.regions("p").iter().map(Region::len).sum();
        assert_eq!(
            pixels,
            2 * 3 * 700 * 800,
            "once for the mean and once for the rest"
        );
        let found = found.to_vec::<f64>().unwrap();
        assert!(found[560_000..1_120_000] == expected[..]);
        let left = std::fs::read_dir(&directory).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files that were spilled are removed");
        let _ = std::fs::remove_dir(&directory);
    }
}

#[test]
fn what_is_spilled_is_told() {
    use datacube_compute::observe::StepKind;
    use datacube_compute::{Compute, Event, Observer};

    /// Bytes that were spilled and read back.
    #[derive(Default)]
    struct Spills(std::sync::atomic::AtomicU64);

    impl Observer for Spills {
        fn event(&self, event: &Event<'_>) {
            if let Event::TaskStep {
                kind: StepKind::Spill,
                bytes,
                ..
            } = event
            {
                self.0
                    .fetch_add(*bytes, std::sync::atomic::Ordering::SeqCst);
            }
        }
    }

    let log = Log::new();
    let source = Pattern::new("p", &[40, 64, 64], DType::Float32, &log);
    let a = source.array(&["time", "y", "x"], &Chunks::new([("time", 1usize)]));
    let anomaly = &a - &a.mean("time").unwrap();
    let spilled = |target: f64| {
        let cluster = LocalCluster::builder()
            .n_workers(2)
            .memory_target(target)
            .start()
            .unwrap();
        let spills = Spills::default();
        let compute = Compute::new().engine(&cluster).observer(&spills);
        compute.array(&anomaly).unwrap();
        let layers = cluster.scheduler_info().layers;
        let counted: u64 = layers.iter().map(|layer| layer.bytes.spill).sum();
        let told = spills.0.into_inner();
        assert_eq!(counted, told, "the monitor and the observer are told alike");
        told
    };
    assert_eq!(spilled(0.6), 0);
    let mean = 64 * 64 * 4;
    assert!(
        spilled(0.0) >= 2 * mean,
        "written once and read at least once"
    );
}

#[test]
fn a_full_directory_is_an_error_and_the_cluster_goes_on() {
    let log = Log::new();
    let source = Pattern::new("p", &[40, 64, 64], DType::Float32, &log);
    let chunks = Chunks::new([("time", 1usize)]);
    let a = source.array(&["time", "y", "x"], &chunks);
    let anomaly = &a - &a.mean("time").unwrap();
    let cluster = LocalCluster::builder()
        .n_workers(2)
        .memory_target(0.0)
        .max_spill(1000)
        .start()
        .unwrap();
    let error = anomaly.compute_with(&cluster).unwrap_err();
    assert!(matches!(error, Error::Spill { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("16384") && text.contains("1000 B"), "{text}");
    assert!(text.contains("local_directory"), "{text}");
    assert!(a.mean(..).unwrap().compute_with(&cluster).is_ok());
}

#[test]
fn a_failure_in_an_early_step_names_its_chunk() {
    let log = Log::new();
    let mut source = Pattern::new("p", &[4, 30, 30], DType::Float32, &log);
    source.fault = Some(Fault::DecodeFails { at: vec![2, 3, 3] });
    let a = source.array(&["time", "y", "x"], &Chunks::new([("time", 1usize)]));
    let anomaly = &a - &a.mean("time").unwrap();
    let cluster = cluster("1GB");
    let error = anomaly.compute_with(&cluster).unwrap_err().to_string();
    assert!(
        error.contains("truncated") && error.contains("mean"),
        "{error}"
    );
    assert_eq!(
        floats(&array(&["x"], &[1], &[2.0]).sum("x").unwrap()),
        [2.0]
    );
}

#[test]
fn a_limit_too_small_by_a_byte() {
    let log = Log::new();
    let source = Pattern::new("p", &[50, 40, 60], DType::Float32, &log);
    let a = source.array(&["time", "y", "x"], &Chunks::whole());
    for reduced in [a.mean("time").unwrap(), a.median("time").unwrap()] {
        let plan = reduced.plan().unwrap();
        let run = |bytes: u64| {
            let cluster = LocalCluster::builder()
                .n_workers(1)
                .threads_per_worker(1)
                .total_memory_limit(datacube_compute::MemoryLimit::Bytes(bytes))
                .unwrap()
                .start()
                .unwrap();
            cluster.run(&Job::new(plan.clone()), &Nowhere, &())
        };
        let Err(Error::TooLarge(refused)) = run(1000) else {
            panic!("1000 bytes were enough");
        };
        log.clear();
        assert!(matches!(run(refused.needed - 1), Err(Error::TooLarge(_))));
        assert_eq!(log.count(), 0, "nothing is read before it is refused");
        let report = run(refused.needed).unwrap();
        assert!(report.tasks > 0);
        assert!(report.peak_pool_bytes <= refused.needed + refused.needed / 8);
    }
}

#[test]
fn deep_plans_run_in_stages() {
    let mut a = array(&["x"], &[8], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    for _ in 0..1500 {
        a = a.cumsum("x").unwrap() * 0.5;
    }
    floats(&a);
    // Whichever step of the chain is the last one of a stage.
    for steps in 90..100 {
        let mut a = array(&["x"], &[4], &[1.0, 2.0, 3.0, 4.0]);
        for _ in 0..steps {
            a = a.shift("x", 1).unwrap().cumsum("x").unwrap();
        }
        floats(&a);
        floats(&(a + 1.0));
    }
    let mut b = array(&["x"], &[8], &[1.0; 8]);
    for _ in 0..400 {
        b = b.rolling("x", 2).unwrap().min_periods(1).mean().unwrap() + 1.0;
    }
    check(&b, &[401.0; 8]);
}

/// Windows around each pixel of an array of 500 steps and two lanes, each worked
/// out alone, with the sum of the sizes of what was added.
fn alone(values: &[f64], steps_first: bool, window: usize, op: ReduceOp) -> Vec<(f64, f64, usize)> {
    let at = |lane: usize, step: usize| match steps_first {
        true => values[step * 2 + lane],
        false => values[lane * 500 + step],
    };
    let after = (window - 1) / 2;
    let before = window - 1 - after;
    let one = |lane: usize, step: usize| {
        let around = step.saturating_sub(before)..(step + after + 1).min(500);
        let seen: Vec<f64> = around
            .map(|step| at(lane, step))
            .filter(|x| !x.is_nan())
            .collect();
        let sum: f64 = seen.iter().sum();
        let value = match op {
            ReduceOp::Sum => sum,
            ReduceOp::Mean => sum / seen.len() as f64,
            ReduceOp::Min => seen.iter().copied().fold(f64::NAN, f64::min),
            _ => seen.iter().copied().fold(f64::NAN, f64::max),
        };
        (value, seen.iter().map(|x| x.abs()).sum(), seen.len())
    };
    let places = (0..1000).map(|i| match steps_first {
        true => (i % 2, i / 2),
        false => (i / 500, i % 500),
    });
    places.map(|(lane, step)| one(lane, step)).collect()
}

#[test]
fn long_windows_do_not_depend_on_chunks_and_lose_nothing() {
    // Some pixels far from the others, whose rounding a running sum would keep.
    let values: Vec<f64> = (0..1000)
        .map(|i| match i % 97 {
            0 => f64::NAN,
            13 => 1e12,
            _ => f64::from(i).sin(),
        })
        .collect();
    for (dims, shape) in [(["t", "x"], [500, 2]), (["x", "t"], [2, 500])] {
        let a = array(&dims, &shape, &values);
        for (window, least) in [(8, 1u64), (9, 9), (64, 5), (501, 1), (1200, 1)] {
            for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Min, ReduceOp::Max] {
                let rolled = |chunk: usize| {
                    let a = a.rechunk(&Chunks::new([("t", chunk)])).unwrap();
                    let rolling = a.rolling("t", window).unwrap().center();
                    floats(&rolling.min_periods(least).reduce(op).unwrap())
                };
                let whole = rolled(500);
                for chunk in [7, 130] {
                    let mut pairs = rolled(chunk).into_iter().zip(&whole);
                    assert!(
                        pairs.all(|(a, b)| a.to_bits() == b.to_bits()),
                        "{op:?} of {window} in chunks of {chunk}"
                    );
                }
                let expected = alone(&values, dims[0] == "t", window, op);
                for (found, (value, size, seen)) in whole.iter().zip(expected) {
                    let nothing = (seen as u64) < least;
                    let near = (found - value).abs() <= 1e-14 * size.max(1.0);
                    assert!(
                        if nothing { found.is_nan() } else { near },
                        "{op:?} of {window} along {dims:?}: {found} for {value} of {seen}"
                    );
                }
            }
        }
    }
}

#[test]
fn geometric_medians_keep_the_digits_of_their_bands() {
    // More digits than float32 has.
    let band = |name: &str, values: [f64; 3]| {
        (name.to_owned(), array(&["time"], &[3], &values).named(name))
    };
    let cube = Cube::new([
        band("a", [1e9, 1e9 + 1.0, 1e9 + 2.0]),
        band("b", [2e9 + 2.0, 2e9 + 1.0, 2e9]),
    ]);
    let cube = cube.unwrap();
    let check = |cube: &Cube, type_: DType| {
        let found = cube.geomedian_with_mads("time", None).unwrap();
        let found = found.compute_with(&cluster("1GB")).unwrap();
        for (name, value) in [("a", 1e9 + 1.0), ("b", 2e9 + 1.0)] {
            let median = found.get(name).unwrap();
            assert_eq!(median.dtype(), type_);
            let median = median.astype(DType::Float64).compute().unwrap();
            assert_eq!(median.to_vec::<f64>().unwrap(), [value], "{name} {type_}");
        }
        let emad = found.get("emad").unwrap();
        assert_eq!(emad.to_vec::<f32>().unwrap(), [2f32.sqrt()]);
        assert_eq!(found.get("count").unwrap().to_vec::<u16>().unwrap(), [3]);
    };
    check(&cube, DType::Float64);
    check(&cube.astype(DType::UInt32), DType::UInt32);
}

#[test]
fn kernels_over_axes_and_planes_do_not_depend_on_chunks() {
    let log = Log::new();
    let cube = |chunks: &Chunks| {
        let band = |name: &str| {
            let source = Pattern::new(name, &[6, 30, 40], DType::Int16, &log);
            let array = source.array(&["time", "y", "x"], chunks);
            (name.to_owned(), array.named(name))
        };
        Cube::new([band("red"), band("nir")]).unwrap()
    };
    let small = Chunks::new([("time", 2usize), ("y", 7), ("x", 16)]);
    let expected = cube(&Chunks::whole())
        .geomedian_with_mads("time", None)
        .unwrap();
    let expected = expected.compute_with(&Serial::new()).unwrap();
    log.clear();
    let found = cube(&small).geomedian_with_mads("time", None).unwrap();
    let found = found.compute_with(&cluster("1GB")).unwrap();
    assert!(found.len() > 2, "{:?}", found.names().collect::<Vec<_>>());
    let read: usize = log.regions("red").iter().map(Region::len).sum();
    assert_eq!(read, 6 * 30 * 40, "made once for all variables");
    for (name, array) in found.variables() {
        let other = expected.get(name).unwrap();
        assert_eq!(array.dtype(), other.dtype());
        assert!(
            common::same_pixels(
                array.dtype(),
                array.bytes().unwrap(),
                other.bytes().unwrap()
            ),
            "{name}"
        );
    }
    let steps = [(Morph::Opening, 2.0), (Morph::Dilation, 3.0)];
    let coords = Coord::float("time", vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let of = |chunks: &Chunks| {
        let red = cube(chunks).get("red").unwrap().clone();
        let red = red.with_coord("time", coords.clone()).unwrap();
        let clean = red.gt(-20_000).mask_cleanup(&steps).unwrap();
        let between = red
            .interp(
                "time",
                &Coord::float("time", vec![0.5, 2.0, 4.25, 9.0]),
                InterpMethod::Linear,
            )
            .unwrap();
        [clean, between]
    };
    let pairs = of(&Chunks::whole()).into_iter().zip(of(&small));
    for (whole, cut) in pairs {
        let whole = whole.compute_with(&Serial::new()).unwrap();
        for part in [cut.clone(), cut.isel("time", 1..3).unwrap()] {
            let whole = if part.len_of("time").unwrap() == 2 {
                whole.isel("time", 1..3).unwrap().compute().unwrap()
            } else {
                whole.clone()
            };
            let part = part.compute_with(&cluster("1GB")).unwrap();
            assert!(common::same_pixels(
                part.dtype(),
                part.bytes().unwrap(),
                whole.bytes().unwrap()
            ));
        }
    }
    let red = cube(&small).get("red").unwrap().clone();
    assert!(red.mask_cleanup(&steps).is_err());
}
