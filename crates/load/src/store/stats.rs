//! What the stores of a process were asked, counted by host.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What was asked of all stores, by host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// By host, with its port where it has one; files of this machine are
    /// under [`StoreStats::LOCAL`].
    pub hosts: BTreeMap<String, HostStats>,
}

/// What was asked of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Requests that were sent, each attempt counted.
    pub requests: u64,
    /// Requests among them that were made because an earlier one failed.
    pub retries: u64,
    /// Requests that gave no usable answer.
    pub failures: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Requests that wait for their answer now.
    pub in_flight: u64,
    /// The most of them at any time; of several hosts, the most of one.
    pub peak_in_flight: u64,
}

impl StoreStats {
    /// Stands for the files of this machine.
    pub const LOCAL: &'static str = "local files";

    /// All hosts together.
    pub fn total(&self) -> HostStats {
        let mut total = HostStats::default();
        for host in self.hosts.values() {
            total += *host;
        }
        total
    }

    /// What came since `earlier`; counts of what is in flight are those of now.
    #[must_use]
    pub fn since(&self, earlier: &StoreStats) -> StoreStats {
        let hosts = self.hosts.iter().map(|(name, now)| {
            let before = earlier.hosts.get(name).copied().unwrap_or_default();
            let since = HostStats {
                requests: now.requests.saturating_sub(before.requests),
                retries: now.retries.saturating_sub(before.retries),
                failures: now.failures.saturating_sub(before.failures),
                bytes: now.bytes.saturating_sub(before.bytes),
                ..*now
            };
            (name.clone(), since)
        });
        StoreStats {
            hosts: hosts.collect(),
        }
    }
}

impl AddAssign for HostStats {
    fn add_assign(&mut self, other: HostStats) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.failures += other.failures;
        self.bytes += other.bytes;
        self.in_flight += other.in_flight;
        self.peak_in_flight = self.peak_in_flight.max(other.peak_in_flight);
    }
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hosts: Mutex<BTreeMap<String, Arc<HostCounters>>>,
}

#[derive(Debug, Default)]
pub(super) struct HostCounters {
    requests: AtomicU64,
    retries: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
    in_flight: AtomicU64,
    peak_in_flight: AtomicU64,
}

impl Counters {
    pub(super) fn of(&self, host: &str) -> Arc<HostCounters> {
        let mut hosts = self.hosts.lock();
        if let Some(counters) = hosts.get(host) {
            return Arc::clone(counters);
        }
        Arc::clone(hosts.entry(host.to_owned()).or_default())
    }

    pub(super) fn snapshot(&self) -> StoreStats {
        let hosts = self.hosts.lock();
        let hosts = hosts.iter().map(|(name, counters)| {
            let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let stats = HostStats {
                requests: get(&counters.requests),
                retries: get(&counters.retries),
                failures: get(&counters.failures),
                bytes: get(&counters.bytes),
                in_flight: get(&counters.in_flight),
                peak_in_flight: get(&counters.peak_in_flight),
            };
            (name.clone(), stats)
        });
        StoreStats {
            hosts: hosts.collect(),
        }
    }
}

impl HostCounters {
    /// A request goes out; it is in flight until the guard is dropped.
    pub(super) fn start(self: &Arc<Self>, is_retry: bool) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries
            .fetch_add(u64::from(is_retry), Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_in_flight.fetch_max(now, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct InFlight(Arc<HostCounters>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_known_and_the_rest_adds_up() {
        let counters = Counters::default();
        let host = counters.of("a:80");
        let (one, two) = (host.start(false), host.start(true));
        host.received(10);
        drop(one);
        let before = counters.snapshot();
        assert_eq!(
            (
                before.hosts["a:80"].in_flight,
                before.total().peak_in_flight
            ),
            (1, 2)
        );
        drop(two);
        counters.of("b").start(false);
        let since = counters.snapshot().since(&before);
        let total = since.total();
        assert_eq!((total.requests, total.bytes, total.in_flight), (1, 0, 0));
        assert_eq!(before.total().retries, 1);
    }
}
