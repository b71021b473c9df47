//! Fuse functions by name and by value: how a later member is laid over what
//! earlier ones gave.
//!
//! Each sees two planes of the same shape: what there is so far, and the member.
//!
//! A name means the same in every process, so it travels inside a plan: the
//! built-in ones always, others where they were registered. A function of the
//! caller's own is known to its process alone, and says so when it is asked to
//! travel.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use datacube_geo::PixelWindow;
use datacube_model::{DType, Number, near_names};
use ndarray::{ArrayView2, ArrayViewMut2, s};
use parking_lot::RwLock;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::buffer::Pixel;
use crate::error::{Error, Result};
use crate::params::{BandParams, Fuse};
use crate::warp::Sample;

type Call = dyn Fn(&mut [u8], &[u8], &Window) + Send + Sync;

/// A fuse function for pixels of one type.
///
/// It is called as `fuse(dst, src)` for each member in fuse order, with planes of
/// `[rows, cols]`: `dst` is what there is so far where the member is, `src` the
/// member, brought onto the output's grid; both have the fill value where there is
/// nothing. What it leaves in `dst` is what there is then. A time step with one
/// dataset is not fused. Planes are cut as chunks are, so a result that depends on
/// more than its own pixel depends on the chunks.
///
/// ```
/// use datacube_load::FuseFunction;
/// use ndarray::{ArrayView2, ArrayViewMut2};
///
/// let largest = FuseFunction::new(
///     "largest",
///     |mut dst: ArrayViewMut2<'_, u16>, src: ArrayView2<'_, u16>| {
///         dst.zip_mut_with(&src, |dst, &src| *dst = (*dst).max(src));
///     },
/// );
/// assert_eq!(largest.name(), "largest");
/// ```
///
/// # Source
/// datacube-core, `fuse_func(dest, src)` of `Datacube.load`.
#[derive(Clone)]
pub struct FuseFunction {
    name: Arc<str>,
    dtype: DType,
    call: Arc<Call>,
}

impl FuseFunction {
    /// `call(dst, src)` under a name that errors call it by.
    pub fn new<T: Pixel>(
        name: impl Into<String>,
        call: impl Fn(ArrayViewMut2<'_, T>, ArrayView2<'_, T>) + Send + Sync + 'static,
    ) -> Self {
        FuseFunction {
            name: name.into().into(),
            dtype: T::DTYPE,
            call: Arc::new(move |dst, src, window| {
                let (dst, src) = (bytemuck::cast_slice_mut(dst), bytemuck::cast_slice(src));
                if let Some((dst, src)) = window.views::<T>(dst, src) {
                    call(dst, src);
                }
            }),
        }
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of the pixels that it takes.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
}

impl fmt::Debug for FuseFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FuseFunction({}, {})", self.name, self.dtype)
    }
}

/// The same function, not one that does the same.
impl PartialEq for FuseFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.call, &other.call)
    }
}

impl Serialize for FuseFunction {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!(
            "the fuse function `{}` is a function of this process and cannot be sent to another; \
             register it there and here with `register_fuser`, and load by its name",
            self.name
        )))
    }
}

impl<'de> Deserialize<'de> for FuseFunction {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "a fuse function cannot come from another process",
        ))
    }
}

/// The part of two images that a member has.
#[derive(Debug)]
pub(crate) struct Window {
    /// Columns of the images.
    pub(crate) n_cols: usize,
    /// In pixels of the images.
    pub(crate) part: PixelWindow,
}

impl Window {
    /// The part of each; `None` where it is not within them.
    fn views<'a, T>(
        &self,
        dst: &'a mut [T],
        src: &'a [T],
    ) -> Option<(ArrayViewMut2<'a, T>, ArrayView2<'a, T>)> {
        let shape = (dst.len().checked_div(self.n_cols)?, self.n_cols);
        let (rows, cols) = (self.part.rows.clone(), self.part.cols.clone());
        if rows.end > shape.0 || cols.end > shape.1 {
            return None;
        }
        let dst = ArrayViewMut2::from_shape(shape, dst).ok()?;
        let src = ArrayView2::from_shape(shape, src).ok()?;
        let part = s![rows, cols];
        Some((dst.slice_move(part), src.slice_move(part)))
    }

    /// Where in the images the rows of the part are.
    fn rows(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let (n_cols, cols) = (self.n_cols, &self.part.cols);
        let rows = self.part.rows.clone();
        rows.map(move |row| row * n_cols + cols.start..row * n_cols + cols.end)
    }
}

fn registered() -> &'static RwLock<BTreeMap<String, FuseFunction>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, FuseFunction>>> = OnceLock::new();
    REGISTRY.get_or_init(RwLock::default)
}

/// Makes a fuse function known under its name to every load of this process.
///
/// A plan that names it can be sent to processes that have registered it too.
///
/// # Errors
/// [`Error::InvalidRequest`] for the name of a built-in one, and for a name that
/// is taken.
pub fn register_fuser(function: FuseFunction) -> Result<()> {
    let name = function.name().to_owned();
    let mut registry = registered().write();
    if Builtin::named(&name).is_some() || registry.contains_key(&name) {
        return Err(Error::invalid(format!(
            "there is a fuse function `{name}` already; give this one another name"
        )));
    }
    registry.insert(name, function);
    Ok(())
}

/// Names that [`Fuse::named`] knows: the built-in ones, then those registered.
pub fn fuser_names() -> Vec<String> {
    let mut names: Vec<String> = Builtin::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    names.extend(registered().read().keys().cloned());
    names
}

/// Fuse functions that every process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builtin {
    FirstValid,
    LastValid,
    Max,
    Min,
    GaPq,
}

impl Builtin {
    const ALL: [(&'static str, Builtin); 5] = [
        ("first_valid", Builtin::FirstValid),
        ("last_valid", Builtin::LastValid),
        ("max", Builtin::Max),
        ("min", Builtin::Min),
        ("ga_pq_fuser", Builtin::GaPq),
    ];

    fn named(name: &str) -> Option<Builtin> {
        let found = Builtin::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, builtin)| *builtin)
    }
}

/// A fuse function that is known to be there and to fit its measurement.
#[derive(Clone, Debug)]
pub(crate) enum Fuser {
    /// The rule of [`Fuse::FirstValid`], which needs no second image.
    FirstValid,
    LastValid,
    Max,
    Min,
    GaPq,
    Custom(FuseFunction),
}

impl Fuse {
    /// The fuse function called `name`; a path such as
    /// `datacube.helpers.ga_pq_fuser` is known by its last part.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the names there are.
    pub fn named(name: &str) -> Result<Fuse> {
        let last = name.rsplit(['.', ':']).next().unwrap_or(name);
        match Builtin::named(last) {
            Some(Builtin::FirstValid) => Ok(Fuse::FirstValid),
            Some(_) => Ok(Fuse::Named(last.to_owned())),
            None if registered().read().contains_key(name) => Ok(Fuse::Named(name.to_owned())),
            None => {
                let names = fuser_names();
                let near = near_names(name, names.iter().map(String::as_str));
                let hint = near
                    .first()
                    .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                Err(Error::invalid(format!(
                    "unknown fuse function `{name}`{hint}; there are {}, and others after \
                     `register_fuser`",
                    names.join(", ")
                )))
            }
        }
    }
}

impl BandParams {
    /// The fuse function of this measurement.
    pub(crate) fn fuser(&self) -> Result<Fuser> {
        let custom = |function: &FuseFunction| {
            if pixel_type(function.dtype) == pixel_type(self.dtype) {
                return Ok(Fuser::Custom(function.clone()));
            }
            Err(Error::invalid(format!(
                "the fuse function `{}` is for {}, and measurement `{}` is {}",
                function.name, function.dtype, self.name, self.dtype
            )))
        };
        let name = match &self.fuse {
            Fuse::FirstValid => return Ok(Fuser::FirstValid),
            Fuse::Custom(function) => return custom(function),
            Fuse::Named(name) => name,
        };
        match Builtin::named(name) {
            Some(Builtin::FirstValid) => Ok(Fuser::FirstValid),
            Some(Builtin::LastValid) => Ok(Fuser::LastValid),
            Some(Builtin::Max) => Ok(Fuser::Max),
            Some(Builtin::Min) => Ok(Fuser::Min),
            Some(Builtin::GaPq) if self.dtype.is_integer() && self.dtype.size() > 1 => {
                Ok(Fuser::GaPq)
            }
            Some(Builtin::GaPq) => Err(Error::invalid(format!(
                "`ga_pq_fuser` looks at bit 8, and measurement `{}` is {}",
                self.name, self.dtype
            ))),
            None => match registered().read().get(name) {
                Some(function) => custom(function),
                None => Fuse::named(name).map(|_| Fuser::FirstValid),
            },
        }
    }
}

/// Bool pixels are held as bytes.
fn pixel_type(dtype: DType) -> DType {
    if dtype == DType::Bool {
        DType::UInt8
    } else {
        dtype
    }
}

impl Fuser {
    /// Whether members are laid over each other as they are decoded.
    pub(crate) fn is_first_valid(&self) -> bool {
        matches!(self, Fuser::FirstValid)
    }

    /// Lays the member's image `src` over `dst` in `window`, outside of which it
    /// has nothing; both have `fill` where there is no pixel.
    pub(crate) fn plane<D: Sample>(&self, dst: &mut [D], src: &[D], window: &Window, fill: Number) {
        if let Fuser::Custom(function) = self {
            let (dst, src) = (bytemuck::cast_slice_mut(dst), bytemuck::cast_slice(src));
            (function.call)(dst, src, window);
            return;
        }
        for row in window.rows() {
            self.row(&mut dst[row.clone()], &src[row], fill);
        }
    }

    /// A row of it; nothing for a function of the caller's, which sees planes.
    fn row<D: Sample>(&self, dst: &mut [D], src: &[D], fill: Number) {
        let fill = D::from_number(fill);
        let is_fill = |value: D| value.is_nan() || fill == Some(value);
        let pairs = dst.iter_mut().zip(src);
        match self {
            Fuser::FirstValid => pairs.for_each(|(dst, &src)| {
                if is_fill(*dst) {
                    *dst = src;
                }
            }),
            Fuser::LastValid => pairs.for_each(|(dst, &src)| {
                if !is_fill(src) {
                    *dst = src;
                }
            }),
            Fuser::Max => pairs.for_each(|(dst, &src)| {
                if !is_fill(src) && (is_fill(*dst) || src > *dst) {
                    *dst = src;
                }
            }),
            Fuser::Min => pairs.for_each(|(dst, &src)| {
                if !is_fill(src) && (is_fill(*dst) || src < *dst) {
                    *dst = src;
                }
            }),
            Fuser::GaPq => ga_pq(
                bytemuck::cast_slice_mut(dst),
                bytemuck::cast_slice(src),
                size_of::<D>(),
            ),
            Fuser::Custom(_) => {}
        }
    }
}

/// Pixel quality of Geoscience Australia's first Landsat products: bit 8 says
/// that a pixel was observed; where both members observed it, a test is passed
/// only where both pass it.
///
/// # Source
/// datacube-core, `datacube/helpers.py` (`ga_pq_fuser`).
fn ga_pq(dst: &mut [u8], src: &[u8], size: usize) {
    const OBSERVED: u64 = 1 << 8;
    let read = |bytes: &[u8]| {
        let mut whole = [0; 8];
        if cfg!(target_endian = "little") {
            whole[..size].copy_from_slice(bytes);
        } else {
            whole[8 - size..].copy_from_slice(bytes);
        }
        u64::from_ne_bytes(whole)
    };
    for (dst, src) in dst.chunks_exact_mut(size).zip(src.chunks_exact(size)) {
        let (before, new) = (read(dst), read(src));
        if before & OBSERVED == 0 {
            dst.copy_from_slice(src);
        } else if new & OBSERVED != 0 {
            for (dst, &src) in dst.iter_mut().zip(src) {
                *dst &= src;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(dtype: DType, fuse: Fuse) -> BandParams {
        BandParams::new("qa", dtype).with_fuse(fuse)
    }

    #[test]
    fn names_are_known_by_their_last_part() {
        let fuse = Fuse::named("datacube.helpers.ga_pq_fuser").expect("a name");
        assert_eq!(fuse, Fuse::Named("ga_pq_fuser".into()));
        assert_eq!(
            Fuse::named("first_valid").expect("a name"),
            Fuse::FirstValid
        );
        let message = Fuse::named("ga_pq_fusre").unwrap_err().to_string();
        assert!(message.contains("did you mean `ga_pq_fuser`"), "{message}");
        assert!(message.contains("last_valid, max, min"), "{message}");
    }

    #[test]
    fn what_each_makes_of_two_rows() {
        let check = |name: &str, fill: i64, rows: [[i16; 4]; 2], expected: [i16; 4]| {
            let fuser = params(DType::Int16, Fuse::named(name).expect("a name")).fuser();
            let mut dst = rows[0];
            let fuser = fuser.expect("it fits");
            fuser.row(&mut dst, &rows[1], Number::Int(fill.into()));
            assert_eq!(dst, expected, "{name}");
        };
        let rows = [[-1, 5, 5, -1], [7, 7, -1, -1]];
        check("first_valid", -1, rows, [7, 5, 5, -1]);
        check("last_valid", -1, rows, [7, 7, 5, -1]);
        check("max", -1, rows, [7, 7, 5, -1]);
        check("min", -1, rows, [7, 5, 5, -1]);
        // Bit 8 says observed: only the second, only the first, both, none.
        let rows = [[0x0ff, 0x1f0, 0x1f3, 0x01], [0x10f, 0x00f, 0x1fe, 0x02]];
        check("ga_pq_fuser", 0, rows, [0x10f, 0x1f0, 0x1f2, 0x02]);
    }

    #[test]
    fn a_function_sees_the_part_that_the_member_has() {
        // Rows and columns of the part differ, so that mixing them up shows.
        let function = FuseFunction::new("mine", |mut dst: ArrayViewMut2<'_, i16>, src| {
            assert_eq!((dst.dim(), src.dim()), ((2, 3), (2, 3)));
            assert_eq!((dst[(0, 0)], src[(1, 2)]), (5, 40 + 3 * 5 + 3));
            dst.assign(&src);
            dst[(1, 0)] = -7;
        });
        let fuser = params(DType::Int16, Fuse::Custom(function)).fuser();
        let (mut dst, src) = (
            [5_i16; 20],
            <[i16; 20]>::try_from(Vec::from_iter(40..60)).expect("twenty"),
        );
        let part = PixelWindow::new(2..4, 1..4);
        let window = Window { n_cols: 5, part };
        let fuser = fuser.expect("it fits");
        fuser.plane(&mut dst, &src, &window, Number::Int(-1));
        let expected: Vec<i16> = (0..20)
            .map(|at| match at {
                11..=13 | 17..=18 => at + 40,
                16 => -7,
                _ => 5,
            })
            .collect();
        assert_eq!(dst[..], expected[..]);
    }

    #[test]
    fn a_function_of_this_process_cannot_travel() {
        let function = FuseFunction::new("mine", |mut dst: ArrayViewMut2<'_, u8>, src| {
            dst.assign(&src);
        });
        let band = params(DType::UInt8, Fuse::Custom(function.clone()));
        assert!(band.fuser().is_ok());
        let message = serde_json::to_string(&band).unwrap_err().to_string();
        assert!(
            message.contains("`mine`") && message.contains("register_fuser"),
            "{message}"
        );
        let message = params(DType::Int16, Fuse::Custom(function.clone()))
            .fuser()
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("is for uint8, and measurement `qa` is int16"),
            "{message}"
        );
        // Registered, its name travels.
        let named = FuseFunction::new("a_registered_fuser", |_: ArrayViewMut2<'_, u8>, _| {});
        register_fuser(named.clone()).expect("a new name");
        assert!(
            register_fuser(named)
                .unwrap_err()
                .to_string()
                .contains("already")
        );
        let band = params(
            DType::UInt8,
            Fuse::named("a_registered_fuser").expect("registered"),
        );
        let json = serde_json::to_string(&band).expect("it travels");
        assert_eq!(
            serde_json::from_str::<BandParams>(&json).expect("and comes back"),
            band
        );
    }
}
