//! Against another's server of S3, which checks every signature, waits before
//! each answer and fails some: the peer kit's `s3_latency.py`.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use common::remote::{archive, grid, load, local, raster};
use datacube_geo::PixelWindow;
use datacube_load::{Loader, LoaderOptions, S3Access, StoreOptions, StoreRegistry};

/// The server, until it is dropped.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    /// Serves `folder`; `None`, and the test skipped, where something is missing.
    fn start(folder: &Path, options: &[&str]) -> Option<Self> {
        let script = datacube_testkit::shared("../peer/s3_latency.py")?;
        let script = script.to_str().expect("a path in UTF-8");
        let mut python = datacube_testkit::python(script, &["aiohttp"])?;
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port of the loopback")
            .port();
        let mut child = python
            .arg("serve")
            .arg(folder)
            .args([
                "--port",
                &port.to_string(),
                "--bucket",
                "b",
                "--stop-after",
                "300",
            ])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("text");
        assert!(line.contains("serving"), "the server says: {line}");
        Some(Peer {
            child,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn signed_slow_and_failing_requests_give_the_right_pixels() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a folder")).unwrap();
    std::fs::write(dir.path().join("a folder/a+b (1).tif"), raster()).unwrap();
    let options = [
        "--latency-ms",
        "30",
        "--requester-pays",
        "--fail-rate",
        "0.25",
        "--auth",
        "verify",
    ];
    let Some(peer) = Peer::start(dir.path(), &options) else {
        return;
    };
    let stores = |access: S3Access| {
        let access = access.with_endpoint(&peer.url);
        StoreRegistry::with_options(StoreOptions::default().with_retries(12).with_s3(access))
    };
    let uri = "s3://b/a%20folder/a+b%20(1).tif";
    let paying = S3Access::requester_pays().with_keys("test", "testtest");
    let expected = local();
    let good = stores(paying.clone());
    assert_eq!(load(&good, uri).unwrap(), expected);

    // Chunk by chunk: one request for the header, then one a chunk, and those that were refused.
    let loader = Loader::new(LoaderOptions::default().stores(good.clone()));
    let archive = archive(uri, None);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let before = good.stats();
    let cols = grid().shape().cols;
    let mut pixels = vec![0_u16; expected.len()];
    for (n, rows) in pixels.chunks_exact_mut(32 * cols).enumerate() {
        let window = PixelWindow::new(n * 32..(n + 1) * 32, 0..cols);
        let task = archive.plan_chunk(0, 0, window).unwrap();
        let fetched = runtime.block_on(loader.fetch(&archive, &task)).unwrap();
        loader
            .decode(&archive, &task, fetched, bytemuck::cast_slice_mut(rows))
            .unwrap();
    }
    assert_eq!(pixels, expected);
    let since = good.stats().since(&before).total();
    assert_eq!(since.requests - since.retries, 11, "{since:?}");
    assert_eq!(since.retries, since.failures, "{since:?}");

    let wrong = stores(S3Access::requester_pays().with_keys("test", "another"));
    let text = load(&wrong, uri).unwrap_err().to_string();
    assert!(
        text.contains("the secret key is not that of access key test"),
        "{text}"
    );
    let free = stores(paying.with_requester_pays(false));
    let text = load(&free, uri).unwrap_err().to_string();
    assert!(text.contains("set requester pays"), "{text}");
}
