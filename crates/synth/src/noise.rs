//! Noise that depends on a seed and a place alone: the same in every run, on
//! every thread and whatever part of the world is drawn.

/// Scrambles a cell and a seed.
pub(crate) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h =
        seed ^ x.cast_unsigned().wrapping_mul(0x9e37_79b1) ^ y.cast_unsigned().rotate_left(16);
    for multiplier in [0x85eb_ca6b, 0xc2b2_ae35] {
        h ^= h >> 15;
        h = h.wrapping_mul(multiplier);
        h ^= h >> 13;
    }
    h ^ (h >> 16)
}

/// A number from 0 to 1 for a cell.
#[allow(clippy::cast_precision_loss, reason = "24 bits are exact")]
pub(crate) fn unit(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x, y, seed) >> 8) as f32 / (1u32 << 24) as f32
}

/// A number around 0 of standard deviation 1, near enough to normal.
pub(crate) fn normal(x: i32, y: i32, seed: u32) -> f32 {
    let bytes = hash(x, y, seed).to_le_bytes();
    let sum: f32 = bytes.into_iter().map(|byte| f32::from(byte) - 127.5).sum();
    sum / 147.8
}

/// The cell of a position, and the position in it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "positions are within the Earth"
)]
pub(crate) fn cell(at: f32) -> (i32, f32) {
    let floor = at.floor();
    (floor as i32, at - floor)
}

/// Gradient noise: smooth hills one unit apart, about -1 to 1.
fn gradient(x: f32, y: f32, seed: u32) -> f32 {
    const S: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const DIRECTIONS: [(f32, f32); 8] = [
        (1.0, 0.0),
        (S, S),
        (0.0, 1.0),
        (-S, S),
        (-1.0, 0.0),
        (-S, -S),
        (0.0, -1.0),
        (S, -S),
    ];
    let ((ix, fx), (iy, fy)) = (cell(x), cell(y));
    let slope = |dx: i32, dy: i32| {
        let (gx, gy) = DIRECTIONS[(hash(ix + dx, iy + dy, seed) >> 29) as usize];
        let corner = |d: i32| if d == 1 { 1.0 } else { 0.0 };
        gx * (fx - corner(dx)) + gy * (fy - corner(dy))
    };
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(fx), ease(fy));
    let top = slope(0, 0) + u * (slope(1, 0) - slope(0, 0));
    let bottom = slope(0, 1) + u * (slope(1, 1) - slope(0, 1));
    (top + v * (bottom - top)) * 1.5
}

/// Sums noise of ever finer scales; each adds half as much as the one before.
pub(crate) fn fractal(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        // A shift, so that the zeros of all scales do not meet at one corner.
        let shift = unit(0, 0, seed.wrapping_add(octave)) * 64.0;
        sum += weight
            * gradient(
                x * scale + shift,
                y * scale - shift,
                seed.wrapping_add(octave),
            );
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total * 1.6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_centred_and_bounded() {
        let at = |i: i32| unit(i, 7, 1) * 500.0;
        let values: Vec<f32> = (0..4000).map(|i| fractal(at(i), at(-i), 5, 9)).collect();
        let mean = values.iter().sum::<f32>() / 4000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!(values.iter().all(|v| v.abs() < 1.7));
        let normals: Vec<f32> = (0..4000).map(|i| normal(i, 3, 5)).collect();
        let variance = normals.iter().map(|v| v * v).sum::<f32>() / 4000.0;
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn noise_depends_on_the_place_alone() {
        assert_eq!(
            fractal(1.25, -7.5, 4, 3).to_bits(),
            fractal(1.25, -7.5, 4, 3).to_bits()
        );
        assert_ne!(hash(1, 2, 3), hash(2, 1, 3));
    }
}
