//! JPEG, by libjpeg-turbo, which GDAL has, too, so that pixels are equal to the
//! bit.
//!
//! A TIFF says elsewhere what the colours of its JPEG blocks are, and keeps
//! tables that all blocks share in a tag. So the stream is put together anew
//! before it is decoded: the tables first, and of the markers that state colours
//! only the one that the TIFF means.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use turbojpeg_sys as tj;

use super::picture::Picture;
use crate::buffer::AlignedBytes;

/// Scans that a progressive picture may have: each is decoded in full, so that
/// a small file with many of them keeps a decoder busy for minutes. GDAL's limit.
const MAX_SCANS: c_int = 100;
/// Memory for the coefficients of a progressive picture, in megabytes.
const MAX_MEGABYTES: c_int = 2048;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP14: u8 = 0xee;

/// Decodes a block into `out`; `stream` is scratch.
///
/// Each block with a decoder of its own: one that is used again remembers tables
/// of the block before, and pixels would depend on what was read first.
pub(super) fn decode(
    input: &[u8],
    picture: Picture<'_>,
    limit: usize,
    stream: &mut Vec<u8>,
    out: &mut AlignedBytes,
) -> Result<(), String> {
    Decoder::new()?.decode(input, picture, limit, stream, out)
}

/// A decoder of libjpeg-turbo.
struct Decoder {
    handle: NonNull<libc::c_void>,
}

impl Decoder {
    fn new() -> Result<Self, String> {
        // SAFETY: it takes a constant of its own and gives a handle or null.
        let handle = unsafe { tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS.cast_signed()) };
        let decoder = Decoder {
            handle: NonNull::new(handle).ok_or("there is no memory for a JPEG decoder")?,
        };
        for (parameter, value) in [
            (tj::TJPARAM_TJPARAM_STOPONWARNING, 1),
            (tj::TJPARAM_TJPARAM_SCANLIMIT, MAX_SCANS),
            (tj::TJPARAM_TJPARAM_MAXMEMORY, MAX_MEGABYTES),
        ] {
            // SAFETY: the handle is alive, and both are plain numbers.
            if unsafe { tj::tj3Set(decoder.handle.as_ptr(), parameter.cast_signed(), value) } != 0 {
                return Err(decoder.problem());
            }
        }
        Ok(decoder)
    }

    fn decode(
        &mut self,
        input: &[u8],
        picture: Picture<'_>,
        limit: usize,
        stream: &mut Vec<u8>,
        out: &mut AlignedBytes,
    ) -> Result<(), String> {
        let (format, colours) = match (picture.samples, picture.parameters.is_ycbcr) {
            (1, false) => (tj::TJPF_TJPF_GRAY, None),
            (3, false) => (tj::TJPF_TJPF_RGB, Some(0)),
            (3, true) => (tj::TJPF_TJPF_RGB, Some(1)),
            (4, false) => (tj::TJPF_TJPF_CMYK, Some(0)),
            (samples, _) => return Err(format!("JPEG has no pictures of {samples} samples")),
        };
        join(
            picture.parameters.jpeg_tables.as_deref(),
            input,
            colours,
            stream,
        )?;
        let handle = self.handle.as_ptr();
        let n_bytes = stream.len() as tj::size_t;
        // SAFETY: the handle is alive, and the stream is as long as it says.
        let status = unsafe { tj::tj3DecompressHeader(handle, stream.as_ptr(), n_bytes) };
        if status != 0 {
            return Err(self.problem());
        }
        let found = self.get(tj::TJPARAM_TJPARAM_COLORSPACE);
        let expected = match (picture.samples, picture.parameters.is_ycbcr) {
            (1, _) => tj::TJCS_TJCS_GRAY,
            (3, true) => tj::TJCS_TJCS_YCbCr,
            (3, false) => tj::TJCS_TJCS_RGB,
            _ => tj::TJCS_TJCS_CMYK,
        };
        if found != expected.cast_signed() {
            return Err(format!(
                "it is a JPEG picture of other colours than {} samples",
                picture.samples
            ));
        }
        let precision = self.get(tj::TJPARAM_TJPARAM_PRECISION);
        let rows = picture.check_size(
            self.get(tj::TJPARAM_TJPARAM_JPEGHEIGHT),
            self.get(tj::TJPARAM_TJPARAM_JPEGWIDTH),
            limit,
        )?;
        out.set_len(picture.bytes_of(rows));
        let pixels = out.as_mut_slice().as_mut_ptr();
        // In samples, 0 for rows without gaps.
        let pitch = 0;
        let status = match (precision, picture.dtype.size()) {
            // SAFETY: `out` has room for the rows and columns that the header
            // states, which the decoder reads again from the same bytes.
            (8, 1) => unsafe {
                tj::tj3Decompress8(
                    handle,
                    stream.as_ptr(),
                    n_bytes,
                    pixels,
                    pitch,
                    format as c_int,
                )
            },
            // SAFETY: as above; the buffer is aligned to 64 bytes.
            (12, 2) => unsafe {
                tj::tj3Decompress12(
                    handle,
                    stream.as_ptr(),
                    n_bytes,
                    pixels.cast(),
                    pitch,
                    format as c_int,
                )
            },
            _ => {
                return Err(format!(
                    "it is a JPEG picture of {precision}-bit samples, and the image has {}",
                    picture.dtype
                ));
            }
        };
        if status != 0 {
            return Err(self.problem());
        }
        Ok(())
    }

    fn get(&self, parameter: tj::TJPARAM) -> c_int {
        // SAFETY: the handle is alive.
        unsafe { tj::tj3Get(self.handle.as_ptr(), parameter.cast_signed()) }
    }

    /// What the library says of the last call.
    fn problem(&self) -> String {
        // SAFETY: the handle is alive; what comes back is a string of the
        // handle's own that ends with a NUL, and is copied.
        let text = unsafe { CStr::from_ptr(tj::tj3GetErrorStr(self.handle.as_ptr())) };
        format!("the JPEG data is damaged ({})", text.to_string_lossy())
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the handle is alive, and nobody uses it after this.
        unsafe { tj::tj3Destroy(self.handle.as_ptr()) }
    }
}

/// Writes one whole JPEG stream: the tables, and the block with what `colours`
/// says (Adobe's transform: 0 for none, 1 for YCbCr) in place of its own markers.
fn join(
    tables: Option<&[u8]>,
    block: &[u8],
    colours: Option<u8>,
    stream: &mut Vec<u8>,
) -> Result<(), String> {
    stream.clear();
    stream.extend([0xff, SOI]);
    if let Some(transform) = colours {
        stream.extend([0xff, APP14, 0, 14]);
        stream.extend(b"Adobe");
        stream.extend([0, 100, 0, 0, 0, 0, transform]);
    }
    if let Some(tables) = tables {
        copy_segments(tables, colours.is_some(), stream)
            .map_err(|problem| format!("its JPEG tables are damaged: {problem}"))?;
    }
    copy_segments(block, colours.is_some(), stream)
        .map_err(|problem| format!("the JPEG data is damaged: {problem}"))
}

/// Appends what lies between the markers of beginning and end; without what
/// states colours, if `is_told` that elsewhere.
fn copy_segments(from: &[u8], is_told: bool, stream: &mut Vec<u8>) -> Result<(), String> {
    let mut at = match from {
        [0xff, SOI, ..] => 2,
        _ => return Err("it does not begin as JPEG does".to_owned()),
    };
    loop {
        // Any number of bytes of all ones may stand before a marker.
        let marker = match from.get(at..) {
            Some([0xff, 0xff, ..]) => {
                at += 1;
                continue;
            }
            Some([0xff, marker, ..]) => *marker,
            Some([]) | None => return Ok(()),
            Some(_) => return Err(format!("there is no marker at byte {at}")),
        };
        match marker {
            EOI => return Ok(()),
            SOS => {
                stream.extend_from_slice(&from[at..]);
                return Ok(());
            }
            _ => {}
        }
        let length = match from.get(at + 2..) {
            Some([high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err("it ends within a marker".to_owned()),
        };
        let segment = from
            .get(at..at + 2 + length)
            .filter(|_| length >= 2)
            .ok_or("it ends within a segment")?;
        if !(is_told && matches!(marker, APP0 | APP14)) {
            stream.extend_from_slice(segment);
        }
        at += segment.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_joined() {
        let tables = [0xff, SOI, 0xff, 0xdb, 0, 3, 7, 0xff, EOI];
        let block = [
            0xff, SOI, 0xff, APP0, 0, 3, 9, 0xff, 0xff, 0xc0, 0, 2, 0xff, SOS, 1, 2, 0xff, EOI,
        ];
        let mut stream = Vec::new();
        join(Some(&tables), &block, None, &mut stream).unwrap();
        assert_eq!(
            stream,
            [
                0xff, SOI, 0xff, 0xdb, 0, 3, 7, 0xff, APP0, 0, 3, 9, 0xff, 0xc0, 0, 2, 0xff, SOS,
                1, 2, 0xff, EOI
            ]
        );
        join(Some(&tables), &block, Some(1), &mut stream).unwrap();
        assert_eq!(stream[2..4], [0xff, APP14]);
        assert_eq!(stream[17], 1, "the transform");
        assert_eq!(
            stream[18..25],
            tables[2..7][..5]
                .iter()
                .copied()
                .chain([0xff, 0xc0])
                .collect::<Vec<_>>()
        );
        for (bad, part) in [
            (&[0xff, 0xc0][..], "begin as JPEG"),
            (&[0xff, SOI, 0xff, 0xc0, 0, 9, 1], "within a segment"),
            (&[0xff, SOI, 0xff, 0xc0, 0, 1, 1], "within a segment"),
            (&[0xff, SOI, 0xff, 0xc0], "within a marker"),
            (&[0xff, SOI, 7, 0xc0], "no marker at byte 2"),
        ] {
            let problem = join(None, bad, None, &mut stream).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
