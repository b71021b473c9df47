//! `Engine`: what runs a plan. The contract, the job, and the default engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::local::LocalCluster;
use crate::observe::{Observer, RunReport};
use crate::plan::Plan;
use crate::sink::ChunkSink;

/// Something that computes the chunks of a plan and hands them to a sink.
///
/// # Contract
///
/// - Every chunk of every output is written exactly once, or an error comes
///   back; after an error what was written is unspecified.
/// - The pixels do not depend on the engine, its threads or the order of work.
/// - A job that cannot fit into the engine's memory is refused before anything
///   is read.
/// - A panic in a source or a sink is an error that names the chunk; the
///   engine stays usable.
/// - `run` blocks the calling thread, and may be called from an async task.
pub trait Engine: fmt::Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// Bytes that a job may take, its results in memory included.
    fn memory_limit(&self) -> Option<u64>;

    /// Computes all outputs of `job`.
    ///
    /// # Errors
    /// Work that does not fit, a task or a sink that failed, cancellation.
    fn run(&self, job: &Job, sink: &dyn ChunkSink, observer: &dyn Observer) -> Result<RunReport>;
}

/// A plan to be run, and the means to stop it.
#[derive(Clone, Debug)]
pub struct Job {
    plan: Plan,
    cancel: CancelToken,
    retries: u32,
    retry_any: bool,
}

impl Job {
    /// The whole of `plan`.
    pub fn new(plan: Plan) -> Job {
        Job {
            plan,
            cancel: CancelToken::new(),
            retries: 0,
            retry_any: false,
        }
    }

    /// The same job, stopped by `cancel`.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Job {
        self.cancel = cancel;
        self
    }

    /// The same job; a chunk that fails, be it in reading or in decoding, is made
    /// again up to `retries` times where its source says that trying again could
    /// help. By default it is not: the stores of the loader have retries of their
    /// own.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Job {
        self.retries = retries;
        self
    }

    /// The same job; with `any`, a chunk is made again whatever it failed of, as
    /// dask's `retries` do: a file that is corrupt now, a function that panicked.
    #[must_use]
    pub fn with_retry_any(mut self, any: bool) -> Job {
        self.retry_any = any;
        self
    }

    /// How often a chunk is tried again.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Whether permanent failures are tried again too.
    pub fn retry_any(&self) -> bool {
        self.retry_any
    }

    /// Whether a chunk that failed of something transient, or not, is made once
    /// more after so many `tries`.
    pub(crate) fn again(&self, transient: bool, tries: u32) -> bool {
        (transient || self.retry_any) && tries < self.retries
    }

    /// What is to be computed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Stops the job.
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }
}

/// Stops jobs; all clones are one token.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Cancel>);

#[derive(Default)]
struct Cancel {
    cancelled: AtomicBool,
    wake: Notify,
}

impl CancelToken {
    /// A token that has not been used.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Stops every job that has this token: running tasks end, no further one
    /// starts.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until it is used.
    pub async fn cancelled(&self) {
        // Asked for before looking, so that no use in between is missed.
        let used = self.0.wake.notified();
        if !self.is_cancelled() {
            used.await;
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken")
            .field(&self.is_cancelled())
            .finish()
    }
}

static DEFAULT: RwLock<Option<Arc<dyn Engine>>> = RwLock::new(None);

/// The engine of `compute()`: the one that was set, else a [`LocalCluster`] of
/// this process that is started on first use.
///
/// # Errors
/// When the cluster's threads cannot be started.
pub fn default_engine() -> Result<Arc<dyn Engine>> {
    if let Some(engine) = &*DEFAULT.read() {
        return Ok(Arc::clone(engine));
    }
    let mut default = DEFAULT.write();
    if let Some(engine) = &*default {
        return Ok(Arc::clone(engine));
    }
    let cluster: Arc<dyn Engine> = Arc::new(LocalCluster::builder().name("default").start()?);
    *default = Some(Arc::clone(&cluster));
    Ok(cluster)
}

/// Sets the engine of `compute()`; `None` goes back to one of its own.
pub fn set_default_engine(engine: Option<Arc<dyn Engine>>) {
    let old = std::mem::replace(&mut *DEFAULT.write(), engine);
    // Dropped outside the lock: closing a cluster waits for its threads.
    drop(old);
}

/// Forgets the default engine if `is` says that it is this one.
pub(crate) fn forget_default_engine(is: impl Fn(&Arc<dyn Engine>) -> bool) {
    let mut default = DEFAULT.write();
    let old = match &*default {
        Some(engine) if is(engine) => default.take(),
        _ => None,
    };
    drop(default);
    drop(old);
}

/// Refuses a job whose results do not fit into memory.
pub(crate) fn check_result_fits(plan: &Plan, held: u64, limit: Option<u64>) -> Result<()> {
    let Some(limit) = limit.filter(|&limit| held > limit) else {
        return Ok(());
    };
    let parts: Vec<String> = plan
        .outputs()
        .iter()
        .take(5)
        .map(|output| {
            format!(
                "{} {}",
                output.name(),
                crate::repr::binary_bytes(output.nbytes())
            )
        })
        .collect();
    let more = plan.outputs().len().saturating_sub(parts.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Err(Error::TooLarge(Box::new(crate::error::TooLarge {
        what: "the result".to_owned(),
        needed: held,
        limit,
        detail: parts.join(", ") + &more,
        hint: "Load it in chunks and write them to a file (.zarr or .tif) instead of to memory, select less, or use a coarser resolution."
            .to_owned(),
    })))
}
