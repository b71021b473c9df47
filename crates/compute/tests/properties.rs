//! Any plan, on any engine, however cut, optimised or sent: the same pixels.

mod common;

use std::sync::OnceLock;

use common::{Log, Pattern, codec, same_pixels};
use datacube_compute::regional::Footprint;
use datacube_compute::{
    ChunkSize, Chunks, Coord, DataArray, Engine, Index, Job, LocalCluster, Plan, ReduceOp,
    Reduction, Region, Serial, concat, optimize,
};
use datacube_model::DType;
use parking_lot::Mutex;
use proptest::prelude::*;

const DIMS: [(&str, usize); 3] = [("time", 3), ("y", 7), ("x", 11)];

fn clusters() -> &'static [LocalCluster] {
    static CLUSTERS: OnceLock<Vec<LocalCluster>> = OnceLock::new();
    CLUSTERS.get_or_init(|| {
        let start = |workers: usize, threads: usize, memory: &str| {
            LocalCluster::builder()
                .n_workers(workers)
                .threads_per_worker(threads)
                .memory_limit(memory)
                .unwrap()
                .start()
                .unwrap()
        };
        let spilling = LocalCluster::builder()
            .n_workers(2)
            .memory_target(0.0)
            .start()
            .unwrap();
        vec![
            start(1, 1, "none"),
            start(2, 2, "8MB"),
            start(3, 1, "1GiB"),
            spilling,
        ]
    })
}

/// Where a source or a slice comes from, as numbers that always mean something.
#[derive(Clone, Debug)]
struct Leaf {
    dims: Vec<usize>,
    dtype: DType,
    chunks: Vec<usize>,
    seed: u64,
    memory: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Unary(u8, usize),
    Binary(u8, usize, usize),
    Scalar(u8, usize, i8, bool),
    Cast(DType, usize),
    Where(usize, usize, Option<usize>),
    Slice(usize, usize, SliceKind),
    Rechunk(usize, usize, usize),
    Transpose(usize),
    Reduce(u8, usize, u8, bool),
    Group(u8, usize, usize, Vec<u8>),
    Coarsen(u8, usize, usize, usize),
    Scan(u8, usize, usize),
    Window(u8, usize, usize, usize),
    Disk(u8, usize, usize),
    Concat(usize, usize, usize),
    Shift(usize, usize, i64),
}

#[derive(Clone, Debug)]
enum SliceKind {
    At(usize),
    Range(i64, i64, i64),
    List(Vec<usize>),
}

fn dtypes() -> impl Strategy<Value = DType> {
    proptest::sample::select(
        DType::ALL
            .into_iter()
            .filter(|dtype| !dtype.is_complex())
            .collect::<Vec<_>>(),
    )
}

fn leaf() -> impl Strategy<Value = Leaf> {
    (
        proptest::sample::subsequence(vec![0, 1, 2], 1..=3).prop_shuffle(),
        dtypes(),
        proptest::collection::vec(1usize..12, 3),
        0u64..4,
        any::<bool>(),
    )
        .prop_map(|(dims, dtype, chunks, seed, memory)| Leaf {
            dims,
            dtype,
            chunks,
            seed,
            memory,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let array = 0usize..64;
    prop_oneof![
        2 => (0u8..8, array.clone()).prop_map(|(op, a)| Step::Unary(op, a)),
        6 => (0u8..17, array.clone(), array.clone()).prop_map(|(op, a, b)| Step::Binary(op, a, b)),
        4 => (0u8..18, array.clone(), any::<i8>(), any::<bool>())
            .prop_map(|(op, a, k, float)| Step::Scalar(op, a, k, float)),
        2 => (dtypes(), array.clone()).prop_map(|(dtype, a)| Step::Cast(dtype, a)),
        3 => (array.clone(), array.clone(), proptest::option::of(array.clone()))
            .prop_map(|(a, b, c)| Step::Where(a, b, c)),
        3 => (array.clone(), 0usize..3, slice_kind()).prop_map(|(a, axis, kind)| Step::Slice(a, axis, kind)),
        1 => (array.clone(), 0usize..3, 1usize..9).prop_map(|(a, axis, n)| Step::Rechunk(a, axis, n)),
        1 => array.clone().prop_map(Step::Transpose),
        6 => (0u8..17, array.clone(), 0u8..8, any::<bool>())
            .prop_map(|(op, a, axes, skipna)| Step::Reduce(op, a, axes, skipna)),
        2 => (0u8..17, array.clone(), 0usize..3, proptest::collection::vec(0u8..4, 11))
            .prop_map(|(op, a, axis, labels)| Step::Group(op, a, axis, labels)),
        2 => (0u8..17, array.clone(), 1usize..4, 1usize..4)
            .prop_map(|(op, a, first, second)| Step::Coarsen(op, a, first, second)),
        2 => (0u8..6, array.clone(), 0usize..3).prop_map(|(op, a, axis)| Step::Scan(op, a, axis)),
        2 => (0u8..17, array.clone(), 0usize..3, 1usize..6)
            .prop_map(|(op, a, axis, size)| Step::Window(op, a, axis, size)),
        1 => (0u8..17, array.clone(), 0usize..3).prop_map(|(op, a, radius)| Step::Disk(op, a, radius)),
        2 => (array.clone(), array.clone(), 0usize..3)
            .prop_map(|(a, b, axis)| Step::Concat(a, b, axis)),
        1 => (array, 0usize..3, -4i64..5).prop_map(|(a, axis, by)| Step::Shift(a, axis, by)),
    ]
}

fn slice_kind() -> impl Strategy<Value = SliceKind> {
    prop_oneof![
        (0usize..12).prop_map(SliceKind::At),
        (-12i64..12, -12i64..12, prop_oneof![-3i64..=-1, 1i64..=3])
            .prop_map(|(start, stop, step)| SliceKind::Range(start, stop, step)),
        proptest::collection::vec(0usize..12, 1..6).prop_map(SliceKind::List),
    ]
}

fn build(leaf: &Leaf, log: &std::sync::Arc<Log>) -> DataArray {
    let dims: Vec<&str> = leaf.dims.iter().map(|&dim| DIMS[dim].0).collect();
    let shape: Vec<usize> = leaf.dims.iter().map(|&dim| DIMS[dim].1).collect();
    let chunks = Chunks::new(
        dims.iter()
            .zip(&leaf.chunks)
            .map(|(dim, &size)| (*dim, size)),
    );
    let source = Pattern::new("p", &shape, leaf.dtype, log).seed(leaf.seed);
    let array = source.array(&dims, &chunks);
    if leaf.memory {
        array.compute_with(&Serial::new()).unwrap()
    } else {
        array
    }
}

fn binary(op: u8, a: &DataArray, b: impl Into<datacube_compute::Operand>) -> DataArray {
    match op {
        0 => a + b,
        1 => a - b,
        2 => a * b,
        3 => a / b,
        4 => a.floor_div(b),
        5 => a % b,
        6 => a.minimum(b),
        7 => a.maximum(b),
        8 => a.eq(b),
        9 => a.ne(b),
        10 => a.lt(b),
        11 => a.le(b),
        12 => a.gt(b),
        13 => a.ge(b),
        14 => a & b,
        15 => a | b,
        16 => a ^ b,
        _ => a.pow(b),
    }
}

/// The array that the step makes; `None` where it means nothing here.
fn apply(step: &Step, arrays: &[DataArray]) -> Option<DataArray> {
    let at = |i: usize| &arrays[i % arrays.len()];
    let made = match step {
        Step::Unary(op, a) => match op {
            0 => -at(*a),
            1 => !at(*a),
            2 => at(*a).abs(),
            3 => at(*a).sqrt(),
            4 => at(*a).exp(),
            5 => at(*a).log(),
            6 => at(*a).isnull(),
            _ => at(*a).notnull(),
        },
        Step::Binary(op, a, b) => binary(*op, at(*a), at(*b)),
        Step::Scalar(op, a, k, true) => binary(*op, at(*a), f64::from(*k) / 4.0),
        Step::Scalar(op, a, k, false) => binary(*op, at(*a), i64::from(*k)),
        Step::Cast(dtype, a) => at(*a).astype(*dtype),
        Step::Where(a, condition, None) => at(*a).where_(at(*condition)),
        Step::Where(a, condition, Some(other)) => at(*a).where_or(at(*condition), at(*other)),
        Step::Slice(a, axis, kind) => {
            let array = at(*a);
            let dim = array.dims().get(axis % array.ndim().max(1))?.clone();
            let len = array.len_of(&dim).unwrap();
            let index: Index = match kind {
                SliceKind::At(i) if len > 0 => (i % len).into(),
                SliceKind::At(_) => return None,
                SliceKind::Range(start, stop, step) => {
                    Index::step(Some(*start), Some(*stop), *step)
                }
                SliceKind::List(list) if len > 0 => {
                    list.iter().map(|i| i % len).collect::<Vec<_>>().into()
                }
                SliceKind::List(_) => return None,
            };
            array.isel(&dim, index).unwrap()
        }
        Step::Rechunk(a, axis, size) => {
            let array = at(*a);
            let dim = array.dims().get(axis % array.ndim().max(1))?.clone();
            array
                .rechunk(&Chunks::auto().with(dim, ChunkSize::Size(*size)))
                .unwrap()
        }
        Step::Transpose(a) => {
            let mut dims = at(*a).dims().to_vec();
            let by = 1.min(dims.len());
            dims.rotate_left(by);
            at(*a).transpose(&dims).unwrap()
        }
        _ => regional(step, arrays)?,
    };
    // What cannot be computed, such as the smallest of nothing, is tested
    // elsewhere.
    (made.error().is_none() && made.size() < 20_000).then_some(made)
}

fn reduce_op(op: u8) -> ReduceOp {
    use ReduceOp::*;
    [
        Sum, Prod, Mean, Min, Max, Var, Std, Count, Any, All, First, Last, Median, Quantile, Mode,
        ArgMin, ArgMax,
    ][usize::from(op) % 17]
}

/// Whether the reduction has a value whatever the pixels are.
fn has_value(op: ReduceOp, array: &DataArray, len: usize) -> bool {
    match op {
        ReduceOp::ArgMin | ReduceOp::ArgMax => !array.dtype().is_float() && len > 0,
        ReduceOp::Min | ReduceOp::Max | ReduceOp::First | ReduceOp::Last | ReduceOp::Mode => {
            len > 0
        }
        _ => true,
    }
}

fn reduction(op: ReduceOp) -> Reduction {
    match op {
        ReduceOp::Quantile => Reduction::new(op).quantiles([0.25, 0.9]),
        ReduceOp::Var => Reduction::new(op).ddof(1),
        ReduceOp::Sum => Reduction::new(op).min_count(2),
        ReduceOp::Max => Reduction::new(op).keepdims(),
        op => Reduction::new(op),
    }
}

/// Operations that are not pixel by pixel; `None` where they mean nothing.
fn regional(step: &Step, arrays: &[DataArray]) -> Option<DataArray> {
    let at = |i: usize| &arrays[i % arrays.len()];
    let dim = |array: &DataArray, axis: usize| {
        let dim = array.dims().get(axis % array.ndim().max(1))?.clone();
        (array.len_of(&dim).unwrap() > 0).then_some(dim)
    };
    match step {
        Step::Reduce(op, a, axes, skipna) => {
            let array = at(*a);
            let dims: Vec<&str> = (array.dims().iter().enumerate())
                .filter(|(axis, _)| axes & (1 << axis) != 0)
                .map(|(_, dim)| dim.as_str())
                .collect();
            let op = reduce_op(*op);
            let positional = matches!(
                op,
                ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::First | ReduceOp::Last
            );
            let size = array.size();
            let double = op == ReduceOp::Quantile && array.dims().contains(&"quantile".to_owned());
            if !has_value(op, array, size) || (positional && dims.len() != 1) || double {
                return None;
            }
            Some(
                array
                    .reduce(reduction(op).skipna(*skipna), &dims[..])
                    .unwrap(),
            )
        }
        Step::Group(op, a, axis, labels) => {
            let array = at(*a);
            let dim = dim(array, *axis)?;
            let op = reduce_op(*op);
            if matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::Quantile)
                || dim == "kind"
            {
                return None;
            }
            let len = array.len_of(&dim).unwrap();
            let labels: Vec<i64> = (0..len)
                .map(|i| i64::from(labels[i % labels.len()]))
                .collect();
            let array = array
                .clone()
                .with_coord("kind", Coord::int(&dim, labels))
                .unwrap();
            array.groupby("kind").unwrap().reduce(op).ok()
        }
        Step::Coarsen(op, a, first, second) => {
            let array = at(*a);
            let op = reduce_op(*op);
            let (rows, cols) = (array.dims().first()?, array.dims().last()?);
            let sizes = [(rows.as_str(), *first), (cols.as_str(), *second)];
            let sizes = if rows == cols {
                &sizes[..1]
            } else {
                &sizes[..]
            };
            let quantile = array.dims().contains(&"quantile".to_owned());
            if op == ReduceOp::Quantile && quantile
                || matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMax)
            {
                return None;
            }
            array.coarsen(sizes).ok()?.reduce(reduction_plain(op)).ok()
        }
        Step::Scan(op, a, axis) => {
            let array = at(*a);
            let dim = dim(array, *axis)?;
            let scanned = match op {
                0 => array.cumsum(&dim),
                1 => array.cumprod(&dim),
                2 => array.ffill(&dim, None),
                3 => array.bfill(&dim, None),
                4 => array.ffill(&dim, Some(2)),
                _ => array.bfill(&dim, Some(1)),
            };
            Some(scanned.unwrap())
        }
        Step::Window(op, a, axis, size) => {
            let array = at(*a);
            let dim = dim(array, *axis)?;
            let rolling = array.rolling(&dim, *size).unwrap();
            let rolling = if size % 2 == 0 {
                rolling.center()
            } else {
                rolling
            };
            let rolling = if size % 3 == 0 {
                rolling.min_periods(1)
            } else {
                rolling
            };
            rolling.reduce(reduce_op(*op)).ok()
        }
        Step::Disk(op, a, radius) => {
            let footprint = Footprint::Disk { radius: *radius };
            at(*a).window(footprint, reduce_op(*op)).ok()
        }
        Step::Concat(a, b, axis) => {
            let (a, b) = (at(*a), at(*b));
            let dim = dim(a, *axis)?;
            concat(&[a, b, a], &dim).ok()
        }
        Step::Shift(a, axis, by) => {
            let array = at(*a);
            let dim = dim(array, *axis)?;
            match by {
                4 => array.diff(&dim, 1).ok(),
                by => Some(array.shift(&dim, *by).unwrap()),
            }
        }
        _ => None,
    }
}

fn reduction_plain(op: ReduceOp) -> Reduction {
    match op {
        ReduceOp::Quantile => Reduction::new(op).quantiles([0.5]),
        op => Reduction::new(op),
    }
}

/// Collects the pixels of every output, in whatever order they come.
struct Collect(Mutex<Vec<Vec<u8>>>, Plan);

impl datacube_compute::ChunkSink for Collect {
    fn begin(&self, plan: &Plan) -> Result<(), datacube_compute::SinkError> {
        let sizes = plan
            .outputs()
            .iter()
            .map(|output| usize::try_from(output.nbytes()).unwrap());
        *self.0.lock() = sizes.map(|size| vec![0xee; size]).collect();
        Ok(())
    }

    fn write(
        &self,
        output: usize,
        region: &Region,
        pixels: &[u8],
    ) -> Result<(), datacube_compute::SinkError> {
        let schema = self.1.outputs()[output].schema();
        let size = schema.dtype.size();
        let shape = region.shape();
        assert_eq!(pixels.len(), region.len() * size);
        let mut arrays = self.0.lock();
        for (i, pixel) in pixels.chunks_exact(size).enumerate() {
            let (mut rest, mut linear, mut stride) = (i, 0, 1);
            for axis in (0..shape.len()).rev() {
                linear += (region.ranges()[axis].start + rest % shape[axis]) * stride;
                rest /= shape[axis];
                stride *= schema.shape[axis];
            }
            arrays[output][linear * size..][..size].copy_from_slice(pixel);
        }
        Ok(())
    }
}

fn run(engine: &dyn Engine, plan: &Plan) -> Vec<Vec<u8>> {
    let sink = Collect(Mutex::default(), plan.clone());
    engine.run(&Job::new(plan.clone()), &sink, &()).unwrap();
    sink.0.into_inner()
}

fn check(arrays: &[DataArray], log: &std::sync::Arc<Log>) {
    let named: Vec<DataArray> = arrays
        .iter()
        .enumerate()
        .map(|(i, array)| array.clone().named(format!("v{i}")))
        .collect();
    let outputs = named
        .iter()
        .map(|array| array.plan().unwrap().outputs()[0].clone());
    let plan = Plan::new(outputs.collect()).unwrap();
    let expected = run(&Serial::new(), &plan);
    let bytes = plan.to_bytes().unwrap();
    let sent = Plan::from_bytes(&bytes, &codec(log)).unwrap();
    assert_eq!(sent.key().unwrap(), plan.key().unwrap());
    assert_eq!(sent.to_bytes().unwrap(), bytes);
    let optimized = optimize(&plan).unwrap();
    let again = optimize(&optimized).unwrap();
    assert_eq!(
        again.key().unwrap(),
        optimized.key().unwrap(),
        "{optimized}\n{again}"
    );
    let sent_optimized = Plan::from_bytes(&optimized.to_bytes().unwrap(), &codec(log)).unwrap();
    let same = |found: &[Vec<u8>], what: &str| {
        for ((output, expected), found) in plan.outputs().iter().zip(&expected).zip(found) {
            let same = same_pixels(output.schema().dtype, expected, found);
            assert!(
                same,
                "{what} differs in {}:\n{plan}\n{optimized}",
                output.name()
            );
        }
    };
    same(&run(&Serial::new(), &optimized), "optimised, serial");
    for cluster in clusters() {
        same(&run(cluster, &plan), "cluster");
    }
    same(&run(&clusters()[0], &sent), "sent");
    same(&run(&clusters()[1], &sent_optimized), "optimised and sent");
    // In memory, in parts of chunks.
    let computed: Vec<DataArray> = {
        let refs: Vec<&DataArray> = named.iter().collect();
        datacube_compute::Compute::new()
            .engine(&clusters()[1])
            .arrays(&refs)
            .unwrap()
            .0
    };
    let bytes: Vec<Vec<u8>> = computed
        .iter()
        .map(|array| array.bytes().unwrap().to_vec())
        .collect();
    same(&bytes, "memory");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_on_any_engine(
        leaves in proptest::collection::vec(leaf(), 1..4),
        steps in proptest::collection::vec(step(), 1..14),
    ) {
        let log = Log::new();
        let mut arrays: Vec<DataArray> = leaves.iter().map(|leaf| build(leaf, &log)).collect();
        for step in &steps {
            if let Some(array) = apply(step, &arrays) {
                arrays.push(array);
            }
        }
        let last = arrays.len().saturating_sub(3);
        check(&arrays[last..], &log);
    }

    #[test]
    fn slices_of_slices(
        leaf in leaf(),
        kinds in proptest::collection::vec((0usize..3, slice_kind()), 1..5),
    ) {
        let log = Log::new();
        let array = build(&leaf, &log);
        let mut arrays = vec![&array + &array];
        for (axis, kind) in kinds {
            if let Some(array) = apply(&Step::Slice(arrays.len() - 1, axis, kind), &arrays) {
                arrays.push(array);
            }
        }
        check(&arrays[arrays.len() - 1..], &log);
    }
}

#[test]
fn complex_pixels_pass_through() {
    let log = Log::new();
    for dtype in [DType::Complex64, DType::Complex128] {
        let source = Pattern::new("sar", &[3, 7, 11], dtype, &log);
        let chunks = Chunks::new([("y", 4usize), ("x", 5)]);
        let array = source.array(&["time", "y", "x"], &chunks);
        let turned = array.isel("y", Index::step(None, None, -2)).unwrap();
        let turned = turned.transpose(&["x", "y", "time"]).unwrap();
        check(
            &[array.clone(), turned, array.isel("time", 1).unwrap()],
            &log,
        );
    }
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let log = Log::new();
    let source = Pattern::new("red", &[4, 4], DType::Float64, &log);
    let mut array = source.array(&["y", "x"], &Chunks::whole());
    for i in 0..20_000 {
        array = if i % 1000 == 0 {
            array.isel("x", ..).unwrap() * 0.5
        } else {
            array + 1.0
        };
    }
    check(&[array], &log);
}
