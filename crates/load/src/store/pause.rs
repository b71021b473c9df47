//! Pauses between attempts: exponential, with jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// No attempt begins so long after the first.
const PATIENCE: Duration = Duration::from_secs(180);

/// The pauses of one request, as many as it may be tried again.
#[derive(Debug)]
pub(super) struct Pauses {
    left: usize,
    longest: Duration,
}

impl Pauses {
    pub(super) fn new(retries: usize) -> Self {
        Pauses {
            left: retries,
            longest: FIRST,
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    /// Between half of what is the turn's longest and all of it.
    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let longest = self.longest;
        self.longest = (longest * 2).min(LONGEST);
        // A hash with keys of its own for each call is as random as is needed.
        let random = RandomState::new().hash_one(0) % 1000;
        let share = Duration::from_millis(500 + random / 2);
        Some(longest.mul_f64(share.as_secs_f64()))
    }
}

/// The same for stores that try again by themselves.
pub(super) fn retry_config(retries: usize) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST,
            max_backoff: LONGEST,
            base: 2.0,
        },
        max_retries: retries,
        retry_timeout: PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end() {
        let pauses: Vec<Duration> = Pauses::new(12).collect();
        assert_eq!(pauses.len(), 12);
        let mut longest = FIRST;
        for pause in pauses {
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{pause:?} of {longest:?}"
            );
            longest = (longest * 2).min(LONGEST);
        }
        assert_eq!(Pauses::new(0).next(), None);
    }
}
