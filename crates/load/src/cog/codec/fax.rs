//! The fax codes of CCITT: one bit a pixel, 1 for black.

use std::convert::Infallible;

use fax::decoder::{DecodeStatus, Group3Decoder, decode_g4};

/// Columns beyond this are no fax.
const MAX_COLS: usize = 1 << 20;

/// Decodes rows of `cols` pixels into rows of packed bits, until `out` is full or
/// the data ends; gives the number of bytes written.
pub(super) fn decompress(
    input: &[u8],
    cols: usize,
    is_group_4: bool,
    out: &mut [u8],
) -> Result<usize, String> {
    let width = u32::try_from(cols)
        .ok()
        .filter(|_| cols <= MAX_COLS)
        .ok_or_else(|| format!("no fax has rows of {cols} pixels"))?;
    let row_bytes = cols.div_ceil(8);
    let n_rows = out.len() / row_bytes;
    let mut rows = out.chunks_exact_mut(row_bytes);
    let mut n_found = 0;
    let mut put = |changes: &[u32]| {
        if let Some(row) = rows.next() {
            row.fill(0);
            blacken(changes, width, row);
            n_found += 1;
        }
    };
    let bytes = input.iter().copied();
    let is_whole = if is_group_4 {
        let height = u32::try_from(n_rows).unwrap_or(u32::MAX);
        decode_g4(bytes, width, Some(height), &mut put).is_some()
    } else {
        group_3(bytes, width, n_rows, &mut put)
    };
    if is_whole || n_found >= n_rows {
        Ok(n_found * row_bytes)
    } else {
        Err("the fax data is damaged".to_owned())
    }
}

/// Decodes rows that stand behind marks of their end; says whether all were
/// there.
fn group_3(
    bytes: impl Iterator<Item = u8>,
    width: u32,
    n_rows: usize,
    mut put: impl FnMut(&[u32]),
) -> bool {
    let Ok(mut decoder) = Group3Decoder::new(bytes.map(Ok::<u8, Infallible>)) else {
        return false;
    };
    for row in 0..n_rows {
        let status = decoder.advance();
        let changes = decoder.transitions();
        match status {
            Ok(DecodeStatus::Incomplete) => put(changes),
            Ok(DecodeStatus::End) => {
                put(changes);
                return row + 1 == n_rows;
            }
            // Most writers leave out the mark behind the last row.
            Err(_) if row + 1 == n_rows && changes.last() == Some(&width) => put(changes),
            Err(_) => return false,
        }
    }
    true
}

/// Sets the bits between each change to black and the next to white.
fn blacken(changes: &[u32], width: u32, row: &mut [u8]) {
    for pair in changes.chunks(2) {
        // The last run may be black to the end.
        let end = pair.get(1).map_or(width, |&end| end.min(width));
        for col in pair[0]..end {
            row[col as usize / 8] |= 0x80 >> (col % 8);
        }
    }
}
