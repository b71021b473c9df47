//! A cluster with much to do, for whoever looks at it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use datacube_compute::{
    Attrs, ChunkSource, Chunks, Client, Coords, Cost, DataArray, Fetched, Future, LocalCluster,
    ReadStats, Region, SourceError,
};
use datacube_model::DType;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Pixels that take a while; one chunk may panic.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) shape: [usize; 3],
    pub(crate) work: Duration,
    pub(crate) panics_at: Option<[usize; 3]>,
}

impl ChunkSource for Slow {
    fn kind(&self) -> &'static str {
        "test.slow"
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        Ok(format!("{self:?}").into_bytes())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::UInt8
    }

    fn project(&self, region: &Region) -> Cost {
        Cost {
            read_bytes: region.len() as u64,
            requests: 1,
            scratch_bytes: 0,
        }
    }

    fn fetch(&self, region: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        let bytes = region.len() as u64;
        async move {
            Ok(Fetched {
                bytes,
                requests: 1,
                payload: Box::new(()),
            })
        }
        .boxed()
    }

    fn decode(
        &self,
        region: &Region,
        _: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError> {
        if let Some(at) = self.panics_at {
            let mut ranges = region.ranges().iter().zip(at);
            assert!(
                !ranges.all(|(range, at)| range.contains(&at)),
                "<block 7> of red.tif is truncated"
            );
        }
        let end = std::time::Instant::now() + self.work;
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        out.fill(1);
        Ok(ReadStats {
            decoded_bytes: out.len() as u64,
            blocks: 1,
            skipped: Vec::new(),
        })
    }
}

pub(crate) fn array(name: &str, slow: Slow, chunk: usize) -> DataArray {
    DataArray::from_source(
        name,
        &["time", "y", "x"],
        Coords::new(),
        Attrs::new(),
        Arc::new(slow),
        &Chunks::new([("time", 1), ("y", chunk), ("x", chunk)]),
    )
    .unwrap()
}

pub(crate) fn cluster() -> (LocalCluster, Client) {
    let cluster = LocalCluster::new()
        .name("demo <1>")
        .n_workers(2)
        .threads_per_worker(1)
        .memory_limit("512MiB")
        .unwrap()
        .start()
        .unwrap();
    let client = Client::quiet(&cluster).unwrap();
    (cluster, client)
}

/// A job with a chunk that panics, some functions, then 100,000 tasks.
pub(crate) fn load(client: &Client) -> Future<DataArray> {
    let broken = Slow {
        shape: [2, 80, 100],
        work: Duration::from_micros(100),
        panics_at: Some([1, 50, 50]),
    };
    let broken = client.compute(&(array("green", broken, 20) + 1));
    assert!(broken.result().is_err());
    let squares = client.call().name("square").map(0..200u64, |i| {
        std::thread::sleep(Duration::from_micros(300));
        i * i
    });
    client.gather(&squares).unwrap();
    let slow = |micros| Slow {
        shape: [40, 1000, 1000],
        work: Duration::from_micros(micros),
        panics_at: None,
    };
    let (red, nir) = (array("red", slow(60), 20), array("nir", slow(90), 20));
    client.compute(&((&nir - &red) / (&nir + &red)).named("ndvi"))
}
