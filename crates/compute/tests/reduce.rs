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
fn deep_plans_are_refused_not_overflown() {
    let mut a = array(&["x"], &[8], &[1.0; 8]);
    for _ in 0..300 {
        a = a.cumsum("x").unwrap() * 0.5;
    }
    let error = a.compute_with(&cluster("1GB")).unwrap_err().to_string();
    assert!(error.contains("persist"), "{error}");
    assert!(a.compute_with(&Serial::new()).is_ok());
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
