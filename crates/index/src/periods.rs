//! How many of some time ranges meet each of some periods, in one walk.
//!
//! A range meets a period unless it ends before the period begins or begins
//! after the period ends, and it cannot do both. So two histograms suffice:
//! of beginnings over the ends of the periods, of ends over their beginnings.

use crate::time_range::TimeRange;

/// Counts in the making.
#[derive(Debug)]
pub(crate) struct PeriodCounts {
    periods: Vec<(i64, i64)>,
    /// The first microseconds of the periods, ordered.
    lows: Vec<i64>,
    /// The last ones, ordered.
    highs: Vec<i64>,
    /// `begun[i]`: how many begin no later than `highs[i]`, and after the one
    /// before it.
    begun: Vec<u64>,
    /// `ended[i]`: how many end before `lows[i]`, and not before the one
    /// before it.
    ended: Vec<u64>,
}

impl PeriodCounts {
    pub(crate) fn new(periods: &[TimeRange]) -> Self {
        let periods: Vec<(i64, i64)> = periods.iter().map(TimeRange::micros).collect();
        let ordered = |mut ends: Vec<i64>| {
            ends.sort_unstable();
            ends.dedup();
            ends
        };
        let lows = ordered(periods.iter().map(|period| period.0).collect());
        let highs = ordered(periods.iter().map(|period| period.1).collect());
        PeriodCounts {
            begun: vec![0; highs.len()],
            ended: vec![0; lows.len()],
            periods,
            lows,
            highs,
        }
    }

    /// Takes in a range, given in microseconds.
    pub(crate) fn add(&mut self, begin_us: i64, end_us: i64) {
        let first_high = self.highs.partition_point(|high| *high < begin_us);
        if let Some(n) = self.begun.get_mut(first_high) {
            *n += 1;
        }
        let first_low = self.lows.partition_point(|low| *low <= end_us);
        if let Some(n) = self.ended.get_mut(first_low) {
            *n += 1;
        }
    }

    /// The counts, in the order of the periods.
    pub(crate) fn finish(self) -> Vec<u64> {
        let sums = |counts: &[u64]| -> Vec<u64> {
            let running = counts.iter().scan(0, |sum, n| {
                *sum += n;
                Some(*sum)
            });
            running.collect()
        };
        let (begun, ended) = (sums(&self.begun), sums(&self.ended));
        let at = |ends: &[i64], end: i64| ends.partition_point(|other| *other < end);
        self.periods
            .iter()
            .map(|(low, high)| begun[at(&self.highs, *high)] - ended[at(&self.lows, *low)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::time_range::from_micros;

    proptest! {
        #[test]
        fn one_walk_counts_what_one_at_a_time_does(
            periods in vec((0..50_i64, 0..20_i64), 0..8),
            ranges in vec((0..50_i64, 0..30_i64), 0..60),
        ) {
            let periods: Vec<(i64, i64)> = periods.iter().map(|(a, n)| (*a, a + n)).collect();
            let given: Vec<TimeRange> = periods
                .iter()
                .map(|(a, b)| TimeRange::between(from_micros(*a), from_micros(*b)).expect("in order"))
                .collect();
            let mut counts = PeriodCounts::new(&given);
            for (begin, length) in &ranges {
                counts.add(*begin, begin + length);
            }
            let one_by_one = periods.iter().map(|(low, high)| {
                let meets = |(begin, length): &&(i64, i64)| begin <= high && begin + length >= *low;
                ranges.iter().filter(meets).count() as u64
            });
            prop_assert_eq!(counts.finish(), one_by_one.collect::<Vec<_>>());
        }
    }
}
