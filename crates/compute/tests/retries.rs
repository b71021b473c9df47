//! A chunk whose source fails is made again as often as was asked for, whether it
//! failed in reading or in decoding, at once or in a later step.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use common::{Fault, Log, Pattern};
use datacube_compute::{Chunks, Compute, DataArray, Engine, LocalCluster, Serial};
use datacube_model::DType;

const SHAPE: [usize; 3] = [6, 40, 40];

fn array(log: &Arc<Log>, fault: Option<Fault>) -> DataArray {
    let mut source = Pattern::new("p", &SHAPE, DType::Float32, log);
    source.fault = fault;
    source.array(&["time", "y", "x"], &Chunks::new([("time", 1usize)]))
}

/// The pixels; equal where they are NaN alike.
fn bits(array: &DataArray) -> Vec<u32> {
    let pixels = array.to_vec::<f32>().unwrap();
    pixels.into_iter().map(f32::to_bits).collect()
}

fn times(n: usize) -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(n))
}

fn fetch(n: usize) -> Fault {
    Fault::FetchFailsTimes {
        at: vec![3, 5, 5],
        times: times(n),
    }
}

fn decode(n: usize, transient: bool) -> Fault {
    Fault::DecodeFailsTimes {
        at: vec![3, 5, 5],
        times: times(n),
        transient,
    }
}

fn engines() -> Vec<Box<dyn Engine>> {
    let cluster = LocalCluster::builder().n_workers(2).start().unwrap();
    // Where there is little memory a reduction is made in many steps.
    let small = LocalCluster::builder()
        .n_workers(1)
        .threads_per_worker(1)
        .total_memory_limit("400kB")
        .unwrap();
    vec![
        Box::new(Serial::new()),
        Box::new(cluster),
        Box::new(small.start().unwrap()),
    ]
}

#[test]
fn what_fails_twice_and_then_works_is_tried_again() {
    for engine in engines() {
        for shape in [
            |a: &DataArray| a * 2.0,
            |a: &DataArray| a.median("time").unwrap(),
        ] {
            let good = shape(&array(&Log::new(), None));
            let expected = good.compute_with(&*engine).unwrap();
            let expected = bits(&expected);
            let check = |fault: Fault, retries: u32, any: bool| -> datacube_compute::Result<()> {
                let log = Log::new();
                let lazy = shape(&array(&log, Some(fault)));
                let compute = Compute::new().engine(&*engine).retries(retries);
                let found = compute.retry_any(any).array(&lazy)?.0;
                assert!(bits(&found) == expected, "{}", engine.name());
                Ok(())
            };
            check(fetch(2), 2, false).unwrap();
            check(decode(2, true), 2, false).unwrap();
            check(decode(2, false), 2, true).unwrap();

            let error = check(fetch(3), 2, false).unwrap_err();
            assert!(error.to_string().contains("slow down"), "{error}");
            let error = check(decode(3, true), 2, false).unwrap_err();
            assert!(error.to_string().contains("truncated"), "{error}");
            assert!(error.is_transient());
            // What a file will not mend is not tried again, unless that is asked for.
            let error = check(decode(1, false), 2, false).unwrap_err();
            assert!(error.to_string().contains("truncated"), "{error}");
            assert!(!error.is_transient());
            let error = check(decode(3, false), 2, true).unwrap_err();
            assert!(error.to_string().contains("truncated"), "{error}");
        }
    }
}

#[test]
fn a_panic_is_tried_again_only_where_any_failure_is() {
    let cluster = LocalCluster::builder().n_workers(2).start().unwrap();
    let fault = Fault::DecodePanics { at: vec![3, 5, 5] };
    let log = Log::new();
    let lazy = array(&log, Some(fault));
    let compute = Compute::new().engine(&cluster).retries(2);
    compute.array(&lazy).unwrap_err();
    let whole = |log: &Log| {
        let regions = log.regions("p");
        regions.iter().filter(|r| r.ranges()[0] == (3..4)).count()
    };
    assert_eq!(whole(&log), 1);
    log.clear();
    let error = compute.retry_any(true).array(&lazy).unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    assert_eq!(whole(&log), 3);
    assert!(array(&Log::new(), None).compute_with(&cluster).is_ok());
}
