//! WebP, lossy and lossless, by libwebp.

use std::ffi::c_int;

use libwebp_sys as webp;

use super::picture::Picture;
use crate::buffer::AlignedBytes;

/// Decodes a block of 3 (RGB) or 4 (RGBA) samples into `out`; a picture without
/// alpha is opaque.
pub(super) fn decode(
    input: &[u8],
    picture: Picture<'_>,
    limit: usize,
    out: &mut AlignedBytes,
) -> Result<(), String> {
    let (mut cols, mut rows): (c_int, c_int) = (0, 0);
    // SAFETY: the input is as long as it says; the other two are written to.
    let status =
        unsafe { webp::WebPGetInfo(input.as_ptr(), input.len(), &raw mut cols, &raw mut rows) };
    if status == 0 {
        return Err("it is no WebP picture".to_owned());
    }
    let rows = picture.check_size(rows, cols, limit)?;
    let stride = c_int::try_from(picture.row_bytes()).map_err(|_| "its rows are too long")?;
    out.set_len(picture.bytes_of(rows));
    let out = out.as_mut_slice();
    let decode = match picture.samples {
        3 => webp::WebPDecodeRGBInto,
        4 => webp::WebPDecodeRGBAInto,
        samples => return Err(format!("WebP has no pictures of {samples} samples")),
    };
    // SAFETY: both slices are as long as they say, and rows are `stride` apart.
    let end = unsafe {
        decode(
            input.as_ptr(),
            input.len(),
            out.as_mut_ptr(),
            out.len(),
            stride,
        )
    };
    if end.is_null() {
        return Err("the WebP data is damaged".to_owned());
    }
    Ok(())
}
