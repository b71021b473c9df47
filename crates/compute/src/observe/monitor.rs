//! `Monitor`: everything that happens on a cluster, for whoever looks.
//!
//! Threads write spans to rings and count in cells of their own, so that
//! watching costs a task some tens of nanoseconds and no lock. Whoever looks
//! (a dashboard, a report) adds the cells up and reads what is new in the
//! rings; what was overwritten before anybody looked is counted and not shown.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use super::job::{JobRecord, JobState};
use super::layer::{CELLS, Layer};
use super::ring::Ring;
use super::span::{Span, StepKind};
use super::{Event, JobSnapshot, LayerSnapshot, Observer};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::visualize::PlanGraph;

/// Layers that are told apart; later ones are counted as `other`.
const MAX_LAYERS: usize = 1000;
/// Jobs that are remembered.
const MAX_JOBS: usize = 50;
/// Errors that are remembered.
const MAX_ERRORS: usize = 200;
/// Stages of a job that are told apart.
const MAX_STAGES: usize = 32;
/// Threads that can show what they are doing.
const MAX_LANES: usize = 1024;

thread_local! {
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
    /// Worker and thread number where a cluster's worker runs.
    static LANE: Cell<Option<(u16, u16)>> = const { Cell::new(None) };
}

/// A number of this thread's own.
pub(super) fn thread_number() -> usize {
    THREAD.with(|number| *number)
}

/// Says that this thread is thread `thread` of the cluster, of `worker`.
pub(crate) fn set_lane(worker: usize, thread: usize) {
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    LANE.set(Some((short(worker), short(thread))));
}

/// What happens on a cluster.
pub struct Monitor {
    epoch: Instant,
    rings: [OnceLock<Ring>; CELLS],
    layers: RwLock<Layers>,
    lanes: OnceLock<Box<[Lane]>>,
    jobs: Mutex<VecDeque<Arc<JobRecord>>>,
    n_jobs: AtomicU64,
    errors: Mutex<VecDeque<ErrorRecord>>,
    n_errors: AtomicU64,
    stores: RwLock<Option<StoreGauges>>,
    footprint: RwLock<Option<Footprint>>,
}

type StoreGauges = Arc<dyn Fn() -> Vec<StoreGauge> + Send + Sync>;

#[derive(Default)]
struct Layers {
    all: Vec<Arc<Layer>>,
    by_name: HashMap<String, u32>,
}

/// What one thread of a worker is doing.
#[derive(Default)]
#[repr(align(64))]
struct Lane {
    /// Its layer, counted from 1; 0 for nothing.
    layer: AtomicU64,
    since: AtomicU64,
    done: AtomicU64,
    busy: AtomicU64,
    bytes: AtomicU64,
}

/// One thread of a worker at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneSnapshot {
    /// Number of the layer that it works on; `None` while it waits.
    pub layer: Option<u32>,
    /// Seconds that it has been doing so.
    pub seconds: f64,
    /// Tasks that it has finished.
    pub done: u64,
    /// Seconds that it has worked in all.
    pub busy: f64,
    /// Bytes of memory that its task was let in with.
    pub bytes: u64,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorRecord {
    /// Seconds from the cluster's start.
    pub at: f64,
    /// The array, or the function.
    pub place: String,
    /// The chunk: its index along each axis, and its pixels; may be empty.
    pub chunk: String,
    /// What happened.
    pub message: String,
}

/// Traffic with one store, as whoever owns the stores tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoreGauge {
    /// The store's name: a host, or the files of this machine.
    pub name: String,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests among them that repeat a failed one.
    pub retries: u64,
    /// Requests that gave no usable answer.
    pub failures: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Requests that wait for their answer.
    pub in_flight: u64,
}

/// Where on earth the chunks of a job lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Footprint {
    /// The reference system's name, such as `EPSG:32655`.
    pub crs: String,
    /// Left, bottom, right and top edges in units of the reference system.
    pub bounds: [f64; 4],
}

impl Monitor {
    pub(crate) fn new() -> Monitor {
        Monitor {
            epoch: Instant::now(),
            rings: Default::default(),
            layers: RwLock::default(),
            lanes: OnceLock::new(),
            jobs: Mutex::default(),
            n_jobs: AtomicU64::new(0),
            errors: Mutex::default(),
            n_errors: AtomicU64::new(0),
            stores: RwLock::new(None),
            footprint: RwLock::new(None),
        }
    }

    /// When the cluster started; spans count from here.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Nanoseconds from the start to `at`.
    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.epoch))
    }

    /// The layer of tasks called `name`.
    pub(crate) fn layer(&self, name: &str) -> Arc<Layer> {
        {
            let layers = self.layers.read();
            if let Some(&id) = layers.by_name.get(name) {
                return Arc::clone(&layers.all[id as usize]);
            }
        }
        let mut layers = self.layers.write();
        let name = if layers.all.len() >= MAX_LAYERS {
            "other"
        } else {
            name
        };
        if let Some(&id) = layers.by_name.get(name) {
            return Arc::clone(&layers.all[id as usize]);
        }
        let id = u32::try_from(layers.all.len()).unwrap_or(u32::MAX);
        let layer = Arc::new(Layer::new(id, name.to_owned()));
        layers.all.push(Arc::clone(&layer));
        layers.by_name.insert(name.to_owned(), id);
        layer
    }

    fn lane(&self) -> Option<&Lane> {
        let (_, thread) = LANE.get()?;
        let lanes = self
            .lanes
            .get_or_init(|| (0..MAX_LANES).map(|_| Lane::default()).collect());
        lanes.get(usize::from(thread))
    }

    /// This thread begins a task.
    pub(crate) fn begin(&self, layer: &Layer, bytes: u64, at: Instant) {
        if let Some(lane) = self.lane() {
            lane.since.store(self.nanos(at), Ordering::Relaxed);
            lane.bytes.store(bytes, Ordering::Relaxed);
            lane.layer.store(u64::from(layer.id) + 1, Ordering::Relaxed);
        }
    }

    /// This thread is through with a step of a task.
    fn pause(&self) {
        if let Some(lane) = self.lane() {
            lane.layer.store(0, Ordering::Relaxed);
            lane.bytes.store(0, Ordering::Relaxed);
        }
    }

    /// This thread is through with its task.
    pub(crate) fn end(&self) {
        self.pause();
        if let Some(lane) = self.lane() {
            lane.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A step of a task, done by this thread.
    pub(crate) fn step(
        &self,
        layer: &Layer,
        kind: StepKind,
        task: u64,
        started: Instant,
        time: Duration,
        bytes: u64,
    ) {
        let time = nanos(time);
        layer.step(kind, time, bytes);
        let (worker, thread) = match LANE.get() {
            Some((worker, thread)) if kind != StepKind::Fetch => (Some(worker), thread),
            _ => (None, 0),
        };
        if worker.is_some()
            && let Some(lane) = self.lane()
        {
            lane.busy.fetch_add(time, Ordering::Relaxed);
        }
        let span = Span {
            start: self.nanos(started),
            time,
            layer: layer.id,
            worker,
            thread,
            kind,
            task,
            bytes,
        };
        self.rings[thread_number() % CELLS]
            .get_or_init(Ring::new)
            .push(span.to_words());
    }

    /// Something went wrong.
    pub(crate) fn error(&self, error: &Error) {
        let (place, chunk, message) = match error {
            Error::Task(task) => (
                task.array.clone(),
                format!("{} {}", crate::repr::tuple(&task.chunk), task.region),
                task.cause.to_string(),
            ),
            Error::Call(call) => (call.key.clone(), String::new(), call.cause.to_string()),
            other => (String::new(), String::new(), other.to_string()),
        };
        self.n_errors.fetch_add(1, Ordering::Relaxed);
        let mut errors = self.errors.lock();
        if errors.len() == MAX_ERRORS {
            errors.pop_front();
        }
        errors.push_back(ErrorRecord {
            at: self.epoch.elapsed().as_secs_f64(),
            place,
            chunk,
            message,
        });
    }

    /// Watches a job that is about to run; tell the result to
    /// [`JobWatch::finish`].
    pub(crate) fn watch_job<'a>(&'a self, plan: &Plan, observer: &'a dyn Observer) -> JobWatch<'a> {
        let id = self.n_jobs.fetch_add(1, Ordering::Relaxed);
        let job = Arc::new(JobRecord::new(id, plan));
        let mut jobs = self.jobs.lock();
        if jobs.len() == MAX_JOBS {
            // A job that runs is looked at more than one that ran.
            let over = jobs.iter().position(|job| job.end.lock().is_some());
            jobs.remove(over.unwrap_or(0));
        }
        jobs.push_back(Arc::clone(&job));
        JobWatch {
            monitor: self,
            observer,
            job,
            stages: Default::default(),
        }
    }

    /// Tells what goes on with the stores that are read; called when somebody
    /// looks.
    pub fn set_stores(&self, gauges: impl Fn() -> Vec<StoreGauge> + Send + Sync + 'static) {
        *self.stores.write() = Some(Arc::new(gauges));
    }

    /// Traffic with stores; empty where nobody tells.
    pub fn stores(&self) -> Vec<StoreGauge> {
        let gauges = self.stores.read().clone();
        gauges.map(|gauges| gauges()).unwrap_or_default()
    }

    /// Says where on earth the chunks of the jobs lie.
    pub fn set_footprint(&self, footprint: Option<Footprint>) {
        *self.footprint.write() = footprint;
    }

    /// Where on earth the chunks lie, if somebody said.
    pub fn footprint(&self) -> Option<Footprint> {
        self.footprint.read().clone()
    }

    /// All layers, in the order in which they were first met.
    pub fn layers(&self) -> Vec<LayerSnapshot> {
        let layers = self.layers.read().all.clone();
        layers.iter().map(|layer| layer.snapshot()).collect()
    }

    /// The first `threads` threads of the workers.
    pub fn lanes(&self, threads: usize) -> Vec<LaneSnapshot> {
        let now = self.nanos(Instant::now());
        let Some(lanes) = self.lanes.get() else {
            let idle = LaneSnapshot {
                layer: None,
                seconds: 0.0,
                done: 0,
                busy: 0.0,
                bytes: 0,
            };
            return vec![idle; threads.min(MAX_LANES)];
        };
        let seconds = |nanos| Duration::from_nanos(nanos).as_secs_f64();
        let snapshot = |lane: &Lane| {
            let layer = lane.layer.load(Ordering::Relaxed).checked_sub(1);
            let since = lane.since.load(Ordering::Relaxed);
            LaneSnapshot {
                layer: layer.and_then(|layer| u32::try_from(layer).ok()),
                seconds: layer.map_or(0.0, |_| seconds(now.saturating_sub(since))),
                done: lane.done.load(Ordering::Relaxed),
                busy: seconds(lane.busy.load(Ordering::Relaxed)),
                bytes: lane.bytes.load(Ordering::Relaxed),
            }
        };
        lanes.iter().take(threads).map(snapshot).collect()
    }

    /// Jobs that run or ran lately, the latest first.
    pub fn jobs(&self) -> Vec<JobSnapshot> {
        let jobs: Vec<Arc<JobRecord>> = self.jobs.lock().iter().rev().cloned().collect();
        jobs.iter().map(|job| job.snapshot(self.epoch)).collect()
    }

    /// The graph of the job of this number; of the latest for `None`.
    pub fn graph(&self, job: Option<u64>) -> Option<PlanGraph> {
        let jobs = self.jobs.lock();
        let found = match job {
            Some(id) => jobs.iter().find(|job| job.id == id),
            None => jobs.back(),
        };
        found.map(|job| job.graph.clone())
    }

    /// What went wrong lately, the latest first, and how much did in all.
    pub fn errors(&self) -> (Vec<ErrorRecord>, u64) {
        let errors = self.errors.lock().iter().rev().cloned().collect();
        (errors, self.n_errors.load(Ordering::Relaxed))
    }

    /// Spans that were written since `cursor`, by start.
    pub fn spans(&self, cursor: &mut SpanCursor) -> Vec<Span> {
        let mut spans = Vec::new();
        for (ring, from) in self.rings.iter().zip(&mut cursor.0) {
            if let Some(ring) = ring.get() {
                *from = ring.read(*from, |words| spans.push(Span::from_words(words)));
            }
        }
        spans.sort_by_key(|span| span.start);
        spans
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// How far somebody has read the spans of a [`Monitor`].
#[derive(Clone, Debug, Default)]
pub struct SpanCursor([u64; CELLS]);

/// Watches one job for a [`Monitor`], and passes everything on.
pub(crate) struct JobWatch<'a> {
    monitor: &'a Monitor,
    observer: &'a dyn Observer,
    job: Arc<JobRecord>,
    stages: [OnceLock<Arc<Layer>>; MAX_STAGES],
}

impl JobWatch<'_> {
    /// The layer of the job's stage that makes `arrays`; no lock once it is
    /// known.
    fn layer(&self, arrays: &str) -> Arc<Layer> {
        for slot in &self.stages {
            let layer = slot.get_or_init(|| self.monitor.layer(arrays));
            if layer.name == arrays {
                return Arc::clone(layer);
            }
        }
        self.monitor.layer(arrays)
    }

    /// The job is over.
    pub(crate) fn finish<T>(&self, result: &Result<T>) {
        let state = match result {
            Ok(_) => JobState::Done,
            Err(error) if error.is_cancelled() => JobState::Cancelled,
            Err(error) => {
                if let (Error::Task(task), Some(map)) = (error, &self.job.map) {
                    self.layer(&task.array).failed();
                    map.fail(&task.region);
                }
                self.monitor.error(error);
                JobState::Failed
            }
        };
        // Tasks that were not done are no longer waited for.
        if state != JobState::Done {
            for layer in self.stages.iter().filter_map(OnceLock::get) {
                let counts = layer.snapshot();
                let over = counts.done + counts.failed + counts.released;
                layer.released(counts.total.saturating_sub(over));
            }
        }
        *self.job.end.lock() = Some((Instant::now(), state));
    }
}

impl Observer for JobWatch<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::JobStarted { tasks, .. } => {
                self.job.tasks.store(*tasks as u64, Ordering::Relaxed);
            }
            Event::StagePlanned { array, tasks } => {
                self.layer(array).add_total(*tasks as u64);
            }
            Event::TaskStarted { array, bytes, .. } => {
                self.monitor
                    .begin(&self.layer(array), *bytes, Instant::now());
            }
            Event::TaskStep {
                task,
                array,
                kind,
                started,
                time,
                bytes,
            } => {
                let layer = self.layer(array);
                self.monitor
                    .step(&layer, *kind, *task as u64, *started, *time, *bytes);
                if *kind == StepKind::Compute {
                    self.monitor.pause();
                }
            }
            Event::TaskDone { array, region, .. } => {
                self.job.task_done(array, region);
                self.layer(array).done();
                self.monitor.end();
            }
            _ => {}
        }
        self.observer.event(event);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_once_and_counted_by_layer() {
        let monitor = Monitor::new();
        let layer = monitor.layer("ndvi");
        assert!(Arc::ptr_eq(&layer, &monitor.layer("ndvi")));
        layer.add_total(3);
        let time = Duration::from_millis(2);
        for task in 0..2 {
            monitor.step(&layer, StepKind::Decode, task, monitor.epoch(), time, 10);
            layer.done();
        }
        layer.failed();
        let mut cursor = SpanCursor::default();
        let spans = monitor.spans(&mut cursor);
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[1].task, spans[1].time), (1, 2_000_000));
        assert!(monitor.spans(&mut cursor).is_empty());
        let counts = &monitor.layers()[0];
        assert_eq!((counts.total, counts.done, counts.failed), (3, 2, 1));
        assert_eq!((counts.seconds.decode, counts.bytes.decode), (0.004, 20));
    }

    #[test]
    fn too_many_layers_are_counted_together() {
        let monitor = Monitor::new();
        for i in 0..MAX_LAYERS + 10 {
            monitor.layer(&i.to_string()).done();
        }
        let layers = monitor.layers();
        assert_eq!(layers.len(), MAX_LAYERS + 1);
        assert_eq!(
            (&*layers[MAX_LAYERS].name, layers[MAX_LAYERS].done),
            ("other", 10)
        );
    }
}
