//! PackBits: runs and literals, each after a byte that counts them.

/// Decompresses until `input` or `out` ends; gives the bytes written.
///
/// # Source
/// TIFF 6.0, section 9.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> usize {
    let mut input = input.iter().as_slice();
    let mut at = 0;
    while at < out.len() {
        let Some((&header, rest)) = input.split_first() else {
            break;
        };
        input = rest;
        let room = out.len() - at;
        match header {
            // Literals, one more than the header says.
            0..=127 => {
                let n_bytes = (usize::from(header) + 1).min(input.len());
                let n_used = n_bytes.min(room);
                out[at..at + n_used].copy_from_slice(&input[..n_used]);
                input = &input[n_bytes..];
                at += n_used;
            }
            // No operation.
            128 => {}
            // A run: 257 minus the header, so 2 to 128 times.
            129..=255 => {
                let Some((&value, rest)) = input.split_first() else {
                    break;
                };
                input = rest;
                let n_bytes = (257 - usize::from(header)).min(room);
                out[at..at + n_bytes].fill(value);
                at += n_bytes;
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let expected = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        let mut out = [0; 24];
        assert_eq!(decompress(&packed, &mut out), 24);
        assert_eq!(out, expected);
        assert_eq!(decompress(&packed, &mut out[..5]), 5);
        assert_eq!(decompress(&packed[..5], &mut out), 5);
        assert_eq!(decompress(&[], &mut out), 0);
    }
}
