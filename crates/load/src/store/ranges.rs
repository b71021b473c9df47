//! Ranges that lie close together become one request.

use std::ops::Range;

use crate::reader::ReadCost;

/// A merged request grows no further than this, so that a large read is spread
/// over several requests.
const MERGED_BYTES: u64 = 8 << 20;

/// What reading these ranges takes.
pub(super) fn cost_of(merged: &[Range<u64>]) -> ReadCost {
    ReadCost {
        bytes: merged.iter().map(|range| range.end - range.start).sum(),
        requests: merged.len() as u64,
        cached_blocks: 0,
    }
}

/// Sorted ranges that cover `ranges`, joined where at most `gap` bytes lie
/// between them and the result stays below [`MERGED_BYTES`].
pub(super) fn merge(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            // One inside the other has to share a request, however long it is.
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(last)
                if range.start - last.end <= gap && range.end - last.start <= MERGED_BYTES =>
            {
                last.end = range.end;
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// An offset within bytes that are in memory.
pub(super) fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets into a buffer fit a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_is_close() {
        let check = |ranges: &[Range<u64>], expected: &[(u64, u64)]| {
            let merged: Vec<(u64, u64)> = merge(ranges, 10)
                .iter()
                .map(|range| (range.start, range.end))
                .collect();
            assert_eq!(merged, expected);
        };
        check(&[], &[]);
        check(&[20..30, 0..10], &[(0, 30)]);
        check(&[0..10, 21..30], &[(0, 10), (21, 30)]);
        check(&[0..10, 5..7, 8..12], &[(0, 12)]);
        check(
            &[0..MERGED_BYTES, MERGED_BYTES..MERGED_BYTES + 1],
            &[(0, MERGED_BYTES), (MERGED_BYTES, MERGED_BYTES + 1)],
        );
    }
}
