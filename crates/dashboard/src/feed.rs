//! What the pages show, gathered once for all who look.
//!
//! Spans of the last seconds are kept, neighbours that would be drawn as one
//! put together, so that a picture of a million tasks is no larger than one of
//! a hundred.

use std::collections::VecDeque;
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
    spans: VecDeque<Span>,
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
            gather(&mut state.spans, span);
        }
        let snapshot = self.watch.snapshot();
        let now = u64::try_from(monitor.epoch().elapsed().as_nanos()).unwrap_or(u64::MAX);
        // After the work is done its stream stays in sight.
        let ends = state.spans.iter().map(|span| span.start + span.time);
        let last = ends.max().unwrap_or(now);
        let end = now.min(last + WINDOW / 4).max(1);
        let from = end.saturating_sub(WINDOW);
        while state
            .spans
            .front()
            .is_some_and(|span| span.start + span.time < from)
            || state.spans.len() > MAX_SPANS
        {
            state.spans.pop_front();
        }
        let mut spans: Vec<Span> = state.spans.iter().copied().collect();
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

/// Puts a step in, or lengthens one that it continues.
fn gather(spans: &mut VecDeque<Span>, span: Span) {
    let same = |other: &Span| {
        other.layer == span.layer
            && other.kind == span.kind
            && other.worker == span.worker
            && other.thread == span.thread
    };
    // The latest of many threads lie close together.
    let before = spans.iter_mut().rev().take(64).find(|other| same(other));
    if let Some(before) = before
        && span.start <= before.start + before.time + GAP
    {
        let end = (before.start + before.time).max(span.start + span.time);
        before.time = end.saturating_sub(before.start);
        before.bytes += span.bytes;
        return;
    }
    spans.push_back(span);
}

#[cfg(test)]
mod tests {
    use datacube_compute::observe::StepKind;

    use super::*;

    #[test]
    fn a_million_short_steps_are_few_long_ones() {
        let mut spans = VecDeque::new();
        for i in 0..1_000_000u64 {
            let span = Span {
                start: i * 1000,
                time: 500,
                layer: 0,
                worker: Some(0),
                thread: u16::try_from(i % 4).unwrap(),
                kind: StepKind::Compute,
                task: i,
                bytes: 1,
            };
            gather(&mut spans, span);
        }
        assert_eq!(spans.len(), 4);
        assert_eq!(spans.iter().map(|span| span.bytes).sum::<u64>(), 1_000_000);
    }
}
