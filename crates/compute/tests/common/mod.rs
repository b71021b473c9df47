//! A source for tests: pixels from a formula, with a log of what was asked for
//! and faults on demand.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datacube_compute::{
    Attrs, ChunkSource, Chunks, Coords, Cost, DataArray, Fetched, ReadStats, Region, SourceCodec,
    SourceError,
};
use datacube_model::DType;
use futures::FutureExt;
use futures::future::BoxFuture;
use half::f16;

/// What sources were asked for.
#[derive(Debug, Default)]
pub(crate) struct Log {
    reads: parking_lot::Mutex<Vec<(String, Region)>>,
    pub(crate) decodes: AtomicUsize,
}

impl Log {
    pub(crate) fn new() -> Arc<Log> {
        Arc::default()
    }

    /// The regions that were fetched of source `name`, sorted.
    pub(crate) fn regions(&self, name: &str) -> Vec<Region> {
        let reads = self.reads.lock();
        let mut regions: Vec<Region> = reads
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, region)| region.clone())
            .collect();
        regions.sort_by_key(|region| region.ranges().iter().map(|r| r.start).collect::<Vec<_>>());
        regions
    }

    pub(crate) fn count(&self) -> usize {
        self.reads.lock().len()
    }

    pub(crate) fn clear(&self) {
        self.reads.lock().clear();
    }
}

/// What goes wrong, and at which pixel.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    FetchFails {
        at: Vec<usize>,
        transient: bool,
    },
    /// In passing, so many times.
    FetchFailsTimes {
        at: Vec<usize>,
        times: Arc<AtomicUsize>,
    },
    DecodeFails {
        at: Vec<usize>,
    },
    /// So many times.
    DecodeFailsTimes {
        at: Vec<usize>,
        times: Arc<AtomicUsize>,
        transient: bool,
    },
    FetchPanics {
        at: Vec<usize>,
    },
    DecodePanics {
        at: Vec<usize>,
    },
    ProjectPanics {
        at: Vec<usize>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) seed: u64,
    pub(crate) log: Arc<Log>,
    pub(crate) fault: Option<Fault>,
    pub(crate) delay: Duration,
    /// Bytes that decoding claims to need.
    pub(crate) scratch: u64,
}

impl Pattern {
    pub(crate) fn new(name: &str, shape: &[usize], dtype: DType, log: &Arc<Log>) -> Pattern {
        Pattern {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype,
            seed: name
                .bytes()
                .fold(17, |seed, byte| seed * 31 + u64::from(byte)),
            log: Arc::clone(log),
            fault: None,
            delay: Duration::ZERO,
            scratch: 0,
        }
    }

    pub(crate) fn seed(mut self, seed: u64) -> Pattern {
        self.seed = seed;
        self
    }

    pub(crate) fn fault(mut self, fault: Fault) -> Pattern {
        self.fault = Some(fault);
        self
    }

    pub(crate) fn delay(mut self, delay: Duration) -> Pattern {
        self.delay = delay;
        self
    }

    pub(crate) fn array(self, dims: &[&str], chunks: &Chunks) -> DataArray {
        let name = self.name.clone();
        DataArray::from_source(
            name,
            dims,
            Coords::new(),
            Attrs::new(),
            Arc::new(self),
            chunks,
        )
        .unwrap()
    }

    fn hits(region: &Region, at: &[usize]) -> bool {
        region
            .ranges()
            .iter()
            .zip(at)
            .all(|(range, at)| range.contains(at))
    }
}

/// The pixel at a linear index: small and large values, zeros, and for floats
/// NaN, infinities and negative zero.
pub(crate) fn pixel(seed: u64, index: usize) -> (u64, f64) {
    let mut x = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(index as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    let bits = match x % 8 {
        0 => 0,
        1 => x % 7,
        2 => x % 200,
        _ => x >> 3,
    };
    #[allow(clippy::cast_precision_loss, reason = "any float will do")]
    let float = match x % 23 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -0.0,
        3 => 0.0,
        4 => 1.0,
        _ => ((x >> 20) % 100_000) as f64 / 256.0 - 100.0,
    };
    (bits, float)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "patterns of bits"
)]
fn write(dtype: DType, seed: u64, index: usize, out: &mut [u8]) {
    let (bits, float) = pixel(seed, index);
    macro_rules! put {
        ($value:expr) => {
            out.copy_from_slice(&$value.to_ne_bytes())
        };
    }
    match dtype {
        DType::Bool => put!((bits as u8 & 1)),
        DType::Int8 => put!((bits as i8)),
        DType::UInt8 => put!((bits as u8)),
        DType::Int16 => put!((bits as i16)),
        DType::UInt16 => put!((bits as u16)),
        DType::Int32 => put!((bits as i32)),
        DType::UInt32 => put!((bits as u32)),
        DType::Int64 => put!((bits as i64)),
        DType::UInt64 => put!(bits),
        DType::Float16 => put!(f16::from_f64(float)),
        DType::Float32 => put!((float as f32)),
        DType::Float64 => put!(float),
        DType::Complex64 | DType::Complex128 => {
            for (i, byte) in out.iter_mut().enumerate() {
                *byte = (bits >> (i % 8)) as u8;
            }
        }
    }
}

impl ChunkSource for Pattern {
    fn kind(&self) -> &'static str {
        "test.pattern"
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        let value = serde_json::json!([self.name, self.shape, self.dtype, self.seed]);
        serde_json::to_vec(&value).map_err(SourceError::new)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn project(&self, region: &Region) -> Cost {
        assert!(region.fits(&self.shape), "{region} of {:?}", self.shape);
        if let Some(Fault::ProjectPanics { at }) = &self.fault {
            assert!(!Pattern::hits(region, at), "projecting was too much");
        }
        let read_bytes = (region.len() * self.dtype.size()) as u64 / 2;
        Cost {
            read_bytes,
            requests: 1,
            scratch_bytes: self.scratch,
        }
    }

    fn fetch(&self, region: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        assert!(region.fits(&self.shape), "{region} of {:?}", self.shape);
        self.log
            .reads
            .lock()
            .push((self.name.clone(), region.clone()));
        let (this, region) = (self.clone(), region.clone());
        async move {
            if !this.delay.is_zero() {
                tokio::time::sleep(this.delay).await;
            }
            match &this.fault {
                Some(Fault::FetchFails { at, transient }) if Pattern::hits(&region, at) => {
                    return Err(
                        SourceError::message("s3://bucket/red.tif: connection reset")
                            .transient(*transient),
                    );
                }
                Some(Fault::FetchFailsTimes { at, times }) if Pattern::hits(&region, at) => {
                    let left = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    });
                    if left.is_ok() {
                        return Err(
                            SourceError::message("s3://bucket/red.tif: slow down").transient(true)
                        );
                    }
                }
                Some(Fault::FetchPanics { at }) if Pattern::hits(&region, at) => {
                    panic!("fetching was too much")
                }
                _ => {}
            }
            let bytes = (region.len() * this.dtype.size()) as u64 / 2;
            Ok(Fetched {
                bytes,
                requests: 1,
                payload: Box::new(region),
            })
        }
        .boxed()
    }

    fn decode(
        &self,
        region: &Region,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError> {
        assert_eq!(out.as_ptr().addr() % 64, 0, "output has to be aligned");
        assert_eq!(out.len(), region.len() * self.dtype.size());
        assert_eq!(
            fetched.take::<Region>()?,
            *region,
            "what was fetched for another region"
        );
        match &self.fault {
            Some(Fault::DecodeFails { at }) if Pattern::hits(region, at) => {
                return Err(SourceError::message("red.tif: block 7 is truncated"));
            }
            Some(Fault::DecodeFailsTimes {
                at,
                times,
                transient,
            }) if Pattern::hits(region, at) => {
                let take = |left: usize| left.checked_sub(1);
                let left = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
                if left.is_ok() {
                    let error = SourceError::message("red.tif: block 7 is truncated");
                    return Err(error.transient(*transient));
                }
            }
            Some(Fault::DecodePanics { at }) if Pattern::hits(region, at) => {
                panic!("decoding was too much")
            }
            _ => {}
        }
        self.log.decodes.fetch_add(1, Ordering::Relaxed);
        let size = self.dtype.size();
        let shape = region.shape();
        for (i, pixel) in out.chunks_exact_mut(size).enumerate() {
            let mut rest = i;
            let mut linear = 0;
            let mut stride = 1;
            for axis in (0..shape.len()).rev() {
                linear += (region.ranges()[axis].start + rest % shape[axis]) * stride;
                rest /= shape[axis];
                stride *= self.shape[axis];
            }
            write(self.dtype, self.seed, linear, pixel);
        }
        Ok(ReadStats {
            decoded_bytes: out.len() as u64,
            blocks: 1,
            skipped: Vec::new(),
        })
    }
}

/// Rebuilds patterns; their reads go to `log`.
pub(crate) fn codec(log: &Arc<Log>) -> SourceCodec {
    let log = Arc::clone(log);
    SourceCodec::new().with("test.pattern", move |bytes| {
        let (name, shape, dtype, seed): (String, Vec<usize>, DType, u64) =
            serde_json::from_slice(bytes).map_err(SourceError::new)?;
        let pattern = Pattern::new(&name, &shape, dtype, &log).seed(seed);
        Ok(Arc::new(pattern) as Arc<dyn ChunkSource>)
    })
}

/// Whether two arrays of bytes are the same pixels, NaN equal to NaN.
pub(crate) fn same_pixels(dtype: DType, a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if a.len() != b.len() {
        return false;
    }
    let size = dtype.size();
    a.chunks_exact(size)
        .zip(b.chunks_exact(size))
        .all(|(a, b)| {
            let nan = |pixel: &[u8]| match dtype {
                DType::Float16 => f16::from_ne_bytes(pixel.try_into().unwrap()).is_nan(),
                DType::Float32 => f32::from_ne_bytes(pixel.try_into().unwrap()).is_nan(),
                DType::Float64 => f64::from_ne_bytes(pixel.try_into().unwrap()).is_nan(),
                _ => false,
            };
            a == b || (nan(a) && nan(b))
        })
}
