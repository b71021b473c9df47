//! What must be the same whichever way it is computed.
//!
//! Lazy and eager, one thread and a cluster, whole and in chunks (for every
//! kernel, across every seam), one index and another, a plan and the same plan
//! after a trip through bytes: bit for bit, on scenes that overlap, lie in two
//! UTM zones and end in nodata.

mod common;

use std::sync::Mutex;

use common::{create_index, tiny};
use datacube::compute::{
    ChunkSink, Chunks, Engine, Job, LocalCluster, Plan, Region, Serial, SinkError,
};
use datacube::{
    Cube, DataArray, Datacube, DatasetQuery, LoadOptions, Resampling, WarpScale, source_codec,
};

/// Output grids: on the pixels of most scenes, half a pixel off them, coarser, and two other CRSs.
fn grids() -> [(&'static str, LoadOptions); 5] {
    let on = |crs: &str, resolution: f64| {
        LoadOptions::new(tiny::PRODUCT)
            .output_crs(crs)
            .resolution(resolution)
            .group_by("solar_day")
    };
    [
        ("aligned", tiny::options()),
        ("half a pixel off", on("EPSG:32755", 30.0)),
        ("coarser", on("EPSG:32755", 95.0)),
        ("Albers", on("EPSG:3577", 40.0)),
        ("geographic", on("EPSG:4326", 0.0004)),
    ]
}

/// Names of the spatial dimensions on a grid of `grids`.
fn spatial(grid: &str) -> [&'static str; 2] {
    if grid == "geographic" {
        ["latitude", "longitude"]
    } else {
        ["y", "x"]
    }
}

fn computed(dc: &Datacube, options: LoadOptions) -> Cube {
    dc.load(options)
        .expect("a load that can be done")
        .compute()
        .expect("a cube that can be computed")
}

/// Same variables, sizes, coordinates, attributes and bytes.
fn assert_same(context: &str, ours: &Cube, theirs: &Cube) {
    let names = |cube: &Cube| cube.names().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{context}: variables");
    for name in names(ours) {
        let pair = [ours, theirs].map(|cube| cube.get(&name).expect("a variable").clone());
        assert_same_array(&format!("{context}: {name}"), &pair[0], &pair[1]);
    }
}

fn assert_same_array(context: &str, ours: &DataArray, theirs: &DataArray) {
    assert_eq!(ours.dims(), theirs.dims(), "{context}: dimensions");
    assert_eq!(ours.shape(), theirs.shape(), "{context}: sizes");
    assert_eq!(ours.dtype(), theirs.dtype(), "{context}: pixel type");
    assert_eq!(ours.coords(), theirs.coords(), "{context}: coordinates");
    assert_eq!(ours.attrs(), theirs.attrs(), "{context}: attributes");
    let [a, b] = [ours, theirs].map(|array| array.bytes().expect("pixels"));
    if let Some(first) = a.iter().zip(b).position(|(a, b)| a != b) {
        let mut at = first / ours.dtype().size();
        let mut index = vec![0; ours.ndim()];
        for (position, &size) in index.iter_mut().zip(ours.shape()).rev() {
            (*position, at) = (at % size, at / size);
        }
        let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
        panic!("{context}: {differing} bytes differ, the first at pixel {index:?}");
    }
}

/// Masked NDVI, the users' everyday expression.
fn ndvi(cube: &Cube) -> DataArray {
    let get = |name: &str| cube.get(name).expect("a variable").clone();
    let clear = get("qa").make_mask("nodata=false, cloud=not_high_confidence");
    let (red, nir) = (get("red").where_(&clear), get("nir").where_(&clear));
    ((&nir - &red) / (&nir + &red)).named("ndvi")
}

#[test]
fn the_archive_tells_chunks_and_scenes_apart() {
    // If this fails the other tests here could pass on an empty or flat cube.
    let (_folder, dc) = tiny::open();
    let cube = computed(&dc, tiny::options());
    let red = cube.get("red").expect("a variable");
    assert_eq!(red.shape()[0], 4, "two scenes share a solar day");
    for (day, plane) in red
        .values::<u16>()
        .expect("pixels")
        .outer_iter()
        .enumerate()
    {
        let valid: Vec<u16> = plane.iter().copied().filter(|&value| value != 0).collect();
        let distinct: std::collections::BTreeSet<u16> = valid.iter().copied().collect();
        assert!(
            valid.len() * 4 > plane.len(),
            "day {day}: {} of {}",
            valid.len(),
            plane.len()
        );
        assert!(valid.len() < plane.len(), "day {day} has nodata");
        assert!(
            distinct.len() > 1000,
            "day {day}: {} values",
            distinct.len()
        );
    }
}

#[test]
fn lazy_is_eager() {
    let (_folder, dc) = tiny::open();
    for (name, options) in grids() {
        let options = options.resampling([("qa", "nearest"), ("*", "bilinear")]);
        let eager = dc.load(options.clone()).expect("an eager load");
        assert!(
            eager.get("red").expect("a variable").is_computed(),
            "{name}: eager has pixels"
        );
        let lazy = dc.load(options.lazy()).expect("a lazy load");
        assert!(
            !lazy.get("red").expect("a variable").is_computed(),
            "{name}: lazy has none"
        );
        assert_same(name, &lazy.compute().expect("pixels"), &eager);
        let (a, b) = (ndvi(&lazy), ndvi(&eager));
        let pair = [a, b].map(|ndvi| ndvi.compute().expect("an NDVI"));
        assert_same_array(&format!("{name}: ndvi"), &pair[0], &pair[1]);
    }
}

/// Blocking calls may be made anywhere, inside a runtime of either kind too.
#[test]
fn blocking_is_async() {
    let (_folder, dc) = tiny::open();
    let expected = dc
        .load(tiny::options())
        .expect("a load outside of any runtime");
    let single = tokio::runtime::Builder::new_current_thread().build();
    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build();
    for runtime in [single, several] {
        runtime.expect("a runtime").block_on(async {
            let blocking = dc.load(tiny::options()).expect("a blocking load in a task");
            assert_same("blocking", &blocking, &expected);
            let awaited = dc
                .load_async(tiny::options())
                .await
                .expect("an awaited load");
            assert_same("awaited", &awaited, &expected);
            let query = DatasetQuery::new(tiny::PRODUCT);
            let found = dc
                .find_datasets_async(query.clone())
                .await
                .expect("a search");
            let ids = |found: &[datacube::model::Dataset]| {
                found
                    .iter()
                    .map(datacube::model::Dataset::id)
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                ids(&found),
                ids(&dc.find_datasets(query).expect("a search"))
            );
        });
    }
}

#[test]
fn a_cluster_is_one_thread() {
    let (_folder, dc) = tiny::open();
    let cluster = LocalCluster::builder()
        .n_workers(2)
        .threads_per_worker(2)
        .start()
        .expect("a cluster starts");
    for (name, options) in grids() {
        let [y, x] = spatial(name);
        let options = options
            .resampling([("qa", "nearest"), ("*", "cubic")])
            .chunks([("time", 1), (y, 41), (x, 67)]);
        let lazy = dc.load(options).expect("a lazy load");
        let run = |engine: &dyn Engine| lazy.compute_with(engine).expect("pixels");
        assert_same(name, &run(&cluster), &run(&Serial::new()));
        let run = |engine: &dyn Engine| ndvi(&lazy).compute_with(engine).expect("an NDVI");
        assert_same_array(
            &format!("{name}: ndvi"),
            &run(&cluster),
            &run(&Serial::new()),
        );
    }
}

#[test]
fn chunked_is_whole() {
    let (_folder, dc) = tiny::open();
    for (grid, options) in grids() {
        let [y, x] = spatial(grid);
        for resampling in &Resampling::ALL {
            for warp_scale in [WarpScale::Auto, WarpScale::Unit] {
                let context = format!("{grid}, {resampling}, {warp_scale:?}");
                let options = options
                    .clone()
                    .resampling(resampling.name())
                    .warp_scale(warp_scale);
                let load = |chunks: Chunks| {
                    let mut options = options.clone();
                    options.chunks = Some(chunks);
                    let cube = dc.load(options).expect("a lazy load");
                    cube.compute_with(&Serial::new()).expect("pixels")
                };
                let whole = load(Chunks::whole());
                assert_same(
                    &context,
                    &load(Chunks::new([("time", 2), (y, 37), (x, 53)])),
                    &whole,
                );
                assert_same(
                    &context,
                    &load(Chunks::new([("time", 1), (y, 64), (x, 16)])),
                    &whole,
                );
            }
        }
    }
}

#[test]
fn a_slice_is_a_slice_of_the_whole() {
    let (_folder, dc) = tiny::open();
    for (name, options) in grids() {
        let [y, x] = spatial(name);
        let lazy = dc
            .load(options.resampling([("qa", "mode"), ("*", "cubic")]).lazy())
            .expect("a lazy load");
        let cut = |cube: &Cube| {
            cube.isel("time", 1..3)
                .and_then(|cube| cube.isel("time", 1))
                .and_then(|cube| cube.isel(y, 13..31)?.isel(x, 20..29))
                .expect("a slice inside the cube")
        };
        let first = cut(&lazy).compute().expect("pixels of the slice");
        let after = cut(&lazy.compute().expect("pixels"))
            .compute()
            .expect("pixels");
        assert_same(name, &first, &after);
    }
}

#[test]
fn sqlite_is_memory() {
    let folder = tiny::write();
    let memory = create_index("memory:");
    let path = folder.path().join("index.db");
    let sqlite = create_index(format!("sqlite:{}", path.display()));
    for dc in [&memory, &sqlite] {
        tiny::add_to(dc, folder.path());
    }
    // The file again, as another process would find it.
    let again = Datacube::open_url(format!("sqlite:{}", path.display())).expect("the same file");

    let all = DatasetQuery::new(tiny::PRODUCT);
    let queries = [
        ("all", all.clone(), 5),
        ("time", all.clone().time(("2020-02-03", "2020-02-10")), 3),
        (
            "place",
            all.clone().lon((149.9, 149.99)).lat((-35.21, -35.19)),
            5,
        ),
        (
            "elsewhere",
            all.clone().lon((151.0, 152.0)).lat((-35.21, -35.19)),
            0,
        ),
        ("limit", all.clone().limit(2), 2),
        ("field", all.clone().field("platform", "landsat-8"), 5),
    ];
    for (name, query, count) in queries {
        let found = |dc: &Datacube| {
            let datasets = dc.find_datasets(query.clone()).expect("a search");
            datasets
                .iter()
                .map(|dataset| dataset.id().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&memory).len(), count, "{name}");
        assert_eq!(found(&memory), found(&sqlite), "{name}");
        assert_eq!(found(&memory), found(&again), "{name}, opened again");
    }
    for (name, options) in grids() {
        let ours = computed(&again, options.clone());
        assert_same(name, &ours, &computed(&memory, options));
    }
}

/// Lazy arrays of every kind that the facade and the operators on it build.
fn arrays(cube: &Cube) -> Vec<(&'static str, DataArray)> {
    let get = |name: &str| cube.get(name).expect("a variable").clone();
    let (red, nir, qa) = (get("red"), get("nir"), get("qa"));
    let clear = qa.make_mask([("cloud_confidence", "low")]);
    vec![
        ("a load", red.clone()),
        ("floats", get("warmth")),
        ("signed", get("slope")),
        ("a mask", clear.clone()),
        ("masked", red.where_(&clear)),
        ("masked with a value", red.where_or(&clear, 7u16)),
        ("NDVI", ndvi(cube)),
        (
            "a formula",
            cube.eval("x = (nir - red) / (nir + red) * 2 - 1")
                .expect("a formula"),
        ),
        ("a comparison", nir.gt(&red)),
        ("converted", red.astype(datacube::model::DType::Float64)),
        ("valid", red.valid_data_mask()),
        (
            "a slice",
            red.isel("time", 2)
                .and_then(|red| red.isel("y", 5..40))
                .expect("a slice"),
        ),
        ("by label", red.sel("time", "2020-02-10").expect("a day")),
        (
            "picked",
            red.isel("time", vec![3usize, 0]).expect("two days"),
        ),
        (
            "transposed",
            red.transpose(&["y", "x", "time"]).expect("an order"),
        ),
        (
            "a slice of NDVI",
            ndvi(cube).isel("x", 3..50).expect("a slice"),
        ),
    ]
}

#[test]
fn a_plan_survives_bytes() {
    let (_folder, dc) = tiny::open();
    let codec = source_codec(dc.loader().clone());
    let options = tiny::options()
        .resampling([("qa", "nearest"), ("*", "bilinear")])
        .chunks([("time", 1), ("y", 50), ("x", 50)]);
    let lazy = dc.load(options).expect("a lazy load");
    for (name, array) in arrays(&lazy) {
        let plan = array
            .plan()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = plan
            .to_bytes()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let back =
            Plan::from_bytes(&bytes, &codec).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            back.key().expect("a key"),
            plan.key().expect("a key"),
            "{name}: content key"
        );
        assert_eq!(
            back.to_bytes().expect("bytes again"),
            bytes,
            "{name}: bytes"
        );
        let computed = array.compute().expect("pixels");
        let pixels = run(&back, array.shape(), array.dtype().size());
        assert!(
            pixels == computed.bytes().expect("pixels"),
            "{name}: pixels"
        );
    }
    // A whole cube is one plan with several outputs.
    let plan = lazy.plan().expect("a plan");
    let bytes = plan.to_bytes().expect("bytes");
    let back = Plan::from_bytes(&bytes, &codec).expect("the same plan");
    assert_eq!(
        (back.key().expect("a key"), back.outputs().len()),
        (plan.key().expect("a key"), tiny::MEASUREMENTS.len())
    );
}

/// The same load described twice is the same plan, and a different one is not.
#[test]
fn equal_loads_are_equal_plans() {
    let (_folder, dc) = tiny::open();
    let key = |options: LoadOptions| {
        let cube = dc.load(options.lazy()).expect("a lazy load");
        ndvi(&cube)
            .plan()
            .expect("a plan")
            .key()
            .expect("a key")
            .to_string()
    };
    assert_eq!(key(tiny::options()), key(tiny::options()));
    assert_ne!(
        key(tiny::options()),
        key(tiny::options().resampling("cubic"))
    );
    assert_ne!(
        key(tiny::options()),
        key(tiny::options().time("2020-02-03"))
    );
}

/// Runs a plan of one array of this shape and pixel size; its bytes in C order.
fn run(plan: &Plan, shape: &[usize], size: usize) -> Vec<u8> {
    let sink = Bytes {
        shape,
        size,
        bytes: Mutex::new(vec![0; shape.iter().product::<usize>() * size]),
    };
    Serial::new()
        .run(&Job::new(plan.clone()), &sink, &())
        .expect("a plan that can be run");
    sink.bytes.into_inner().expect("no chunk panicked")
}

/// Puts chunks where they belong in one array.
struct Bytes<'a> {
    shape: &'a [usize],
    size: usize,
    bytes: Mutex<Vec<u8>>,
}

impl ChunkSink for Bytes<'_> {
    fn begin(&self, _plan: &Plan) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&self, _output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let mut bytes = self.bytes.lock().map_err(|_| "a chunk panicked")?;
        let (last, before) = region.ranges().split_last().ok_or("a scalar")?;
        for (row, pixels) in pixels.chunks_exact(last.len() * self.size).enumerate() {
            let mut left = row;
            let mut at = 0;
            let mut stride = self.shape[before.len()];
            for (range, &len) in before.iter().zip(self.shape).rev() {
                at += (range.start + left % range.len()) * stride;
                left /= range.len();
                stride *= len;
            }
            let start = (at + last.start) * self.size;
            bytes[start..start + pixels.len()].copy_from_slice(pixels);
        }
        Ok(())
    }
}
