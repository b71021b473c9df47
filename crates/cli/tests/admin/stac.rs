//! `dataset add` of what a STAC API has.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::kit::Kit;

/// An API with one collection, which notes what it is asked.
struct Api {
    base: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Api {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, own) = (Arc::clone(&asked), base.clone());
        // It ends with the process.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                answer(socket, &own, &noted);
            }
        });
        Api { base, asked }
    }

    /// What was asked last.
    fn last(&self) -> Value {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.last().expect("something was asked").clone()
    }
}

/// Reads a request, notes the body of a search, and answers.
fn answer(mut socket: TcpStream, base: &str, asked: &Mutex<Vec<Value>>) {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        let n = socket.read(&mut part).unwrap_or(0);
        bytes.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let found = text.split_once("\r\n\r\n");
        let Some((head, body)) = found.filter(|(head, body)| body.len() >= length(head)) else {
            if n == 0 {
                return;
            }
            continue;
        };
        break (head.to_owned(), body.to_owned());
    };
    let document = if head.starts_with("POST /search ") {
        let wanted = serde_json::from_str(&body).expect("a body in JSON");
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(wanted);
        json!({"type": "FeatureCollection", "features": [item("a"), item("b"), item("c")]})
    } else {
        json!({"type": "Catalog", "stac_version": "1.0.0", "id": "api", "links": [
            {"rel": "search", "href": format!("{base}/search"), "method": "POST"},
        ]})
    };
    let text = document.to_string();
    let _ = write!(
        socket,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
}

fn length(head: &str) -> usize {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    });
    length.unwrap_or(0)
}

/// An item that does not say what its pixels are.
fn item(id: &str) -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": "c",
        "geometry": null, "links": [],
        "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:epsg": 32655},
        "assets": {"red": {
            "href": format!("https://host/{id}.tif"), "type": "image/tiff; application=geotiff",
            "roles": ["data"], "proj:shape": [10, 10],
            "proj:transform": [30, 0, 300_000, 0, -30, 6_000_000],
        }},
    })
}

pub(super) fn an_api_is_asked_for_what_is_wanted(kit: &Kit) {
    kit.ok(&["system", "init"]);
    let api = Api::start();
    let settings = kit.write(
        "stac.yaml",
        "c: {assets: {'*': {data_type: uint8, nodata: 7}}}\n",
    );
    let added = kit.ok(&[
        "dataset",
        "add",
        "--infer-products",
        "--bbox",
        "-10,-20.5,30,40",
        "--datetime",
        "2020-01-01/..",
        "--collections",
        "c,d",
        "--query",
        r#"{"eo:cloud_cover": {"lt": 20}}"#,
        "--limit",
        "2",
        "--stac-cfg",
        &settings,
        &format!("{}/", api.base),
    ]);
    assert_eq!(added, "Added 2 datasets, 0 were there already, 0 failed\n");
    let asked = api.last();
    for (name, expected) in [
        ("bbox", json!([-10.0, -20.5, 30.0, 40.0])),
        ("datetime", json!("2020-01-01/..")),
        ("collections", json!(["c", "d"])),
        ("query", json!({"eo:cloud_cover": {"lt": 20}})),
    ] {
        assert_eq!(asked[name], expected, "{name}: {asked}");
    }
    let product = kit.json(&["product", "show", "-f", "json", "c"]);
    let red = &product["measurements"][0];
    assert_eq!(
        (&red["dtype"], &red["nodata"]),
        (&json!("uint8"), &json!(7))
    );
    // Without, everything is asked for.
    let added = kit.ok(&["dataset", "add", &format!("{}/", api.base)]);
    assert_eq!(added, "Added 1 datasets, 2 were there already, 0 failed\n");
    for name in ["bbox", "datetime", "collections", "query"] {
        assert!(api.last().get(name).is_none(), "{name}");
    }
}

pub(super) fn mistakes_are_explained(kit: &Kit) {
    kit.with_products();
    let url = "https://host.invalid/";
    for (arguments, part) in [
        (["--bbox", "1,2,3"], "four numbers"),
        (["--bbox", "1,2,3,north"], "invalid float"),
        (["--bbox", "1,40,3,4"], "north of its north"),
        (["--query", "[1]"], "an object in JSON"),
        (["--query", "{"], "an object in JSON"),
        (["--limit", "0"], "0 is not in"),
    ] {
        let said = kit.fails(2, &["dataset", "add", arguments[0], arguments[1], url]);
        assert!(said.err.contains(part), "{arguments:?}: {said:?}");
    }
    let said = kit.fails(1, &["dataset", "add", "--bbox", "1,2,3,4", "scenes"]);
    assert!(said.err.contains("--bbox asks a STAC API"), "{said:?}");
    let broken = kit.write("broken.yaml", "c: {assets: {red: {data_type: int12}}}\n");
    let said = kit.fails(1, &["dataset", "add", "--stac-cfg", &broken, "scenes"]);
    assert!(
        said.err.contains("broken.yaml") && said.err.contains("c.assets.red.data_type"),
        "{said:?}"
    );
    let said = kit.fails(
        1,
        &["dataset", "add", "--stac-cfg", "missing.yaml", "scenes"],
    );
    assert!(said.err.contains("missing.yaml"), "{said:?}");
}

/// `fixtures/items.json` as a table, which the example `to_parquet` of crates/stac-geoparquet made.
const TABLE: &[u8] = include_bytes!("../fixtures/items.parquet");

pub(super) fn tables_are_read_or_explained(kit: &Kit) {
    kit.ok(&["system", "init"]);
    std::fs::write(kit.path("items.parquet"), TABLE).expect("written");
    let settings = kit.write(
        "stac.yaml",
        "c: {assets: {'*': {data_type: uint8, nodata: 7}}}\n",
    );
    let add = [
        "dataset",
        "add",
        "--infer-products",
        "--stac-cfg",
        &settings,
    ];
    let table = kit.path("items.parquet");
    let of_table = [&add[..], &[table.as_str()]].concat();
    if cfg!(feature = "stac-geoparquet") {
        let added = kit.ok(&of_table);
        assert_eq!(added, "Added 2 datasets, 0 were there already, 0 failed\n");
        let broken = kit.write("broken.parquet", "not a table");
        let said = kit.fails(1, &["dataset", "add", &broken]);
        assert!(said.err.contains("broken.parquet"), "{said:?}");
    } else {
        let said = kit.fails(1, &of_table);
        for part in ["items.parquet", "the cargo feature `stac-geoparquet`"] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
        assert_eq!(kit.n_active(), 0);
    }
}
