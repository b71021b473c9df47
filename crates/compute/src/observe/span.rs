//! Spans: who did what, and when.

use serde::Serialize;

use super::ring::WORDS;

/// What a thread did for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepKind {
    /// Waited for bytes; no thread was held.
    Fetch,
    /// Decompressed, warped and fused.
    Decode,
    /// Arithmetic, or a submitted function.
    Compute,
    /// Handed pixels to the sink.
    Write,
    /// Moved pixels to disk, or back.
    Spill,
}

impl StepKind {
    /// All kinds, in the order of a task's life.
    pub const ALL: [StepKind; 5] = [
        StepKind::Fetch,
        StepKind::Decode,
        StepKind::Compute,
        StepKind::Write,
        StepKind::Spill,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            StepKind::Fetch => "fetch",
            StepKind::Decode => "decode",
            StepKind::Compute => "compute",
            StepKind::Write => "write",
            StepKind::Spill => "spill",
        }
    }

    pub(super) fn number(self) -> usize {
        self as usize
    }
}

/// One step of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Nanoseconds from the cluster's start to the step's.
    pub start: u64,
    /// Nanoseconds that it took.
    pub time: u64,
    /// Number of the layer, see [`super::LayerSnapshot`].
    pub layer: u32,
    /// The worker; `None` for what no worker did, such as fetching.
    pub worker: Option<u16>,
    /// Number of the thread among all of the cluster's.
    pub thread: u16,
    /// What was done.
    pub kind: StepKind,
    /// Number of the task within its job, or of the submitted function.
    pub task: u64,
    /// Bytes that were moved.
    pub bytes: u64,
}

/// Stands for "no worker".
const NOBODY: u16 = 0xfff;

impl Span {
    pub(super) fn to_words(self) -> [u64; WORDS] {
        let worker = self.worker.map_or(NOBODY, |worker| worker.min(NOBODY - 1));
        let who = u64::from(self.layer) << 32
            | u64::from(worker) << 20
            | u64::from(self.thread) << 4
            | self.kind.number() as u64;
        [self.start, self.time, who, self.task, self.bytes]
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "parts of a word, as they were put in"
    )]
    pub(super) fn from_words(words: [u64; WORDS]) -> Span {
        let [start, time, who, task, bytes] = words;
        let worker = (who >> 20) as u16 & NOBODY;
        Span {
            start,
            time,
            layer: (who >> 32) as u32,
            worker: (worker != NOBODY).then_some(worker),
            thread: (who >> 4) as u16,
            kind: StepKind::ALL[(who & 0xf) as usize % StepKind::ALL.len()],
            task,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_back() {
        for kind in StepKind::ALL {
            for worker in [None, Some(0), Some(511)] {
                let span = Span {
                    start: 7,
                    time: 9,
                    layer: u32::MAX,
                    worker,
                    thread: u16::MAX,
                    kind,
                    task: u64::MAX,
                    bytes: 5,
                };
                assert_eq!(Span::from_words(span.to_words()), span);
            }
        }
    }
}
