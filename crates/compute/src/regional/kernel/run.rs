//! Kernels run on the blocks of their inputs.

use datacube_model::DType;
use half::f16;

use super::super::{Block, Rows, sub_block};
use super::{Bits, GEOMEDIAN_STATS, Kernel, geomedian_dtype, numbers, radii};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::kernels::fill::{Gaps, interpolate_na};
use crate::kernels::geomedian::{Composite, Geomedian, geomedian};
use crate::kernels::interp::{InterpPlan, interp};
use crate::kernels::morphology::{self, Morph, mask_cleanup};
use crate::kernels::quantile::percentile;
use crate::kernels::{Axis, Sample, Sorter};
use crate::region::Region;
use crate::value::Const;

impl Kernel {
    /// Makes `region` of the result; `shape` is that of a whole input.
    pub(in crate::regional) fn run(
        &self,
        shape: &[usize],
        inputs: &[Option<Block<'_>>],
        region: &Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        self.compute(shape, inputs, region, out)
            .map_err(|error| error.to_string())
    }

    fn compute(
        &self,
        shape: &[usize],
        inputs: &[Option<Block<'_>>],
        region: &Region,
        out: &mut [u8],
    ) -> Result<()> {
        if region.is_empty() {
            return Ok(());
        }
        let wanted = self.wants(shape, region);
        let blocks = inputs
            .iter()
            .flatten()
            .map(|block| {
                Ok((
                    block.dtype,
                    Buffer::from_slice::<u8>(&sub_block(block, &wanted))?,
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        let [(dtype, first), ..] = blocks.as_slice() else {
            return Err(Error::Bug(format!("{} without an input", self.name())));
        };
        if let Kernel::MaskCleanup(steps) = self {
            return cleanup(steps, first, &wanted, region, out);
        }
        macro_rules! with {
            ($t:ty) => {{
                let bands: Vec<&[$t]> = blocks
                    .iter()
                    .map(|(_, block)| &block.as_pixels::<$t>()[..wanted.len()])
                    .collect();
                self.along::<$t>(&bands, shape, &wanted, region, out)
            }};
        }
        match dtype {
            DType::Bool => with!(bool),
            DType::Int8 => with!(i8),
            DType::Int16 => with!(i16),
            DType::Int32 => with!(i32),
            DType::Int64 => with!(i64),
            DType::UInt8 => with!(u8),
            DType::UInt16 => with!(u16),
            DType::UInt32 => with!(u32),
            DType::UInt64 => with!(u64),
            DType::Float16 => with!(f16),
            DType::Float32 => with!(f32),
            DType::Float64 => with!(f64),
            DType::Complex64 | DType::Complex128 => Err(crate::value::complex(*dtype)),
        }
    }

    /// The kernels along one axis, of `wanted` of each input.
    fn along<T: Sample>(
        &self,
        bands: &[&[T]],
        shape: &[usize],
        wanted: &Region,
        region: &Region,
        out: &mut [u8],
    ) -> Result<()> {
        let src = bands[0];
        let Some(number) = self.axis() else {
            return Err(Error::Bug(format!("{} along an axis", self.name())));
        };
        let axis = Axis::of(&wanted.shape(), number);
        let n = region.len();
        let zero = T::of_f64(0.0);
        match self {
            Kernel::MaskCleanup(_) => Err(Error::Bug("a mask along an axis".to_owned())),
            Kernel::Interp {
                from, at, method, ..
            } => {
                let (pixels, new) = (&wanted.ranges()[number], &region.ranges()[number]);
                let whole = numbers(from);
                let own = whole.get(pixels.clone()).unwrap_or(&[]);
                let at = &numbers(at)[new.clone()];
                let (first, last) = (whole[0], whole[shape[number] - 1]);
                let inside = |x: f64| (first..=last).contains(&x) || (last..=first).contains(&x);
                let at: Vec<f64> = at
                    .iter()
                    .map(|&x| if inside(x) { x } else { f64::NAN })
                    .collect();
                let plan = InterpPlan::new(own, &at, *method)?;
                if T::of_f64(f64::NAN).is_missing() {
                    let mut found = vec![zero; n];
                    interp(src, axis, &plan, &mut found)?;
                    write(&found, out)
                } else {
                    let mut found = vec![0.0f64; n];
                    interp(src, axis, &plan, &mut found)?;
                    write(&found, out)
                }
            }
            Kernel::InterpolateNa {
                x,
                method,
                limit,
                max_gap,
                ..
            } => {
                let gaps = Gaps {
                    method: *method,
                    limit: *limit,
                    max_gap: max_gap.map(Bits::get),
                };
                let mut found = vec![zero; n];
                interpolate_na(src, axis, &numbers(x), gaps, &mut found)?;
                write(&found, out)
            }
            Kernel::Percentile {
                quantiles, nodata, ..
            } => {
                let all = &numbers(quantiles)[region.ranges()[0].clone()];
                let mut found = vec![zero; n];
                let nodata = nodata.map(Const::get::<T>);
                percentile(src, axis, all, nodata, &mut found, &mut Sorter::new())?;
                write(&found, out)
            }
            Kernel::Geomedian {
                numbers,
                max_iterations,
                nodata,
                ..
            } => {
                let [eps, scale, offset] = numbers.map(Bits::get);
                let options = Geomedian {
                    eps,
                    max_iterations: *max_iterations,
                    scale,
                    offset,
                    nodata: nodata.map(Bits::get),
                };
                let lanes = axis.lanes();
                let asked = &region.ranges()[0];
                let asked = asked.start * lanes..asked.end * lanes;
                match geomedian_dtype(T::DTYPE) {
                    DType::Float64 => {
                        let found = composite::<T, f64>(bands, axis, &options)?;
                        write(&found[asked], out)
                    }
                    _ => write(&composite::<T, f32>(bands, axis, &options)?[asked], out),
                }
            }
        }
    }
}

/// Bands, deviations and counts of a block, one row of lanes each.
fn composite<T: Sample, R: Sample>(
    bands: &[&[T]],
    axis: Axis,
    options: &Geomedian,
) -> Result<Vec<R>> {
    let (lanes, inner) = (axis.lanes(), axis.inner);
    let missing = R::of_f64(f64::NAN);
    let mut found = vec![missing; (bands.len() + GEOMEDIAN_STATS) * lanes];
    let mut counts = vec![0u16; inner];
    let mut part = vec![missing; bands.len() * inner];
    let mut stats = vec![0.0f32; 3 * inner];
    let mut scratch = crate::kernels::geomedian::Scratch::default();
    let slab = axis.len * inner;
    for outer in 0..axis.outer {
        let slabs: Vec<&[T]> = bands
            .iter()
            .map(|band| &band[outer * slab..(outer + 1) * slab])
            .collect();
        let (smad, others) = stats.split_at_mut(inner);
        let (emad, bcmad) = others.split_at_mut(inner);
        let out = Composite {
            bands: &mut part,
            smad: Some(smad),
            emad: Some(emad),
            bcmad: Some(bcmad),
            count: Some(&mut counts),
        };
        geomedian(&slabs, axis.len, inner, options, out, &mut scratch)?;
        let mut rows = found
            .chunks_exact_mut(lanes.max(1))
            .map(|row| &mut row[outer * inner..(outer + 1) * inner]);
        // An integer's nodata marks it in the pixels; in the result NaN does.
        for (from, row) in part.chunks_exact(inner.max(1)).zip(rows.by_ref()) {
            for ((to, &from), &count) in row.iter_mut().zip(from).zip(&counts) {
                *to = if count == 0 { missing } else { from };
            }
        }
        for (from, row) in stats.chunks_exact(inner.max(1)).zip(rows.by_ref()) {
            for (to, &from) in row.iter_mut().zip(from) {
                *to = R::of_f64(f64::from(from));
            }
        }
        for row in rows {
            for (to, &count) in row.iter_mut().zip(&counts) {
                *to = R::of_f64(f64::from(count));
            }
        }
    }
    Ok(found)
}

fn cleanup(
    steps: &[(Morph, Bits)],
    block: &Buffer,
    wanted: &Region,
    region: &Region,
    out: &mut [u8],
) -> Result<()> {
    let mut mask: Vec<bool> = block[..wanted.len()]
        .iter()
        .map(|&byte| byte != 0)
        .collect();
    let shape = wanted.shape();
    let [.., rows, cols] = shape.as_slice() else {
        return Err(Error::Bug("a mask without planes".to_owned()));
    };
    let mut scratch = morphology::Scratch::default();
    mask_cleanup(&mut mask, *rows, *cols, &radii(steps), &mut scratch)?;
    let row = region.ranges().last().map_or(0, ExactSizeIterator::len);
    for (from, out) in Rows::new(wanted, region).zip(out.chunks_exact_mut(row.max(1))) {
        for (out, &set) in out.iter_mut().zip(&mask[from..from + row]) {
            *out = u8::from(set);
        }
    }
    Ok(())
}

fn write<T: Sample>(values: &[T], out: &mut [u8]) -> Result<()> {
    let buffer = Buffer::from_slice(values)?;
    out.copy_from_slice(&buffer[..out.len()]);
    Ok(())
}
