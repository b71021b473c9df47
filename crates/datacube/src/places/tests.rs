//! Places of every sort, with a server on the loopback.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use datacube_load::{StoreOptions, StoreRegistry};
use futures::StreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::crawl::{Shared, crawl};
use super::*;

/// What a server answers: by method and path.
type Answers = HashMap<String, Answer>;
/// Status, media type and text, given the body of the request.
type Answer = Box<dyn Fn(&str) -> (u16, &'static str, String) + Send + Sync>;

/// A server that answers as it is told, until the test ends.
struct Server {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: impl FnOnce(&str) -> Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::new(answers(&base));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (answers, noted) = (answers.clone(), noted.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let mut part = [0; 4096];
                    let (head, body) = loop {
                        let n = socket.read(&mut part).await.unwrap_or(0);
                        bytes.extend_from_slice(&part[..n]);
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        let Some((head, body)) = text.split_once("\r\n\r\n") else {
                            if n == 0 {
                                return;
                            }
                            continue;
                        };
                        let length = head.lines().find_map(|line| {
                            line.to_ascii_lowercase()
                                .strip_prefix("content-length:")?
                                .trim()
                                .parse()
                                .ok()
                        });
                        if body.len() >= length.unwrap_or(0) {
                            break (head.to_owned(), body.to_owned());
                        }
                    };
                    let line: Vec<&str> = head.split_whitespace().take(2).collect();
                    let key = line.join(" ");
                    noted.lock().expect("not poisoned").push(key.clone());
                    let (status, kind, answer) = match answers.get(&key) {
                        Some(answer) => answer(&body),
                        None => (404, "text/plain", "no such thing".to_owned()),
                    };
                    let text = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                        answer.len()
                    );
                    let _ = socket.write_all(text.as_bytes()).await;
                });
            }
        });
        Server { base, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn always(kind: &'static str, answer: Value) -> Answer {
    let text = answer
        .as_str()
        .map_or_else(|| answer.to_string(), str::to_owned);
    Box::new(move |_| (200, kind, text.clone()))
}

fn item(id: &str) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": id, "collection": "c", "geometry": null, "assets": {}, "links": [],
           "properties": {"datetime": "2020-01-01T00:00:00Z"}})
}

fn eo3(id: &str) -> String {
    format!("$schema: https://schemas.opendatacube.org/dataset\nid: \"{id}\"\nproperties: {{}}\n")
}

/// Addresses and ids of what is found; a failure is `!` and its text.
async fn found_with(places: &[String], shared: Shared) -> Vec<(String, String)> {
    let stream = crawl(places.to_vec(), Arc::new(shared));
    let found: Vec<_> = stream.collect().await;
    found
        .into_iter()
        .flat_map(read)
        .map(|(address, document)| match document {
            Ok(located) => (
                address,
                located.document["id"].as_str().unwrap_or("?").to_owned(),
            ),
            Err(error) => (address, format!("!{error}")),
        })
        .collect()
}

async fn found(places: &[String]) -> Vec<(String, String)> {
    found_with(places, Shared::new(few_retries())).await
}

/// Stores that give up soon.
fn few_retries() -> SourceOptions {
    let options = StoreOptions::default().with_retries(3);
    SourceOptions::default().stores(StoreRegistry::with_options(options))
}

fn ids(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(_, id)| id.as_str()).collect()
}

fn write(folder: &Path, name: &str, text: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn folders_give_their_dataset_documents_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(root, "b/x.odc-metadata.yaml", eo3("b").as_bytes());
    write(root, "a/scene.json", item("a").to_string().as_bytes());
    write(root, "a/other.json", b"{\"name\": 1}");
    let list = json!({"type": "FeatureCollection", "features": [item("f0"), item("f1")]});
    write(root, "z/list.geojson", list.to_string().as_bytes());
    write(root, "a/broken.json", b"{");
    write(root, "c.odc-metadata.yaml.gz", &gzip(eo3("c").as_bytes()));
    write(root, "d.stac-item.json", b"{\"no\": \"item\"");
    write(root, "product.yaml", b"name: x");
    write(
        root,
        "two.eo3.yaml",
        format!("---\n{}---\n{}", eo3("e0"), eo3("e1")).as_bytes(),
    );
    let all = found(&[root.display().to_string()]).await;
    let seen = ids(&all);
    assert_eq!(
        [seen[0], seen[1], seen[2], seen[4], seen[5]],
        ["a", "b", "c", "e0", "e1"],
        "{all:?}"
    );
    assert!(
        seen[3].starts_with('!') && all[3].0.contains("d.stac-item.json"),
        "{all:?}"
    );
    assert!(
        all[4].0.ends_with("two.eo3.yaml#part=0") && all[0].0.starts_with("file:///"),
        "{all:?}"
    );
    assert_eq!(seen[6..], ["f0", "f1"], "{all:?}");
    assert!(all[7].0.ends_with("list.geojson#part=1"), "{all:?}");
    // The same by a pattern, of one kind.
    let some = found(&[format!("{}/**/*.yaml", root.display())]).await;
    assert_eq!(
        some.len(),
        4,
        "two files, one with two parts, and the product: {some:?}"
    );
    // Nothing there says so, and what is not there as well; neither stops the other.
    let empty = tempfile::tempdir().expect("a folder");
    let none = found(&[
        "/no/such".into(),
        empty.path().display().to_string(),
        format!("{}/a/scene.json", root.display()),
    ])
    .await;
    assert!(none[0].1.contains("no such file or folder"), "{none:?}");
    assert!(none.iter().any(|(_, id)| id == "a"), "{none:?}");
    let empty = none.iter().find(|(_, id)| id.contains("odc-metadata.yaml"));
    assert!(empty.is_some(), "{none:?}");
}

#[tokio::test]
async fn tar_files_are_as_if_unpacked_beside_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("s/a.odc-metadata.yaml", eo3("a")),
        ("s/pixels.tif", "II".into()),
        ("./b.json", item("b").to_string()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, name, text.as_bytes())
            .expect("memory");
    }
    let bytes = archive.into_inner().expect("memory");
    let plain = write(folder.path(), "x.tar", &bytes);
    let packed = write(folder.path(), "y.tgz", &gzip(&bytes));
    let cut = write(folder.path(), "z.tar", &bytes[..700]);
    let all = found(&[plain, packed, cut]).await;
    assert_eq!(ids(&all)[..4], ["a", "b", "a", "b"], "{all:?}");
    assert!(
        all[0].0.ends_with("/s/a.odc-metadata.yaml") && !all[0].0.contains("x.tar"),
        "{all:?}"
    );
    assert!(
        all.len() > 4 && all[4..].iter().any(|(_, id)| id.starts_with('!')),
        "{all:?}"
    );
    let options = SourceOptions {
        tar_base: Some("s3://".into()),
        ..SourceOptions::default()
    };
    let shared = Shared::new(options);
    let based = found_with(&[folder.path().join("x.tar").display().to_string()], shared).await;
    assert_eq!(based[0].0, "s3://s/a.odc-metadata.yaml");
}

#[tokio::test]
async fn buckets_are_listed_and_matched_by_patterns() {
    let store = Arc::new(InMemory::new());
    for n in 0..600 {
        let path =
            object_store::path::Path::from(format!("data/{}/{n:03}.odc-metadata.yaml", n % 3));
        store
            .put(&path, PutPayload::from(eo3(&format!("{n}"))))
            .await
            .expect("memory");
    }
    let path = object_store::path::Path::from("data/0/x y.json");
    store
        .put(&path, PutPayload::from(item("space").to_string()))
        .await
        .expect("memory");
    let shared = || {
        let stores = StoreRegistry::new();
        stores
            .register("s3://bucket", store.clone() as Arc<dyn ObjectStore>)
            .expect("a base");
        Shared::new(SourceOptions::default().stores(stores))
    };
    let all = found_with(&["s3://bucket/data/".into()], shared()).await;
    assert_eq!(all.len(), 601);
    assert!(
        all.iter()
            .any(|(address, id)| id == "space" && address == "s3://bucket/data/0/x y.json"),
        "{all:?}"
    );
    let some = found_with(
        &["s3://bucket/data/1/*5.odc-metadata.yaml".into()],
        shared(),
    )
    .await;
    assert_eq!(some.len(), 20);
    let one = found_with(
        &[
            "s3://bucket/data/1/001.odc-metadata.yaml".into(),
            "s3://bucket/none.odc-metadata.yaml".into(),
        ],
        shared(),
    )
    .await;
    assert_eq!(one[0].1, "1");
    assert!(one[1].1.contains("no such file or object"), "{one:?}");
    let mut limited = shared();
    limited.options.limit = Some(7);
    assert_eq!(
        found_with(&["s3://bucket/data/".into()], limited)
            .await
            .len(),
        7
    );
}

#[tokio::test]
async fn catalogues_are_followed_once_and_broken_links_reported() {
    let link = |rel: &str, href: &str| json!({"rel": rel, "href": href});
    let catalog = |id: &str, links: Vec<Value>| json!({"type": "Catalog", "stac_version": "1.0.0", "id": id, "description": "x", "links": links});
    let server = Server::start(|_| {
        let mut answers = Answers::new();
        answers.insert("GET /stac/catalog.json".into(), always("application/json", catalog("root", vec![
            link("self", "https://elsewhere.org/catalog.json"), link("child", "a/collection.json"), link("child", "./b/catalog.json"), link("item", "i0.json"), link("item", "gone.json"),
        ])));
        answers.insert("GET /stac/a/collection.json".into(), always("application/json", json!({
            "type": "Collection", "stac_version": "1.0.0", "id": "c", "links": [link("item", "./i1.json"), link("child", "../catalog.json"), link("child", "../b/catalog.json")],
        })));
        answers.insert("GET /stac/b/catalog.json".into(), always("application/json", catalog("b", vec![link("item", "i2.json"), link("child", "../catalog.json")])));
        for (path, id) in [("/stac/i0.json", "i0"), ("/stac/a/i1.json", "i1"), ("/stac/b/i2.json", "i2")] {
            answers.insert(format!("GET {path}"), always("application/geo+json", item(id)));
        }
        answers
    })
    .await;
    let all = found(&[format!("{}/stac/catalog.json", server.base)]).await;
    let mut seen: Vec<&str> = ids(&all)
        .into_iter()
        .filter(|id| !id.starts_with('!'))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, ["i0", "i1", "i2"], "{all:?}");
    let broken: Vec<_> = all.iter().filter(|(_, id)| id.starts_with('!')).collect();
    assert_eq!(broken.len(), 1);
    assert!(
        broken[0].0.ends_with("/stac/gone.json") && broken[0].1.contains("no such file"),
        "{broken:?}"
    );
    let asked = server.asked();
    assert_eq!(
        asked
            .iter()
            .filter(|path| path.ends_with("/b/catalog.json"))
            .count(),
        1,
        "{asked:?}"
    );
    // The place that was given is asked for again through a link, and no more.
    assert!(
        asked
            .iter()
            .filter(|path| path.ends_with("/stac/catalog.json"))
            .count()
            <= 2,
        "{asked:?}"
    );

    // The same from disk.
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "catalog.json",
        catalog(
            "root",
            vec![link("item", "sub/i.json"), link("child", "catalog.json")],
        )
        .to_string()
        .as_bytes(),
    );
    write(
        folder.path(),
        "sub/i.json",
        item("disk").to_string().as_bytes(),
    );
    let all = found(&[folder.path().join("catalog.json").display().to_string()]).await;
    assert_eq!(ids(&all), ["disk"]);
}

#[tokio::test]
async fn apis_are_searched_page_by_page() {
    let page = |base: &str, first: usize, next: Option<Value>| {
        let features: Vec<Value> = (first..first + 2)
            .map(|n| {
                let mut item = item(&format!("i{n}"));
                item["links"] =
                    json!([{"rel": "self", "href": format!("{base}/collections/c/items/i{n}")}]);
                item
            })
            .collect();
        json!({"type": "FeatureCollection", "features": features, "links": next.into_iter().collect::<Vec<_>>()})
    };
    let server = Server::start(|base| {
        let base = base.to_owned();
        let mut answers = Answers::new();
        answers.insert("GET /".into(), always("application/json", json!({
            "type": "Catalog", "stac_version": "1.0.0", "id": "api", "links": [
                {"rel": "search", "href": format!("{base}/search"), "method": "GET"},
                {"rel": "search", "href": format!("{base}/search"), "method": "POST"},
            ],
        })));
        let own = base.clone();
        answers.insert("POST /search".into(), Box::new(move |body| {
            let body: Value = serde_json::from_str(body).expect("a body");
            assert_eq!(body["collections"], json!(["c"]), "{body}");
            let token = body["token"].as_u64().map_or(0, |token| usize::try_from(token).expect("small"));
            let next = (token < 4).then(|| json!({"rel": "next", "href": "/search", "method": "POST", "merge": true, "body": {"token": token + 2}}));
            (200, "application/geo+json", page(&own, token, next).to_string())
        }));
        let own = base.clone();
        answers.insert("GET /collections/c/items".into(), Box::new(move |_| {
            let next = json!({"rel": "next", "href": format!("{own}/collections/c/items?page=2")});
            (200, "application/geo+json", page(&own, 0, Some(next)).to_string())
        }));
        let own = base.clone();
        answers.insert("GET /collections/c/items?page=2".into(), Box::new(move |_| {
            // A page that names itself as the next one.
            let next = json!({"rel": "next", "href": "?page=2"});
            (200, "application/geo+json", page(&own, 2, Some(next)).to_string())
        }));
        let own = base.clone();
        answers.insert("GET /collections/c".into(), always("application/json", json!({
            "type": "Collection", "stac_version": "1.0.0", "id": "c", "links": [{"rel": "items", "href": format!("{own}/collections/c/items")}],
        })));
        answers
    })
    .await;
    let options = SourceOptions::default().search("collections", json!(["c"]));
    let shared = Shared::new(options);
    let all = found_with(&[format!("{}/", server.base)], shared).await;
    assert_eq!(ids(&all), ["i0", "i1", "i2", "i3", "i4", "i5"]);
    assert_eq!(all[3].0, format!("{}/collections/c/items/i3", server.base));
    let all = found(&[format!("{}/collections/c", server.base)]).await;
    assert_eq!(ids(&all), ["i0", "i1", "i2", "i3"]);
}

#[tokio::test]
async fn servers_that_stumble_are_asked_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = Server::start(move |_| {
        let mut answers = Answers::new();
        answers.insert(
            "GET /a.odc-metadata.yaml".into(),
            Box::new(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
                0 => (503, "text/plain", "later".into()),
                _ => (200, "text/yaml", eo3("a")),
            }),
        );
        answers.insert(
            "GET /list/".into(),
            always(
                "text/html",
                json!("<a href='../'>up</a><a href='sub/'>sub</a><a href='n.json'>n</a>"),
            ),
        );
        answers.insert(
            "GET /list/sub/".into(),
            always("text/html", json!("<a href='x.odc-metadata.yaml'>x</a>")),
        );
        answers.insert(
            "GET /list/n.json".into(),
            always("application/json", json!({"not": "an item"})),
        );
        answers.insert(
            "GET /list/sub/x.odc-metadata.yaml".into(),
            always("text/yaml", json!(eo3("listed"))),
        );
        answers.insert(
            "GET /bad".into(),
            Box::new(|_| (403, "text/plain", "not for you".into())),
        );
        answers
    })
    .await;
    let places =
        ["/a.odc-metadata.yaml", "/bad", "/list/"].map(|path| format!("{}{path}", server.base));
    let all = found(&places).await;
    assert_eq!(
        (all[0].1.as_str(), all[2].1.as_str()),
        ("a", "listed"),
        "{all:?}"
    );
    assert!(
        all[1].1.contains("403") && all[1].1.contains("not for you"),
        "{all:?}"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(
        server
            .asked()
            .iter()
            .filter(|path| path.ends_with("/bad"))
            .count(),
        1
    );
    let dead = found(&["http://127.0.0.1:1/x.json".into()]).await;
    assert!(dead[0].1.contains("after 4 attempts"), "{dead:?}");
}
