//! `Client`: computations and functions on a cluster, with futures for results.
//!
//! What dask's client has and this one has no use for: connections, heartbeats
//! and serialisers (the cluster is in this process), `upload_file` and plugins
//! (workers run the same code), `scatter` to chosen workers, `replicate`,
//! `rebalance` and `retire_workers` (all workers share one memory).

mod call;
mod calls;
mod cell;
mod future;
mod inputs;
mod many;
mod persist;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

pub use call::Call;
pub(crate) use calls::{CallTurn, Calls};
use cell::{Cell, Head};
pub use future::{Future, Status, Value};
pub use inputs::Inputs;
pub use many::{
    AsCompleted, DoneAndNotDone, ReturnWhen, as_completed, gather, gather_or_skip, progress, wait,
};

use crate::array::{Compute, DataArray};
use crate::cube::Cube;
use crate::engine::{CancelToken, Engine, set_default_engine};
use crate::error::{CallFailure, Error, Result};
use crate::local::{Core, LocalCluster};
use crate::observe::{ClusterSnapshot, Observer, PerformanceReport, RunReport};
use crate::plan::{Op, Plan};
use crate::repr::binary_bytes;

/// Arrays in memory that are hashed for a key at most: a larger computation is
/// not recognised when it is asked for again.
const MAX_HASHED: usize = 64 << 20;

/// Works on a [`LocalCluster`]; clones are the same client.
///
/// ```
/// use datacube_compute::{Client, Coords, Cube, DataArray, LocalCluster};
/// let cluster = LocalCluster::new().n_workers(2).start()?;
/// let client = Client::new(&cluster)?;
///
/// let red = DataArray::from_values("red", &["x"], &[2], vec![1u16, 2], Coords::new())?;
/// let cube = client.compute(&Cube::new([("red", red * 2)])?);
/// assert_eq!(cube.result()?.get("red")?.to_vec::<u16>()?, [2, 4]);
///
/// let three = client.submit(|| 3);
/// let four = client.submit(|| 4);
/// let sum = client.submit_with((three, four), |(a, b)| *a + *b);
/// assert_eq!(sum.result()?, 7);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    id: String,
    core: Arc<Core>,
    /// The cluster, where the client started it.
    own: RwLock<Option<LocalCluster>>,
    closed: std::sync::atomic::AtomicBool,
}

static DEFAULT: RwLock<Option<Client>> = RwLock::new(None);

/// The client that was made last, unless it was closed.
pub fn default_client() -> Option<Client> {
    DEFAULT.read().clone()
}

/// Something that can be computed: a [`Cube`] or a [`DataArray`].
pub trait Computable: Clone + Send + Sync + Sized + 'static {
    /// Its plan, whose key says what it is.
    ///
    /// # Errors
    /// The misuse that it carries.
    fn plan(&self) -> Result<Plan>;

    /// It in memory.
    ///
    /// # Errors
    /// As [`Compute::array`].
    fn compute_by(&self, compute: &Compute<'_>) -> Result<(Self, RunReport)>;
}

impl Computable for Cube {
    fn plan(&self) -> Result<Plan> {
        Cube::plan(self)
    }

    fn compute_by(&self, compute: &Compute<'_>) -> Result<(Cube, RunReport)> {
        compute.cube(self)
    }
}

impl Computable for DataArray {
    fn plan(&self) -> Result<Plan> {
        DataArray::plan(self)
    }

    fn compute_by(&self, compute: &Compute<'_>) -> Result<(DataArray, RunReport)> {
        compute.array(self)
    }
}

/// How [`Client::compute_with`] computes.
#[derive(Clone, Default)]
pub struct ComputeOptions {
    retries: u32,
    retry_any: bool,
    observer: Option<Arc<dyn Observer>>,
}

impl ComputeOptions {
    /// Unwatched, without retries.
    pub fn new() -> ComputeOptions {
        ComputeOptions::default()
    }

    /// How often a chunk whose source fails in passing is tried again.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> ComputeOptions {
        self.retries = retries;
        self
    }

    /// Whether retries are for any failure, be it permanent: see
    /// [`Job::with_retry_any`](crate::Job::with_retry_any).
    #[must_use]
    pub fn retry_any(mut self, any: bool) -> ComputeOptions {
        self.retry_any = any;
        self
    }

    /// Is told what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> ComputeOptions {
        self.observer = Some(observer);
        self
    }
}

impl fmt::Debug for ComputeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputeOptions")
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of `cluster`, which becomes the engine of `compute()` as long
    /// as it is open. Closing the client leaves the cluster open.
    ///
    /// # Errors
    /// A cluster that is closed.
    pub fn new(cluster: &LocalCluster) -> Result<Client> {
        let client = Client::quiet(cluster)?;
        client.set_as_default();
        Ok(client)
    }

    /// As [`Client::new`], and `compute()` stays with the engine that it has:
    /// dask's `set_as_default=False`.
    ///
    /// # Errors
    /// A cluster that is closed.
    pub fn quiet(cluster: &LocalCluster) -> Result<Client> {
        cluster.core().check_open()?;
        Ok(Client::of(Arc::clone(cluster.core()), None))
    }

    /// A client with a cluster of its own, of all cores and all memory, that
    /// is closed with it.
    ///
    /// # Errors
    /// Threads that the system refuses.
    pub fn local() -> Result<Client> {
        let cluster = LocalCluster::start()?;
        let client = Client::of(Arc::clone(cluster.core()), Some(cluster));
        client.set_as_default();
        Ok(client)
    }

    fn of(core: Arc<Core>, own: Option<LocalCluster>) -> Client {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Client(Arc::new(Inner {
            id: format!("Client-{}-{number}", std::process::id()),
            core,
            own: RwLock::new(own),
            closed: false.into(),
        }))
    }

    fn set_as_default(&self) {
        let engine: Arc<dyn Engine> = Arc::clone(&self.0.core) as _;
        set_default_engine(Some(engine));
        // Held without the cluster, which would otherwise never be dropped.
        let held = Client::of(Arc::clone(&self.0.core), None);
        *DEFAULT.write() = Some(held);
    }

    /// What names it.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether it, or its cluster, was closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(std::sync::atomic::Ordering::SeqCst) || self.0.core.is_closed()
    }

    /// A function to be submitted with a name, a key, a priority or retries.
    ///
    /// ```
    /// # use datacube_compute::Client;
    /// # let client = Client::local()?;
    /// let mut left = 2;
    /// let third = client.call().name("flaky").retries(2).try_submit(move || {
    ///     left -= 1;
    ///     if left < 0 { Ok("at last") } else { Err("not yet") }
    /// });
    /// assert_eq!(third.result()?, "at last");
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    pub fn call(&self) -> Call {
        Call::new(self.0.core.calls())
    }

    /// Runs a function on a worker. Also see [`Client::call`].
    pub fn submit<F, T>(&self, f: F) -> Future<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + Sync + 'static,
    {
        self.call().submit(f)
    }

    /// Runs a function on a worker with the results of futures.
    pub fn submit_with<I, F, T>(&self, inputs: I, f: F) -> Future<T>
    where
        I: Inputs,
        F: FnOnce(I::Values) -> T + Send + 'static,
        T: Send + Sync + 'static,
    {
        self.call().submit_with(inputs, f)
    }

    /// Runs a function for each of `items`; the futures are in their order.
    pub fn map<A, F, T>(&self, items: impl IntoIterator<Item = A>, f: F) -> Vec<Future<T>>
    where
        A: Send + 'static,
        F: Fn(A) -> T + Send + Sync + 'static,
        T: Send + Sync + 'static,
    {
        self.call().map(items, f)
    }

    /// The results of futures, in their order.
    ///
    /// # Errors
    /// The first error among them.
    pub fn gather<T: Clone + Send + Sync + 'static>(
        &self,
        futures: &[Future<T>],
    ) -> Result<Vec<T>> {
        gather(futures)
    }

    /// A value as a future, to be given to functions. Nothing is copied: all
    /// workers share the memory of this process.
    pub fn scatter<T: Send + Sync + 'static>(&self, value: T) -> Future<T> {
        let cell = Cell::new(self.head("scatter", None, None), None, 0);
        cell.end(Ok(value));
        Future(cell)
    }

    fn head(&self, name: &str, key: Option<String>, stop: Option<CancelToken>) -> Head {
        let calls = self.0.core.calls();
        let layer = calls.monitor.layer(name);
        Head {
            number: calls.number(),
            key: key.map(String::into_boxed_str),
            layer,
            priority: 0,
            retries: 0,
            calls: Arc::clone(calls),
            epoch: calls.epoch(),
            stop,
            counted: false,
        }
    }

    /// Computes a cube or an array in the background. Asked for again while
    /// somebody holds the future it is the same work, and the same future.
    pub fn compute<C: Computable>(&self, lazy: &C) -> Future<C> {
        self.compute_with(lazy, &ComputeOptions::new())
    }

    /// As [`Client::compute`], with retries or watched.
    pub fn compute_with<C: Computable>(&self, lazy: &C, options: &ComputeOptions) -> Future<C> {
        let key = computed_key(lazy).map(|key| format!("compute-{key}"));
        let calls = self.0.core.calls();
        let stop = CancelToken::new();
        let make = || {
            Cell::new(
                self.head("compute", key.clone(), Some(stop.clone())),
                None,
                0,
            )
        };
        let (cell, made) = match &key {
            Some(key) => calls.known(key, Cell::is_good, make),
            None => (make(), true),
        };
        if !made {
            return Future(cell);
        }
        if let Err(error) = self.0.core.check_open() {
            cell.end(Err(error));
            return Future(cell);
        }
        let (lazy, options) = (lazy.clone(), options.clone());
        let core = Arc::clone(&self.0.core);
        // Held weakly: where nobody wants the result any more the job stops.
        let weak = Arc::downgrade(&cell);
        let on_drop = StopIfUnwanted(Arc::downgrade(&cell), stop.clone());
        let wait = move || {
            let Some(begun) = weak.upgrade().map(|cell| cell.begin()) else {
                return;
            };
            if !begun {
                return;
            }
            let watch = Unwanted::new(on_drop, options.observer.clone());
            let compute = Compute::new()
                .engine(&*core)
                .cancel(stop)
                .retries(options.retries)
                .retry_any(options.retry_any)
                .observer(&watch);
            let computed = crate::exec::guarded(|| lazy.compute_by(&compute));
            if let Some(cell) = weak.upgrade() {
                let outcome = match computed {
                    Ok(Ok((computed, _))) => Ok(computed),
                    Ok(Err(error)) => Err(error),
                    Err(message) => Err(cell.error(1, CallFailure::Panic(message))),
                };
                cell.end(outcome);
            }
        };
        let started = std::thread::Builder::new()
            .name("datacube-wait".to_owned())
            .spawn(wait);
        if let Err(error) = started {
            let error = Error::Unsupported(format!("cannot start a thread: {error}"));
            cell.end(Err(error));
        }
        Future(cell)
    }

    /// Computes a cube in the background and gives it back at once, lazily:
    /// what uses it waits for it, and works on pixels in memory then.
    ///
    /// # Errors
    /// The misuse that the cube carries.
    pub fn persist(&self, cube: &Cube) -> Result<Cube> {
        cube.check()?;
        let future = self.compute(cube);
        persist::persisted(cube, &future)
    }

    /// Has a future come to its end even if nobody holds it.
    pub fn fire_and_forget<T: Send + Sync + 'static>(&self, future: Future<T>) {
        future.0.keep();
    }

    /// Cancels futures, and all that needs their results.
    pub fn cancel<T: Send + Sync + 'static>(&self, futures: &[Future<T>]) {
        for future in futures {
            future.cancel();
        }
    }

    /// Runs a function in the workers' process, on one of their threads, and
    /// waits for it. All workers are threads of this process: what the function
    /// sets up (credentials, stores, a log) is set up for all of them at once.
    ///
    /// # Errors
    /// A function that panics, a cluster that is closed.
    pub fn run<T: Clone + Send + Sync + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.call()
            .name("run")
            .priority(i32::MAX)
            .submit(f)
            .result()
    }

    /// Stops all jobs of the cluster and gives up all results: futures that
    /// were made before are lost. The threads stay; there is nothing in them
    /// that a restart would clean.
    ///
    /// # Errors
    /// A cluster that is closed.
    pub fn restart(&self) -> Result<()> {
        self.0.core.restart()
    }

    /// Everything there is to know about the cluster now.
    pub fn scheduler_info(&self) -> ClusterSnapshot {
        self.0.core.snapshot()
    }

    /// Where the cluster's dashboard is, if one was started.
    pub fn dashboard_link(&self) -> Option<String> {
        self.0.core.dashboard_link()
    }

    /// Writes one HTML file on what the cluster does from now until the guard
    /// is dropped.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn performance_report(&self, path: impl AsRef<Path>) -> Result<PerformanceReport> {
        PerformanceReport::start(&self.0.core, path.as_ref())
    }

    /// How a notebook shows it: id, dashboard, cluster, workers to unfold.
    pub fn to_html(&self) -> String {
        if self.is_closed() {
            return "<b>Client</b> No scheduler connected".to_owned();
        }
        crate::repr::client_html(
            &self.0.id,
            &self.scheduler_info(),
            self.dashboard_link().as_deref(),
        )
    }

    /// Ends the client, and its cluster if it started that; closing twice does
    /// nothing.
    pub fn close(&self) {
        if self
            .0
            .closed
            .swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            return;
        }
        let mut default = DEFAULT.write();
        if default
            .as_ref()
            .is_some_and(|client| Arc::ptr_eq(&client.0.core, &self.0.core))
        {
            let old = default.take();
            drop(default);
            drop(old);
            let core = Arc::as_ptr(&self.0.core);
            crate::engine::forget_default_engine(|engine| {
                std::ptr::addr_eq(Arc::as_ptr(engine), core)
            });
        }
        let own = self.0.own.write().take();
        drop(own);
    }
}

/// Stops a job whose future nobody holds any more.
struct StopIfUnwanted<T>(std::sync::Weak<Cell<T>>, CancelToken);

/// An observer that looks whether the result is still wanted.
struct Unwanted<T> {
    stop: StopIfUnwanted<T>,
    observer: Option<Arc<dyn Observer>>,
}

impl<T> Unwanted<T> {
    fn new(stop: StopIfUnwanted<T>, observer: Option<Arc<dyn Observer>>) -> Unwanted<T> {
        Unwanted { stop, observer }
    }
}

impl<T: Send + Sync> Observer for Unwanted<T> {
    fn event(&self, event: &crate::observe::Event<'_>) {
        if self.stop.0.strong_count() == 0 {
            self.stop.1.cancel();
        }
        if let Some(observer) = &self.observer {
            observer.event(event);
        }
    }
}

/// The key of what is computed; `None` where it cannot be told, or would cost
/// more than it is worth.
fn computed_key(lazy: &impl Computable) -> Option<String> {
    let plan = lazy.plan().ok()?;
    let held: usize = plan
        .nodes()
        .iter()
        .filter(|node| matches!(node.op(), Op::Memory(_)))
        .map(|node| node.schema().shape.iter().product::<usize>() * node.schema().dtype.size())
        .sum();
    if held > MAX_HASHED {
        return None;
    }
    Some(plan.key().ok()?.to_string())
}

/// `<Client: 'inproc://1' processes=2 threads=2, memory=23.54 GiB>`, where
/// dask's word for workers is kept.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_closed() {
            return f.write_str("<Client: No scheduler connected>");
        }
        let core = &self.0.core;
        let limit = Engine::memory_limit(&**core);
        write!(
            f,
            "<Client: '{}' processes={} threads={}, memory={}>",
            core.address(),
            core.n_workers(),
            core.n_threads(),
            limit.map_or_else(|| "unlimited".to_owned(), binary_bytes)
        )
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
