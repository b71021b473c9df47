//! A ring of spans that many threads write and none waits for.
//!
//! A slot carries the number of its write twice over: odd while it is being
//! written, even once it is whole. A reader that finds another number than it
//! expected knows that the slot was overwritten and leaves it out, so writers
//! take no lock and readers see whole spans only.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Words of one entry.
pub(super) const WORDS: usize = 5;
/// Entries that are kept; a power of two.
const SLOTS: usize = 4096;

struct Slot {
    turn: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The latest entries of some threads.
pub(super) struct Ring {
    slots: Box<[Slot]>,
    head: AtomicU64,
}

impl Ring {
    pub(super) fn new() -> Ring {
        let slot = || Slot {
            turn: AtomicU64::new(0),
            words: Default::default(),
        };
        Ring {
            slots: (0..SLOTS).map(|_| slot()).collect(),
            head: AtomicU64::new(0),
        }
    }

    fn slot(&self, at: u64) -> &Slot {
        // The remainder is below the number of slots.
        &self.slots[usize::try_from(at % self.slots.len() as u64).unwrap_or(0)]
    }

    pub(super) fn push(&self, words: [u64; WORDS]) {
        let at = self.head.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot(at);
        slot.turn.store(2 * at + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (to, word) in slot.words.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        slot.turn.store(2 * at + 2, Ordering::Release);
    }

    /// Entries since number `from`, and the number to go on with.
    pub(super) fn read(&self, from: u64, mut each: impl FnMut([u64; WORDS])) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        let oldest = head.saturating_sub(self.slots.len() as u64);
        for at in from.max(oldest)..head {
            let slot = self.slot(at);
            let whole = 2 * at + 2;
            let turn = slot.turn.load(Ordering::Acquire);
            if turn < whole {
                // Still being written; it is read next time.
                return at;
            }
            let words = std::array::from_fn(|i| slot.words[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if slot.turn.load(Ordering::Relaxed) == whole {
                each(words);
            }
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_whole_while_threads_write() {
        let ring = Ring::new();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let ring = &ring;
                scope.spawn(move || {
                    for i in 0..20_000 {
                        ring.push([thread + i; WORDS]);
                    }
                });
            }
            let mut from = 0;
            for _ in 0..200 {
                from = ring.read(from, |words| {
                    assert!(words.iter().all(|&word| word == words[0]), "{words:?}");
                });
            }
        });
        let mut count = 0;
        let next = ring.read(0, |_| count += 1);
        assert_eq!((count, next), (SLOTS, 80_000));
        assert_eq!(ring.read(next, |_| panic!("nothing is new")), next);
    }
}
