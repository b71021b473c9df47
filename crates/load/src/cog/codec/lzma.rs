//! LZMA in the container of `.xz`, by liblzma.

use liblzma::stream::{Action, Status, Stream};

/// Memory for the dictionary, which the data states: liblzma's largest preset
/// takes 65 MiB.
const MAX_BYTES: u64 = 128 << 20;

/// Decompresses into `out` until it is full or the data ends; gives the number
/// of bytes written.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize, String> {
    let damaged = |error: liblzma::stream::Error| format!("the LZMA data is damaged ({error})");
    let mut stream = Stream::new_stream_decoder(MAX_BYTES, 0).map_err(damaged)?;
    loop {
        let (read, written) = (taken(stream.total_in()), taken(stream.total_out()));
        let status = stream
            .process(&input[read..], &mut out[written..], Action::Run)
            .map_err(damaged)?;
        let is_stuck = (read, written) == (taken(stream.total_in()), taken(stream.total_out()));
        let is_full = taken(stream.total_out()) == out.len();
        if status == Status::StreamEnd || is_full || is_stuck {
            return Ok(taken(stream.total_out()));
        }
    }
}

fn taken(n_bytes: u64) -> usize {
    usize::try_from(n_bytes).expect("no more than the slices hold")
}
