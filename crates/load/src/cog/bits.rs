//! Samples that are not stored in whole bytes of their own type.

/// Widens one row of packed samples of `bits` bits to samples of `size` bytes,
/// native order.
///
/// Bits are packed from the high end of each byte on, whatever the file's byte
/// order, as GDAL has it.
pub(super) fn widen(packed: &[u8], wide: &mut [u8], bits: u16, size: usize) {
    match (bits, size) {
        (1, 1) => {
            for (wide, packed) in wide.chunks_mut(8).zip(packed) {
                for (at, wide) in wide.iter_mut().enumerate() {
                    *wide = packed >> (7 - at) & 1;
                }
            }
        }
        (_, 1) => widen_any(packed, wide, bits, |value| [value.to_le_bytes()[0]]),
        (_, 2) => widen_any(packed, wide, bits, |value| {
            let [a, b, ..] = value.to_le_bytes();
            u16::from_le_bytes([a, b]).to_ne_bytes()
        }),
        _ => widen_any(packed, wide, bits, u32::to_ne_bytes),
    }
}

fn widen_any<const SIZE: usize>(
    packed: &[u8],
    wide: &mut [u8],
    bits: u16,
    to_bytes: impl Fn(u32) -> [u8; SIZE],
) {
    let mut packed = packed.iter();
    let (mut held, mut n_held) = (0_u64, 0);
    for wide in wide.as_chunks_mut::<SIZE>().0 {
        while n_held < u32::from(bits) {
            held = held << 8 | u64::from(packed.next().copied().unwrap_or(0));
            n_held += 8;
        }
        n_held -= u32::from(bits);
        let value = held >> n_held & ((1 << bits) - 1);
        *wide = to_bytes(u32::try_from(value).expect("at most 32 bits are asked for"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width() {
        let mut wide = [9; 10];
        widen(&[0b1010_0000, 0b0100_0000], &mut wide, 1, 1);
        assert_eq!(wide, [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        let mut wide = [0; 3];
        widen(&[0xAB, 0xC0], &mut wide, 4, 1);
        assert_eq!(wide, [0xA, 0xB, 0xC]);
        let mut wide = [0; 4];
        widen(&[0xAB, 0xCD, 0xEF], &mut wide, 12, 2);
        assert_eq!(
            wide.as_chunks().0,
            &[0xABC_u16.to_ne_bytes(), 0xDEF_u16.to_ne_bytes()]
        );
        let mut wide = [0; 4];
        widen(&[1, 2, 3], &mut wide, 24, 4);
        assert_eq!(u32::from_ne_bytes(wide), 0x01_02_03);
        let mut wide = [0; 8];
        widen(&[0xFF; 8], &mut wide, 31, 4);
        assert_eq!(wide.as_chunks().0, &[(u32::MAX >> 1).to_ne_bytes(); 2]);
    }
}
