//! Members of a plane become one image, row by row.
//!
//! A [`Mosaic`] is the chunk that is being made. Each member in turn offers rows
//! of values with a mark for each pixel that it has; the first member to have a
//! pixel gives it. The mosaic knows which rows still want pixels, so that later
//! members are read only there, and not at all once nothing is wanted.

use std::ops::Range;

use datacube_model::Number;

use crate::nodata::Missing;
use crate::params::Resampling;
use crate::warp::Sample;

/// What becomes of a pixel that a source has and whose value is the
/// measurement's nodata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collision {
    /// It takes the value beside: a computed mean must not vanish because it
    /// happens to be the marker.
    Dodge,
    /// It is missing: a value copied from the source means what it says.
    Missing,
}

impl Collision {
    /// What becomes of it under a resampling.
    pub(crate) fn of(resampling: Resampling) -> Self {
        match resampling.keeps_values() {
            true => Collision::Missing,
            false => Collision::Dodge,
        }
    }
}

/// Where the kernels' rows go.
pub(crate) trait RowSink<W> {
    /// Whether some pixel of this row is still wanted.
    fn wants(&self, row: usize) -> bool;

    /// Takes row `row` of the chunk from column `col` on. `valid` is 1 where
    /// `values` has a pixel, and `None` where it has all.
    fn put(&mut self, row: usize, col: usize, values: &[W], valid: Option<&[u8]>);
}

/// A chunk being made out of the members of a plane.
pub(crate) struct Mosaic<'a, D> {
    out: &'a mut [D],
    n_cols: usize,
    /// 1 where a member gave the pixel. Kept only while another may follow.
    given: &'a mut Vec<u8>,
    /// How many pixels of each row are still wanted.
    wanted: &'a mut Vec<usize>,
    nodata: Missing<D>,
    collision: Collision,
    is_last: bool,
    is_first: bool,
}

impl<'a, D: Sample> Mosaic<'a, D> {
    /// `out` is filled with the measurement's nodata already. `given` and
    /// `wanted` are memory to work in.
    pub(crate) fn new(
        out: &'a mut [D],
        n_cols: usize,
        nodata: Option<Number>,
        collision: Collision,
        given: &'a mut Vec<u8>,
        wanted: &'a mut Vec<usize>,
    ) -> Self {
        let n_rows = out.len().checked_div(n_cols).unwrap_or(0);
        wanted.clear();
        wanted.resize(n_rows, n_cols);
        Mosaic {
            out,
            n_cols,
            given,
            wanted,
            // Floating-point NaN needs no care: no member has one.
            nodata: match nodata
                .and_then(D::from_number)
                .filter(|value| !value.is_nan())
            {
                Some(value) => Missing::Value(value),
                None => Missing::Never,
            },
            collision,
            is_last: false,
            is_first: true,
        }
    }

    /// Says that the next rows are of another member, and whether it is the
    /// last one: what nobody will ask for is not kept.
    pub(crate) fn next_member(&mut self, is_first: bool, is_last: bool) {
        (self.is_first, self.is_last) = (is_first, is_last);
        if is_first && !is_last {
            self.given.clear();
            self.given.resize(self.out.len(), 0);
        }
    }

    /// The smallest range of rows outside of which nothing is wanted.
    pub(crate) fn wanted_rows(&self) -> Range<usize> {
        let first = self.wanted.iter().position(|&wanted| wanted > 0);
        let last = self.wanted.iter().rposition(|&wanted| wanted > 0);
        match (first, last) {
            (Some(first), Some(last)) => first..last + 1,
            _ => 0..0,
        }
    }

    /// Takes a row whose values are already of the right type.
    fn put_row(&mut self, row: usize, col: usize, values: &[D], valid: Option<&[u8]>) {
        let at = row * self.n_cols + col;
        let out = &mut self.out[at..at + values.len()];
        let nodata = match self.nodata {
            Missing::Value(value) => Some(value),
            _ => None,
        };
        // The value written, and whether the member has it.
        let resolve = |value: D, valid: u8| match (nodata, self.collision) {
            (Some(nodata), Collision::Dodge) if value == nodata => (value.beside(), valid),
            (Some(nodata), Collision::Missing) if value == nodata => (value, 0),
            _ => (value, valid),
        };
        if self.is_first && self.is_last {
            match (valid, nodata, self.collision) {
                // Here a value equal to nodata is written as what it is: nodata.
                (None, None, _) | (None, _, Collision::Missing) => out.copy_from_slice(values),
                (None, ..) => {
                    for (out, &value) in out.iter_mut().zip(values) {
                        *out = resolve(value, 1).0;
                    }
                }
                (Some(valid), ..) => {
                    for ((out, &value), &valid) in out.iter_mut().zip(values).zip(valid) {
                        let (value, valid) = resolve(value, valid);
                        *out = if valid != 0 { value } else { *out };
                    }
                }
            }
            return;
        }
        let given = &mut self.given[at..at + values.len()];
        let mut n_given = 0;
        for (idx, ((out, given), &value)) in out.iter_mut().zip(given).zip(values).enumerate() {
            let (value, valid) = resolve(value, valid.map_or(1, |valid| valid[idx]));
            let take = valid & (1 - *given);
            *out = if take != 0 { value } else { *out };
            *given |= take;
            n_given += usize::from(take);
        }
        self.wanted[row] -= n_given;
    }
}

impl<D: Sample, W: Sample> RowSink<W> for Mosaic<'_, D> {
    fn wants(&self, row: usize) -> bool {
        self.wanted.get(row).is_some_and(|&wanted| wanted > 0)
    }

    fn put(&mut self, row: usize, col: usize, values: &[W], valid: Option<&[u8]>) {
        if W::DTYPE == D::DTYPE {
            return self.put_row(row, col, bytemuck::cast_slice(values), valid);
        }
        // Another type than the source's is rare; it goes through a small buffer.
        let mut converted = [<D as bytemuck::Zeroable>::zeroed(); 256];
        for (part, values) in values.chunks(converted.len()).enumerate() {
            let from = part * converted.len();
            for (converted, &value) in converted.iter_mut().zip(values) {
                *converted = convert(value);
            }
            let valid = valid.map(|valid| &valid[from..from + values.len()]);
            self.put_row(row, col + from, &converted[..values.len()], valid);
        }
    }
}

/// The nearest value of another type, clamped to its range.
///
/// Integers stay exact; from floats halves go up, as GDAL has it.
#[inline(always)]
pub(crate) fn convert<A: Sample, B: Sample>(value: A) -> B {
    if let (Some(value), Some((low, high))) = (whole(value), B::DTYPE.integer_range()) {
        let clamped = Number::Int(value.clamp(low, high));
        return B::from_number(clamped).expect("clamped to the type's range");
    }
    B::from_f64(value.to_f64())
}

/// The exact value of a 64-bit integer, which `f64` would round.
#[inline(always)]
fn whole<A: Sample>(value: A) -> Option<i128> {
    let bytes = bytemuck::bytes_of(&value);
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    match A::DTYPE {
        datacube_model::DType::Int64 => Some(i64::from_ne_bytes(bytes).into()),
        datacube_model::DType::UInt64 => Some(u64::from_ne_bytes(bytes).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        nodata: Option<Number>,
        collision: Collision,
        members: Vec<(Vec<u8>, Vec<u8>)>,
        expected: Vec<u8>,
        wanted: Range<usize>,
    }

    fn check(case: &Case) {
        let mut out = vec![99; 4];
        let (mut given, mut wanted) = (Vec::new(), Vec::new());
        let mut mosaic = Mosaic::new(
            &mut out,
            2,
            case.nodata,
            case.collision,
            &mut given,
            &mut wanted,
        );
        for (idx, (values, valid)) in case.members.iter().enumerate() {
            mosaic.next_member(idx == 0, idx + 1 == case.members.len());
            for row in 0..2 {
                if RowSink::<u8>::wants(&mosaic, row) {
                    let cols = row * 2..row * 2 + 2;
                    mosaic.put(row, 0, &values[cols.clone()], Some(&valid[cols]));
                }
            }
        }
        let rows = mosaic.wanted_rows();
        assert_eq!(out, case.expected);
        if case.members.len() > 1 {
            assert_eq!(rows, case.wanted);
        }
    }

    #[test]
    fn the_first_member_that_has_a_pixel_gives_it() {
        check(&Case {
            nodata: None,
            collision: Collision::Missing,
            members: vec![
                (vec![1, 2, 3, 4], vec![1, 0, 0, 0]),
                (vec![5, 6, 7, 8], vec![1, 1, 1, 0]),
                (vec![0, 0, 0, 0], vec![1, 1, 1, 0]),
            ],
            expected: vec![1, 6, 7, 99],
            wanted: 1..2,
        });
    }

    #[test]
    fn a_value_that_looks_like_nodata() {
        let members = vec![
            (vec![7, 7, 3, 4], vec![1, 0, 1, 1]),
            (vec![5, 7, 5, 5], vec![1; 4]),
        ];
        let case = |collision, expected: &[u8], wanted| Case {
            nodata: Some(Number::Int(7)),
            collision,
            members: members.clone(),
            expected: expected.to_vec(),
            wanted,
        };
        check(&case(Collision::Dodge, &[6, 6, 3, 4], 0..0));
        check(&case(Collision::Missing, &[5, 99, 3, 4], 0..1));
        let single = |collision, expected: &[u8]| Case {
            members: vec![members[0].clone()],
            ..case(collision, expected, 0..0)
        };
        check(&single(Collision::Dodge, &[6, 99, 3, 4]));
        check(&single(Collision::Missing, &[99, 99, 3, 4]));
    }

    #[test]
    fn types_convert_by_rounding_and_clamping() {
        assert_eq!(convert::<f32, i16>(2.5), 3);
        assert_eq!(convert::<f64, u8>(-4.0), 0);
        assert_eq!(convert::<i16, u8>(300), 255);
        assert_eq!(convert::<u64, i64>(u64::MAX), i64::MAX);
        assert_eq!(convert::<i64, u64>((1 << 60) + 1), (1 << 60) + 1);
        assert_eq!(convert::<i64, f32>(3), 3.0);
    }
}
