//! What the pages show, gathered once for all who look.
//!
//! Spans of the last seconds are kept, neighbours that would be drawn as one
//! put together, so that a picture of a million tasks is no larger than one of
//! a hundred.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datacube_compute::ClusterWatch;
use datacube_compute::observe::{ClusterSnapshot, Span, SpanCursor};
use tokio::sync::Mutex;

/// Time between two looks at the cluster at least.
const PAUSE: Duration = Duration::from_millis(400);
/// What a task stream shows.
const WINDOW: u64 = 20_000_000_000;
/// Below this gap two steps are drawn as one: a pixel of the window.
const GAP: u64 = WINDOW / 900;
/// Steps that are kept.
const MAX_SPANS: usize = 4000;
/// Steps that are drawn.
const MAX_DRAWN: usize = 1200;

/// A cluster as the pages show it.
pub(crate) struct View {
    pub(crate) snapshot: ClusterSnapshot,
    pub(crate) spans: Vec<Span>,
    /// Start and end of the task stream, in nanoseconds.
    pub(crate) window: (u64, u64),
    /// Tasks a second since the last look.
    pub(crate) rate: f64,
    pub(crate) graph: Option<String>,
}

/// Looks at a cluster for whoever asks.
pub(crate) struct Feed {
    watch: ClusterWatch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cursor: SpanCursor,
    stream: Stream,
    view: Option<(Instant, Arc<View>)>,
    drawn: Option<(u64, String)>,
}

impl Feed {
    pub(crate) fn new(watch: ClusterWatch) -> Feed {
        Feed {
            watch,
            state: Mutex::default(),
        }
    }

    /// The cluster now, or a moment ago if somebody else has just asked.
    pub(crate) async fn view(&self) -> Arc<View> {
        let mut state = self.state.lock().await;
        if let Some((at, view)) = &state.view
            && at.elapsed() < PAUSE
        {
            return Arc::clone(view);
        }
        let monitor = self.watch.monitor();
        let new = monitor.spans(&mut state.cursor);
        for span in new {
            state.stream.put(span);
        }
        let snapshot = self.watch.snapshot();
        let now = u64::try_from(monitor.epoch().elapsed().as_nanos()).unwrap_or(u64::MAX);
        // After the work is done its stream stays in sight.
        let end = now.min(state.stream.end() + WINDOW / 4).max(1);
        let from = end.saturating_sub(WINDOW);
        let mut spans = state.stream.since(from);
        if spans.len() > MAX_DRAWN {
            spans.sort_by_key(|span| std::cmp::Reverse(span.time));
            spans.truncate(MAX_DRAWN);
        }
        let job = snapshot.jobs.first().map(|job| job.id);
        if let Some(job) = job
            && state.drawn.as_ref().is_none_or(|(drawn, _)| *drawn != job)
        {
            let graph = monitor.graph(Some(job)).map(|graph| graph.svg());
            state.drawn = graph.map(|graph| (job, graph));
        }
        let rate = match &state.view {
            Some((at, view)) => {
                let new = snapshot.tasks().1.saturating_sub(view.snapshot.tasks().1);
                #[allow(clippy::cast_precision_loss, reason = "a rate")]
                let new = new as f64;
                new / at.elapsed().as_secs_f64().max(1e-3)
            }
            None => 0.0,
        };
        let view = Arc::new(View {
            snapshot,
            spans,
            window: (from, end),
            rate,
            graph: state.drawn.as_ref().map(|(_, graph)| graph.clone()),
        });
        state.view = Some((Instant::now(), Arc::clone(&view)));
        view
    }
}

/// The steps of the last seconds, as coarse as they are drawn.
#[derive(Default)]
struct Stream {
    spans: VecDeque<Span>,
    /// Short steps of each thread within one pixel, until the next one begins.
    open: HashMap<(Option<u16>, u16), Pixel>,
}

/// Steps of one thread that share a pixel.
struct Pixel {
    index: u64,
    start: u64,
    end: u64,
    /// One for each layer and kind, with their time in all.
    sums: Vec<Span>,
}

impl Pixel {
    /// What took the most of it, over the whole of it.
    fn close(self) -> Option<Span> {
        let bytes = self.sums.iter().map(|span| span.bytes).sum();
        let most = self.sums.into_iter().max_by_key(|span| span.time)?;
        Some(Span {
            start: self.start,
            time: self.end - self.start,
            bytes,
            ..most
        })
    }
}

impl Stream {
    fn put(&mut self, span: Span) {
        let lane = (span.worker, span.thread);
        let index = span.start / GAP;
        if self
            .open
            .get(&lane)
            .is_none_or(|pixel| pixel.index != index)
        {
            let before = self.open.insert(
                lane,
                Pixel {
                    index,
                    start: span.start,
                    end: span.start,
                    sums: Vec::new(),
                },
            );
            if let Some(span) = before.and_then(Pixel::close) {
                self.append(span);
            }
        }
        let Some(pixel) = self.open.get_mut(&lane) else {
            return;
        };
        pixel.start = pixel.start.min(span.start);
        pixel.end = pixel.end.max(span.start + span.time);
        let same = |sum: &&mut Span| sum.layer == span.layer && sum.kind == span.kind;
        match pixel.sums.iter_mut().find(same) {
            Some(sum) => {
                sum.time += span.time;
                sum.bytes += span.bytes;
            }
            None => pixel.sums.push(span),
        }
    }

    /// Puts a step in, or lengthens the one that it goes on with.
    fn append(&mut self, span: Span) {
        let lane = |other: &&mut Span| (other.worker, other.thread) == (span.worker, span.thread);
        // The latest of all threads lie close together.
        let before = self.spans.iter_mut().rev().take(256).find(lane);
        if let Some(before) = before
            && (before.layer, before.kind) == (span.layer, span.kind)
            && span.start <= before.start + before.time + GAP
        {
            let end = (before.start + before.time).max(span.start + span.time);
            before.time = end.saturating_sub(before.start);
            before.bytes += span.bytes;
            return;
        }
        self.spans.push_back(span);
        if self.spans.len() > MAX_SPANS {
            self.spans.pop_front();
        }
    }

    /// When the last step ended.
    fn end(&self) -> u64 {
        let open = self.open.values().map(|pixel| pixel.end);
        let closed = self.spans.iter().map(|span| span.start + span.time);
        closed.chain(open).max().unwrap_or(0)
    }

    /// What went on since `from`.
    fn since(&mut self, from: u64) -> Vec<Span> {
        let is_later = |span: &Span| span.start + span.time >= from;
        self.spans.retain(is_later);
        let open = self.open.values().filter_map(|pixel| {
            let sums = pixel.sums.clone();
            Pixel { sums, ..*pixel }.close()
        });
        let open = open.filter(is_later);
        self.spans.iter().copied().chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use datacube_compute::observe::StepKind;

    use super::*;

    fn span(i: u64, kind: StepKind, time: u64) -> Span {
        Span {
            start: i * 1000,
            time,
            layer: 0,
            worker: Some(0),
            thread: u16::try_from(i % 4).unwrap(),
            kind,
            task: i,
            bytes: 1,
        }
    }

    #[test]
    fn a_million_short_steps_are_few_long_ones() {
        let mut stream = Stream::default();
        for i in 0..1_000_000 {
            stream.put(span(i, StepKind::Compute, 500));
        }
        let spans = stream.since(0);
        assert!(spans.len() <= 8, "{}", spans.len());
        assert_eq!(spans.iter().map(|span| span.bytes).sum::<u64>(), 1_000_000);
    }

    #[test]
    fn a_pixel_has_the_colour_of_what_took_most_of_it() {
        let mut stream = Stream::default();
        for i in 0..1_000_000 {
            let step = if i % 8 < 4 {
                span(i, StepKind::Decode, 900)
            } else {
                span(i, StepKind::Compute, 50)
            };
            stream.put(step);
        }
        let spans = stream.since(0);
        assert!(spans.iter().all(|span| span.kind == StepKind::Decode));
        // Steps longer than a pixel stay as they are.
        stream.put(span(2_000_000, StepKind::Compute, 10 * GAP));
        let last = stream.since(2_000_000_000);
        assert_eq!((last.len(), last[0].time), (1, 10 * GAP));
    }
}
