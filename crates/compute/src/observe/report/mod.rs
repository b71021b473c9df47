//! `performance_report()`: what a cluster did between two moments, as one HTML
//! file that needs nothing else.

mod page;
mod svg;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use svg::{Series, layer_colour, lines, step_colour, task_stream};

use super::{ClusterSnapshot, Span, SpanCursor};
use crate::error::{Error, Result};
use crate::local::Core;

/// Time between two looks at the cluster.
const TICK: Duration = Duration::from_millis(100);
/// Steps that are kept for the picture; of more, the longer half.
const MAX_SPANS: usize = 40_000;
/// Measurements that are kept; of more, every second one.
const MAX_SAMPLES: usize = 4000;

/// Writes a report of what a cluster does while this exists.
///
/// ```
/// # use datacube_compute::{Client, Coords, DataArray, LocalCluster};
/// # let folder = std::env::temp_dir().join(format!("datacube-report-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("report.html");
/// let cluster = LocalCluster::new().n_workers(2).start()?;
/// let client = Client::new(&cluster)?;
/// let report = client.performance_report(&path)?;
/// assert_eq!(client.submit(|| 1 + 1).result()?, 2);
/// report.finish()?; // or leave it to the end of the scope
/// assert!(std::fs::read_to_string(&path).unwrap().contains("Task stream"));
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the report ends where this is dropped"]
pub struct PerformanceReport {
    core: Arc<Core>,
    path: PathBuf,
    before: ClusterSnapshot,
    begun: Instant,
    taken: Arc<Mutex<Taken>>,
    over: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

/// What the sampler has gathered.
#[derive(Debug, Default)]
struct Taken {
    cursor: SpanCursor,
    spans: Vec<Span>,
    n_spans: usize,
    samples: Vec<Sample>,
}

/// Memory at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: f64,
    resident: u64,
    buffers: u64,
    in_flight: u64,
}

impl Taken {
    fn look(&mut self, core: &Core, since: u64) {
        let spans = core.monitor().spans(&mut self.cursor);
        let new = spans.into_iter().filter(|span| span.start >= since);
        let before = self.spans.len();
        self.spans.extend(new);
        self.n_spans += self.spans.len() - before;
        if self.spans.len() > MAX_SPANS {
            self.spans
                .select_nth_unstable_by_key(MAX_SPANS / 2, |span| std::cmp::Reverse(span.time));
            self.spans.truncate(MAX_SPANS / 2);
        }
    }

    fn sample(&mut self, core: &Core) {
        let memory = core.memory();
        self.samples.push(Sample {
            at: core.monitor().epoch().elapsed().as_secs_f64(),
            resident: memory.resident.unwrap_or(0),
            buffers: memory.buffers,
            in_flight: memory.in_flight,
        });
        if self.samples.len() > MAX_SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

impl PerformanceReport {
    pub(crate) fn start(core: &Arc<Core>, path: &Path) -> Result<PerformanceReport> {
        // Said at the start rather than after an hour of computing.
        std::fs::File::create(path).map_err(|source| unwritable(path, source))?;
        let begun = Instant::now();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let over = Arc::new(AtomicBool::new(false));
        // What was done before is none of the report's business.
        core.monitor().spans(&mut taken.lock().cursor);
        let since = nanos(begun - core.monitor().epoch());
        let sampler = {
            let (core, taken, over) = (Arc::clone(core), Arc::clone(&taken), Arc::clone(&over));
            std::thread::Builder::new()
                .name("datacube-report".to_owned())
                .spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        {
                            let mut taken = taken.lock();
                            taken.look(&core, since);
                            taken.sample(&core);
                        }
                        std::thread::park_timeout(TICK);
                    }
                })
                .map_err(|error| Error::Unsupported(format!("cannot start a thread: {error}")))?
        };
        Ok(PerformanceReport {
            before: core.snapshot(),
            core: Arc::clone(core),
            path: path.to_owned(),
            begun,
            taken,
            over,
            sampler: Some(sampler),
        })
    }

    /// Ends the report and writes it; gives back its path.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(mut self) -> Result<PathBuf> {
        self.write()?;
        Ok(self.path.clone())
    }

    fn write(&mut self) -> Result<()> {
        let Some(sampler) = self.sampler.take() else {
            return Ok(());
        };
        self.over.store(true, Ordering::SeqCst);
        sampler.thread().unpark();
        // It has no code that panics; its last words are read all the same.
        let _ = sampler.join();
        let after = self.core.snapshot();
        let epoch = self.core.monitor().epoch();
        let (from, to) = (nanos(self.begun - epoch), nanos(epoch.elapsed()));
        let mut taken = self.taken.lock();
        taken.look(&self.core, from);
        taken.sample(&self.core);
        let html = page::html(&self.before, &after, &taken, from, to);
        std::fs::write(&self.path, html).map_err(|source| unwritable(&self.path, source))
    }
}

/// Writes the report if [`PerformanceReport::finish`] did not.
impl Drop for PerformanceReport {
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            // There is nobody to return it to.
            self.core.monitor().error(&error);
        }
    }
}

fn unwritable(path: &Path, source: std::io::Error) -> Error {
    Error::Sink {
        place: format!("the report {}", path.display()),
        source: Arc::new(source),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
