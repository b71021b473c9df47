//! Remote stores that are slow, picky and faulty: the pixels are those of the
//! local file, the requests are as many as is said, and what cannot be is told.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::remote::{archive, grid, load, load_with, local, raster};
use datacube_geo::PixelWindow;
use datacube_load::{
    Archive, AssumeRole, Error, Loader, LoaderOptions, MaskKind, PixelBuffer, Rasters,
    RastersOptions, S3Access, SignedUrl, Signer, StoreOptions, StoreRegistry,
};
use datacube_model::DType;
use datacube_testkit::{Asked, Fault, StoreServer};

fn options() -> StoreOptions {
    StoreOptions::default().with_retries(4)
}

/// Stores of S3 at the server.
fn s3(server: &StoreServer, access: S3Access) -> StoreRegistry {
    let access = access.with_endpoint(server.url());
    StoreRegistry::with_options(options().with_s3(access))
}

fn keys() -> S3Access {
    S3Access::default()
        .with_keys("test", "hush-hush")
        .with_requester_pays(false)
}

fn paying() -> S3Access {
    keys().with_requester_pays(true)
}

/// As a bucket whose reader pays.
fn wants_payer(asked: &Asked) -> Option<Fault> {
    let pays = asked.header("x-amz-request-payer") == "requester" && asked.is_signed();
    (!pays).then(|| Fault::s3(403, "AccessDenied"))
}

fn files() -> [(&'static str, Vec<u8>); 1] {
    [("/b/a.tif", raster())]
}

const URI: &str = "s3://b/a.tif";

#[test]
fn requester_pays_is_sent_and_asked_for_where_it_is_missing() {
    let server = StoreServer::start(files(), wants_payer);
    assert_eq!(load(&s3(&server, paying()), URI).unwrap(), local());
    let before = server.n_asked();

    let error = load(&s3(&server, keys()), URI).unwrap_err();
    let text = error.to_string();
    for part in [
        URI,
        "403 AccessDenied",
        "set requester pays",
        "--request-payer",
        "access key test",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!error.is_transient() && !text.contains("hush"), "{text}");
    // What will not pass is not tried again.
    assert_eq!(server.n_asked() - before, 1);

    let unsigned = S3Access::unsigned().with_requester_pays(false);
    let text = load(&s3(&server, unsigned), URI).unwrap_err().to_string();
    assert!(text.contains("the request was not signed"), "{text}");
}

#[test]
fn a_chunk_takes_one_request_for_the_header_and_one_for_blocks_that_lie_together() {
    let server = StoreServer::start(files(), |_| None);
    let stores = s3(&server, paying());
    let (pixels, stats, requests) =
        load_with(&stores, URI, None, PixelWindow::full(grid().shape())).unwrap();
    assert_eq!(pixels, local());
    assert_eq!((requests, stats.requests, server.n_asked()), (2, 2, 2));
    let counted = stores.stats();
    let host = counted.hosts[&server.host()];
    assert_eq!(
        (host.requests, host.retries, host.failures, host.in_flight),
        (2, 0, 0, 0)
    );
    assert_eq!(host.bytes, stats.bytes);
    assert_eq!(counted.total().requests, 2);

    // The header is known to the loader that read it, and a part of one block row is one request.
    let loader = Loader::new(LoaderOptions::default().stores(stores.clone()));
    let archive = archive(URI, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (chunk, expected) in [(0..8, 2), (8..40, 1), (300..320, 1)] {
        let window = PixelWindow::new(chunk.clone(), 0..64);
        let task = archive.plan_chunk(0, 0, window).unwrap();
        let before = stores.stats();
        runtime.block_on(loader.fetch(&archive, &task)).unwrap();
        let since = stores.stats().since(&before).total();
        assert_eq!(since.requests, expected, "rows {chunk:?}");
    }
}

#[test]
fn what_is_set_later_holds_for_headers_that_are_known() {
    let server = StoreServer::start(files(), wants_payer);
    let stores = s3(&server, paying());
    let loader = Loader::new(LoaderOptions::default().stores(stores.clone()));
    let archive = archive(URI, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fetch = |rows: std::ops::Range<usize>| {
        let task = archive
            .plan_chunk(0, 0, PixelWindow::new(rows, 0..320))
            .unwrap();
        runtime
            .block_on(loader.fetch(&archive, &task))
            .map(|fetched| fetched.requests())
    };
    assert_eq!(fetch(0..16).unwrap(), 2);
    let set = |access: S3Access| {
        let access = access.with_endpoint(server.url());
        stores.configure(options().with_s3(access)).unwrap();
    };
    set(keys());
    let text = fetch(100..116).unwrap_err().to_string();
    assert!(text.contains("set requester pays"), "{text}");
    set(paying());
    assert_eq!(fetch(100..116).unwrap(), 1);
}

/// Loads from a server that fails in one way, and counts its failures.
fn survives(name: &str, server: &StoreServer, stores: &StoreRegistry, uri: &str) {
    let pixels = load(stores, uri).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(pixels, local(), "{name}");
    let total = stores.stats().total();
    assert!(total.retries > 0 && total.failures > 0, "{name}: {total:?}");
    assert_eq!(total.requests, server.n_asked() as u64, "{name}");
    assert_eq!(total.in_flight, 0, "{name}");
}

#[test]
fn what_may_pass_is_tried_again_and_the_pixels_are_right() {
    let once = |fault: Fault| {
        move |asked: &Asked| (asked.before == 0 && asked.method == "GET").then(|| fault.clone())
    };
    for (name, fault) in [
        ("503", Fault::s3(503, "SlowDown")),
        ("500", Fault::s3(500, "InternalError")),
        ("429", Fault::s3(429, "TooManyRequests")),
        ("reset", Fault::Reset),
        ("broken off", Fault::Truncate(5000)),
        ("broken off at once", Fault::Truncate(0)),
        ("cut short", Fault::CutShort(5000)),
    ] {
        let server = StoreServer::start(files(), once(fault.clone()));
        survives(name, &server, &s3(&server, paying()), URI);
        let server = StoreServer::start_plain(files(), once(fault));
        let stores = StoreRegistry::with_options(options());
        survives(name, &server, &stores, &format!("{}/b/a.tif", server.url()));
    }
}

#[test]
fn an_answer_that_does_not_begin_is_asked_for_again() {
    // The first answer never begins; each later one is given up late enough for a
    // busy machine, and asked for again where it was too busy.
    let server = StoreServer::start(files(), |asked| (asked.n == 0).then_some(Fault::Never));
    let access = paying().with_endpoint(server.url());
    let options = options()
        .with_retries(10)
        .with_first_byte_timeout(Duration::from_secs(1))
        .with_s3(access);
    survives("late", &server, &StoreRegistry::with_options(options), URI);
}

#[test]
fn what_does_not_pass_is_an_error_that_counts_its_attempts() {
    let server = StoreServer::start(files(), |_| Some(Fault::s3(503, "SlowDown")));
    let access = paying().with_endpoint(server.url());
    let options = StoreOptions::default().with_retries(2).with_s3(access);
    let stores = StoreRegistry::with_options(options.clone());
    let error = load(&stores, URI).unwrap_err();
    let text = error.to_string();
    for part in [
        URI,
        "503 SlowDown: said by a test",
        "after 3 attempts",
        "try again later",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error.is_transient());
    assert_eq!(server.n_asked(), 3);
    assert_eq!(stores.stats().total().retries, 2);

    let server = StoreServer::start(files(), |_| Some(Fault::Reset));
    let access = paying().with_endpoint(server.url());
    let stores = StoreRegistry::with_options(options.with_s3(access));
    let error = load(&stores, URI).unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("after 3 attempts"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_said_at_once() {
    let server = StoreServer::start(files(), |asked| {
        asked
            .path
            .starts_with("/nowhere/")
            .then(|| Fault::s3(404, "NoSuchBucket"))
    });
    let stores = s3(&server, paying());
    let error = load(&stores, "s3://b/gone.tif").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = load(&stores, "s3://nowhere/a.tif").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no bucket or container `nowhere`"), "{text}");
    assert!(!error.is_transient());
    assert_eq!(server.n_asked(), 2);
}

#[test]
fn a_bucket_in_another_region_is_read_there_unless_a_region_was_named() {
    let rule = |asked: &Asked| {
        (!asked.header("authorization").contains("/eu-west-1/s3/")).then(|| {
            Fault::Answer(
                301,
                vec![("x-amz-bucket-region", "eu-west-1".to_owned())],
                "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>".to_owned(),
            )
        })
    };
    let server = StoreServer::start(files(), rule);
    assert_eq!(load(&s3(&server, paying()), URI).unwrap(), local());
    assert_eq!(server.n_asked(), 3);
    let named = paying().with_region("us-west-2");
    let text = load(&s3(&server, named), URI).unwrap_err().to_string();
    assert!(
        text.contains("in region us-west-2, and it is in eu-west-1; set the region"),
        "{text}"
    );
}

#[test]
fn keys_that_ran_out_are_told_as_such() {
    let server = StoreServer::start(files(), |_| Some(Fault::s3(400, "ExpiredToken")));
    let error = load(&s3(&server, paying()), URI).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the session of access key test has run out"),
        "{text}"
    );
    assert!(!error.is_transient() && matches!(error, Error::InSource { .. }));
    assert_eq!(server.n_asked(), 1);
}

#[test]
fn no_more_requests_at_once_than_a_host_may_get() {
    // Requests are answered in pairs, so that two have to be under way at once.
    let pair = std::sync::Barrier::new(2);
    let server = StoreServer::start(files(), move |_| {
        pair.wait();
        None
    });
    let access = paying().with_endpoint(server.url());
    let options = options().with_requests_per_host(2).with_s3(access);
    let stores = StoreRegistry::with_options(options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let reads = (0..12).map(|_| {
        let location = stores.locate(URI).unwrap();
        async move { location.read(1 << 20).await.map(|bytes| bytes.len()) }
    });
    let all = runtime.block_on(futures::future::join_all(reads));
    assert!(all.into_iter().all(|read| read.unwrap() == raster().len()));
    // Counted here: the server may be told of the next request before it has noted
    // the end of the last.
    assert_eq!(server.n_asked(), 12);
    assert_eq!(stores.stats().total().peak_in_flight, 2);
}

#[test]
fn a_part_of_a_file_that_a_server_does_not_serve_is_named() {
    let server = StoreServer::start(files(), |_| {
        Some(Fault::Answer(200, Vec::new(), "all of it".to_owned()))
    });
    let stores = StoreRegistry::with_options(options());
    let error = load(&stores, &format!("{}/b/a.tif", server.url())).unwrap_err();
    assert!(
        error.is_unsupported() && error.to_string().contains("HTTP ranges"),
        "{error}"
    );
}

#[test]
fn signed_addresses_are_renewed_when_they_are_refused_and_never_shown() {
    let server = StoreServer::start(files(), |asked| {
        let good = asked.query == "sig=2";
        (!good).then(|| Fault::Answer(403, Vec::new(), "not with that".to_owned()))
    });
    let n_signed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_signed);
    let sign = move |last: usize| {
        let counted = Arc::clone(&counted);
        Signer::new(move |uri| {
            let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let ends = SystemTime::now() + Duration::from_secs(3600);
            async move { Ok(SignedUrl::until(format!("{uri}?sig={}", n.min(last)), ends)) }
        })
    };
    let stores = StoreRegistry::with_options(options());
    stores.register_signer("mine", sign(2));
    let uri = format!("{}/b/a.tif", server.url());
    let whole = PixelWindow::full(grid().shape());
    let (pixels, _, requests) = load_with(&stores, &uri, Some("mine"), whole.clone()).unwrap();
    assert_eq!(pixels, local());
    // The first signature is refused; the second serves header and blocks.
    assert_eq!(
        (n_signed.load(Ordering::SeqCst), server.n_asked(), requests),
        (2, 3, 2)
    );

    n_signed.store(0, Ordering::SeqCst);
    stores.register_signer("stale", sign(1));
    let error = load_with(&stores, &uri, Some("stale"), whole.clone()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("signed anew by `stale` and refused still"),
        "{text}"
    );
    assert!(!text.contains("sig="), "{text}");
    assert_eq!(n_signed.load(Ordering::SeqCst), 2);

    let error = load_with(&stores, &uri, Some("nobody"), whole).unwrap_err();
    assert!(error.to_string().contains("no signer `nobody`"), "{error}");
    // Without a signer the server's refusal is what is told, and the query is not.
    let error = load(&stores, &format!("{uri}?sig=hush")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("sig=...") && text.contains("has run out") && !text.contains("hush"),
        "{text}"
    );
}

#[test]
fn a_plan_carries_the_name_of_a_signer() {
    let archive = archive("https://h/a.tif", Some("mine"));
    let text = serde_json::to_string(&archive).unwrap();
    let back: Archive = serde_json::from_str(&text).unwrap();
    assert_eq!((back.signer(), &back), (Some("mine"), &archive));
}

#[test]
fn a_role_is_taken_on_with_the_keys_and_again_when_its_token_has_run_out() {
    let n_taken = AtomicUsize::new(0);
    let server = StoreServer::start(files(), move |asked| {
        if asked.method == "POST" {
            let fits = asked.is_signed()
                && asked.header("authorization").contains("/sts/")
                && asked.body.contains("Action=AssumeRole&")
                && asked
                    .body
                    .contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr");
            let status = if fits { 200 } else { 400 };
            let n = n_taken.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = format!(
                "<r><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                 <SessionToken>t{n}</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></r>"
            );
            return Some(Fault::Answer(status, Vec::new(), answer));
        }
        let fits = asked.header("x-amz-security-token") == "t2";
        (!fits).then(|| Fault::s3(400, "ExpiredToken"))
    });
    let role = AssumeRole::new("arn:aws:iam::1:role/r");
    let access = paying().with_role(role).with_sts_endpoint(server.url());
    assert_eq!(load(&s3(&server, access), URI).unwrap(), local());
    let methods: Vec<String> = server
        .asked()
        .into_iter()
        .map(|asked| asked.method)
        .collect();
    assert_eq!(methods, ["POST", "GET", "POST", "GET", "GET"]);
}

/// A tar file of these members.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn members_of_tar_files_are_read_in_place() {
    let long = format!("{}/a.tif", "folder/".repeat(30));
    let bytes = raster();
    let archive = tar(&[
        ("readme.txt", b"read me"),
        ("x/a.tif", &bytes),
        (&long, &bytes),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scene.tar");
    std::fs::write(&path, &archive).unwrap();
    let stores = StoreRegistry::new();
    let path = path.to_str().unwrap();
    for uri in [
        format!("tar://x/a.tif::{path}"),
        format!("tar://{long}::file://{path}"),
        format!("/vsitar/{path}/x/a.tif"),
    ] {
        assert_eq!(load(&stores, &uri).unwrap(), local(), "{uri}");
    }
    let error = load(&stores, &format!("tar://gone.tif::{path}")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    // A file that is replaced is read anew.
    std::fs::write(
        path,
        tar(&[("b.txt", b"b"), ("x/a.tif", &bytes), ("c", b"")]),
    )
    .unwrap();
    assert_eq!(
        load(&stores, &format!("tar://x/a.tif::{path}")).unwrap(),
        local()
    );

    let server = StoreServer::start([("/b/scene.tar", archive)], wants_payer);
    let stores = s3(&server, paying());
    let uri = "tar://x/a.tif::s3://b/scene.tar";
    assert_eq!(load(&stores, uri).unwrap(), local());
    // The headers of three members and a long name, the raster's header, its blocks.
    let before = server.n_asked();
    assert_eq!(load(&stores, uri).unwrap(), local());
    assert_eq!((before, server.n_asked() - before), (6, 2));

    std::fs::write(path, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).unwrap();
    let error = load(&StoreRegistry::new(), &format!("tar://a::{path}")).unwrap_err();
    assert!(
        error.is_unsupported() && error.to_string().contains("gzip"),
        "{error}"
    );
}

#[test]
fn a_host_that_is_not_there_is_told_after_few_attempts() {
    let stores = StoreRegistry::with_options(StoreOptions::default());
    // A name that no name server may know (RFC 6761).
    let error = load(&stores, "https://no-such-host.invalid/a.tif").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("there is no host `no-such-host.invalid`"),
        "{text}"
    );
    assert!(text.contains("check the address"), "{text}");
    assert!(!error.is_transient(), "{text}");
    assert!(stores.stats().total().requests <= 2, "{:?}", stores.stats());
}

/// A file of `fixtures/georef`.
fn beside(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/georef");
    std::fs::read(folder.join(name)).expect("it is here")
}

#[tokio::test]
async fn masks_and_overviews_beside_are_looked_for_where_that_is_asked_for() {
    let files = [
        ("/b/o.tif", beside("overviews_beside.tif")),
        ("/b/o.tif.ovr", beside("overviews_beside.tif.ovr")),
        ("/b/m.tif", beside("mask_beside.tif")),
        ("/b/m.tif.msk", beside("mask_beside.tif.msk")),
        ("/b/plain.tif", raster()),
    ];
    // As a bucket that lets nobody list it: what is not there is refused.
    let hidden = |asked: &Asked| {
        let is_hidden = asked.path.starts_with("/b/plain.tif.");
        is_hidden.then(|| Fault::s3(403, "AccessDenied"))
    };
    let server = StoreServer::start(files, hidden);
    let stores = s3(&server, keys());
    let quiet = Rasters::new(stores.clone(), &RastersOptions::default());
    for name in ["o", "m", "plain"] {
        let before = server.n_asked();
        let reader = quiet.open(&format!("s3://b/{name}.tif")).await.expect(name);
        assert_eq!(server.n_asked() - before, 1, "{name}");
        assert_eq!(reader.info().levels.len(), 1, "{name}");
        assert_eq!(reader.info().mask, MaskKind::None, "{name}");
    }

    let options = stores.options().with_siblings(true);
    stores.configure(options).expect("configured");
    let rasters = Rasters::new(stores.clone(), &RastersOptions::default());
    let folder = tempfile::tempdir().expect("a folder");
    for (name, n_requests, n_levels, mask) in [
        ("o", 3, 3, MaskKind::None),
        ("m", 3, 1, MaskKind::Sidecar),
        ("plain", 3, 1, MaskKind::None),
    ] {
        let before = server.n_asked();
        let reader = rasters
            .open(&format!("s3://b/{name}.tif"))
            .await
            .expect(name);
        assert_eq!(reader.info().levels.len(), n_levels, "{name}");
        assert_eq!(reader.info().mask, mask, "{name}");
        assert_eq!(server.n_asked() - before, n_requests, "{name}");
        assert_eq!(
            reader.take_open_cost().requests,
            n_requests as u64,
            "{name}"
        );
        // Found or not, once is enough.
        let again = rasters
            .open(&format!("s3://b/{name}.tif"))
            .await
            .expect(name);
        assert_eq!(server.n_asked() - before, n_requests, "{name}");
        assert_eq!(again.take_open_cost().requests, 0);
        // The pixels are those of files of this machine.
        let (stem, suffix) = match name {
            "o" => ("overviews_beside.tif", ".ovr"),
            "m" => ("mask_beside.tif", ".msk"),
            _ => continue,
        };
        for suffix in ["", suffix] {
            let file = format!("{stem}{suffix}");
            std::fs::write(folder.path().join(&file), beside(&file)).expect("written");
        }
        let local = Rasters::new(StoreRegistry::new(), &RastersOptions::default());
        let path = folder.path().join(stem);
        let local = local.open(path.to_str().expect("UTF-8")).await;
        let local = local.expect("it opens");
        for level in 0..n_levels {
            let window = PixelWindow::full(reader.info().levels[level].shape);
            let (mut a, mut b) = (
                PixelBuffer::empty(DType::UInt8),
                PixelBuffer::empty(DType::UInt8),
            );
            for (reader, out) in [(&reader, &mut a), (&local, &mut b)] {
                let blocks = reader
                    .fetch(level, 2, window.clone())
                    .await
                    .expect("blocks");
                reader.decode(&blocks, window.clone(), out).expect("pixels");
            }
            assert_eq!(a.as_bytes(), b.as_bytes(), "{name}, level {level}");
            assert!(a.as_bytes().iter().any(|&byte| byte != 0));
        }
        let masks = [
            reader
                .fetch_mask(0, 1, PixelWindow::new(0..9, 0..9))
                .await
                .expect("a mask"),
            local
                .fetch_mask(0, 1, PixelWindow::new(0..9, 0..9))
                .await
                .expect("a mask"),
        ];
        assert_eq!(masks.map(|mask| mask.is_some()), [name == "m"; 2]);
    }
}
