//! The options about stores through the real binary, against servers on loopback: what
//! a store is sent, and what is told before anything is.

mod common;

use std::path::Path;
use std::process::Output;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::{Archive, command};
use datacube_testkit::{Asked, Fault, StoreServer};
use sha2::{Digest as _, Sha256};

/// A small GeoTIFF under these paths.
fn server(
    paths: &[&'static str],
    rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
) -> StoreServer {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../load/tests/fixtures/georef/rotated.tif");
    let bytes = std::fs::read(file).expect("it is here");
    StoreServer::start(paths.iter().map(|path| (*path, bytes.clone())), rule)
}

/// Runs `datacube raster info -f json` with these variables and arguments.
fn info(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    command(home)
        .envs(variables.iter().copied())
        .args(["raster", "info", "-f", "json"])
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// As [`info`], and it says what the file is.
fn reads(variables: &[(&str, &str)], arguments: &[&str]) {
    let home = tempfile::tempdir().expect("a folder");
    check(&info(home.path(), variables, arguments), arguments);
}

fn check(output: &Output, arguments: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("\"driver\": \"GTiff\""),
        "{arguments:?}: {said}"
    );
}

/// What it says when it fails.
fn fails(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a folder");
    let output = info(home.path(), variables, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && !stderr.contains("panicked"),
        "{stderr}"
    );
    (output.status.code(), stderr)
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIATEST"),
    ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
];

#[test]
fn an_endpoint_is_asked_unsigned_where_that_is_said() {
    let server = server(&["/b/a.tif"], |asked| {
        asked.is_signed().then(|| Fault::s3(403, "AccessDenied"))
    });
    let url = server.url();
    reads(
        &KEYS,
        &["s3://b/a.tif", "--endpoint-url", &url, "--no-sign-request"],
    );
    let asked = server.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|asked| asked.path == "/b/a.tif"),
        "{asked:?}"
    );
    let (status, said) = fails(&KEYS, &["s3://b/a.tif", "--endpoint-url", &url]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("403 AccessDenied") && !said.contains("hush"),
        "{said}"
    );
}

#[test]
fn the_payer_the_region_and_the_profile_are_sent() {
    let server = server(&["/b/a.tif"], |asked| {
        let pays = asked.header("x-amz-request-payer") == "requester" && asked.is_signed();
        (!pays).then(|| Fault::s3(403, "AccessDenied"))
    });
    let url = server.url();
    let paying = ["s3://b/a.tif", "--endpoint-url", &url, "--request-payer"];
    reads(
        &KEYS,
        &[&paying[..], &["--aws-region", "eu-west-1"]].concat(),
    );
    let authorization = server.asked()[0].header("authorization").to_owned();
    assert!(
        authorization.contains("Credential=AKIATEST/"),
        "{authorization}"
    );
    assert!(authorization.contains("/eu-west-1/s3/"), "{authorization}");

    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    std::fs::write(
        home.path().join(".aws/credentials"),
        "[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = hush\n",
    )
    .expect("written");
    let before = server.n_asked();
    let lab = [&paying[..], &["--aws-profile", "lab"]].concat();
    check(&info(home.path(), &[], &lab), &lab);
    let authorization = server.asked()[before].header("authorization").to_owned();
    assert!(
        authorization.contains("Credential=AKIALAB/"),
        "{authorization}"
    );

    let (_, said) = fails(&[], &[&paying[..], &["--aws-profile", "nobody"]].concat());
    assert!(said.contains("no profile `nobody`"), "{said}");
    let (status, said) = fails(&[], &[&paying[..], &["--no-sign-request"]].concat());
    assert_eq!(status, Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn what_cannot_be_reached_is_told_at_once() {
    for (endpoint, problem) in [
        ("minio.example.org", "is no URL"),
        ("minio:9000", "is not of http or https"),
        ("https://h/?a=b", "has more than a scheme"),
    ] {
        let (status, said) = fails(&[], &["s3://b/a.tif", "--endpoint-url", endpoint]);
        assert_eq!(status, Some(1));
        assert!(
            said.contains(problem) && said.contains("https://minio.example.org"),
            "{said}"
        );
    }
    let (_, said) = fails(&[], &["https://no-such-host.invalid/a.tif"]);
    assert!(
        said.contains("there is no host `no-such-host.invalid`"),
        "{said}"
    );
}

#[test]
fn a_signer_that_nobody_knows_is_told_when_the_load_is_planned() {
    let archive = Archive::indexed();
    let (status, said) = archive.fail(&[
        "load",
        "tiny",
        "--patch-url",
        "planetary_computre",
        "--explain",
    ]);
    assert_eq!(status, 1);
    assert!(said.contains("no signer `planetary_computre`"), "{said}");
    assert!(said.contains("planetary_computer"), "{said}");
}

#[test]
fn google_is_asked_for_the_object_by_its_whole_name() {
    // Google's names of objects are one segment of the path, slashes and dots escaped.
    let server = server(&["/bucket/folder%2Fa%2Etif"], |_| None);
    let url = server.url();
    let public = [("GOOGLE_BASE_URL", &url[..]), ("GS_NO_SIGN_REQUEST", "YES")];
    reads(&public, &["gs://bucket/folder/a.tif"]);
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.path == "/bucket/folder%2Fa%2Etif"),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_empty()),
        "{asked:?}"
    );
    assert_eq!(asked[0].header("range"), "bytes=0-32767");

    let (_, said) = fails(&public, &["gs://bucket/gone.tif"]);
    assert!(said.contains("gs://bucket/gone.tif"), "{said}");
}

/// HMAC-SHA-256, RFC 2104, of a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let hashed = |pad: u8, message: &[u8]| -> [u8; 32] {
        Sha256::new()
            .chain_update(block.map(|byte| byte ^ pad))
            .chain_update(message)
            .finalize()
            .into()
    };
    hashed(0x5c, &hashed(0x36, message))
}

/// What Azure makes of a request that is signed with the account's key.
///
/// # Source
/// Microsoft, "Authorize with Shared Key", Blob service, version 2015-02-21 and later.
fn shared_key(asked: &Asked, account: &str, key: &[u8]) -> String {
    let length = match asked.header("content-length") {
        "0" => "",
        length => length,
    };
    let mut text = [
        asked.method.as_str(),
        asked.header("content-encoding"),
        asked.header("content-language"),
        length,
        asked.header("content-md5"),
        asked.header("content-type"),
        match asked.header("x-ms-date") {
            "" => asked.header("date"),
            _ => "",
        },
        asked.header("if-modified-since"),
        asked.header("if-match"),
        asked.header("if-none-match"),
        asked.header("if-unmodified-since"),
        asked.header("range"),
    ]
    .join("\n");
    // In order, as the map has them.
    for (name, value) in &asked.headers {
        if name.starts_with("x-ms-") {
            text += &format!("\n{name}:{}", value.trim());
        }
    }
    text += &format!("\n/{account}{}", asked.path);
    let mut query: Vec<&str> = asked
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .collect();
    query.sort_unstable();
    for pair in query {
        text += &format!("\n{}", pair.replacen('=', ":", 1));
    }
    format!(
        "SharedKey {account}:{}",
        BASE64_STANDARD.encode(hmac(key, text.as_bytes()))
    )
}

/// The key is proven by signing each request, which the server does after it. A shared
/// access signature is made by whoever gives it out, with a key that nobody here has:
/// it has to come as it was given.
#[test]
fn azure_is_asked_with_the_key_or_with_the_shared_signature() {
    let server = server(&["/container/folder/a.tif"], |asked| {
        let has_sas = asked.query.contains("sig=abc%2Fd") && asked.query.contains("sv=2022-11-02");
        let has_key = asked.header("authorization") == shared_key(asked, "acct", b"hush-hush");
        (!has_sas && !has_key).then(|| {
            let code = ("x-ms-error-code", "NoAuthenticationInformation".to_owned());
            Fault::Answer(401, vec![code], String::new())
        })
    });
    let url = server.url();
    let account = [
        ("AZURE_STORAGE_ENDPOINT", &url[..]),
        ("AZURE_STORAGE_ACCOUNT_NAME", "acct"),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    let uri = "az://container/folder/a.tif";
    let with = |name: &'static str, value: &'static str| [&account[..], &[(name, value)]].concat();
    reads(&with("AZURE_STORAGE_ACCOUNT_KEY", "aHVzaC1odXNo"), &[uri]);
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.path == "/container/folder/a.tif"),
        "{asked:?}"
    );
    assert!(!asked[0].header("x-ms-version").is_empty(), "{asked:?}");
    assert!(
        !asked[0].header("date").is_empty() && asked[0].query.is_empty(),
        "{asked:?}"
    );

    let before = server.n_asked();
    reads(
        &with("AZURE_STORAGE_SAS_TOKEN", "sv=2022-11-02&sp=r&sig=abc%2Fd"),
        &[uri],
    );
    let asked = &server.asked()[before];
    assert!(asked.header("authorization").is_empty(), "{asked:?}");

    // Another key signs otherwise.
    let (_, said) = fails(&with("AZURE_STORAGE_ACCOUNT_KEY", "aHVzaC1oaXNz"), &[uri]);
    assert!(
        said.contains("401") && !said.contains("aHVzaC1oaXNz"),
        "{said}"
    );

    // Without either the refusal is told, with what to set; signatures never are.
    let (_, said) = fails(&account, &[uri]);
    assert!(
        said.contains("401") && said.contains("AZURE_STORAGE_SAS_TOKEN"),
        "{said}"
    );
    let (_, said) = fails(
        &with("AZURE_STORAGE_SAS_TOKEN", "sv=2021-01-01&sig=hush"),
        &[uri],
    );
    assert!(said.contains("401") && !said.contains("hush"), "{said}");
}
