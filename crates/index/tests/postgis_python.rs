//! One database, two programs: Python's datacube 1.9.22 and this one, each on
//! what the other made, through `tests/interop/index_postgis.py`.

use std::collections::BTreeSet;
use std::sync::Arc;

use datacube_geo::{Crs, Geometry};
use datacube_index::{
    AddOptions, AddOutcome, ArchivedFilter, Error, FieldTest, Index, IndexExt, InitOptions,
    InitOutcome, Query, open, open_or_init,
};
use datacube_model::{Dataset, LineageDirection, MetadataType, Product};
use datacube_testkit::Cluster;
use geo_types::Rect;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

const SCRIPT: &str = "index_postgis.py";
const MODULES: [&str; 3] = ["datacube", "psycopg2", "rasterio"];

/// Runs the script; `None` where there is no such Python.
fn python(args: &[&str]) -> Option<Value> {
    let mut command = datacube_testkit::python(SCRIPT, &MODULES)?;
    let output = command.args(args).output().expect("Python can be run");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// The address as SQLAlchemy takes it.
fn for_python(cluster: &Cluster, database: &str) -> String {
    format!(
        "postgresql+psycopg2://postgres@/{database}?host={}",
        cluster.socket().display()
    )
}

struct Scenes {
    folder: TempDir,
    documents: Vec<Value>,
    product: Value,
}

/// What Python makes of rasters and documents; `None` where there is no Python.
fn scenes() -> Option<Scenes> {
    let folder = tempfile::tempdir().expect("a folder");
    python(&["scenes", path(&folder)])?;
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("it was written");
        serde_json::from_str(&text).expect("it is JSON")
    };
    let documents = (0..3).map(|n| read(&format!("scene_{n}.json"))).collect();
    let product = read("product.json");
    Some(Scenes {
        folder,
        documents,
        product,
    })
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().expect("a plain path")
}

impl Scenes {
    fn product(&self) -> Arc<Product> {
        let product = Product::from_document(self.product.clone(), &MetadataType::eo3());
        Arc::new(product.expect("a right product"))
    }

    fn datasets(&self) -> Vec<Dataset> {
        let product = self.product();
        let dataset = |document: &Value| {
            let label = document["label"].as_str().expect("it has one");
            let uri = format!("file://{}/{label}.json", path(&self.folder));
            Dataset::from_document(document.clone(), Arc::clone(&product), [uri.as_str()])
                .expect("a right document")
        };
        self.documents.iter().map(dataset).collect()
    }

    fn id(&self, n: usize) -> Uuid {
        let id = self.documents[n]["id"].as_str().expect("it has one");
        id.parse().expect("a UUID")
    }
}

async fn add(index: &dyn Index, scenes: &Scenes) {
    index.add_product(&scenes.product()).await.expect("added");
    let outcomes = index
        .add_datasets(scenes.datasets(), &AddOptions::default())
        .await
        .expect("written");
    assert!(outcomes.iter().all(AddOutcome::is_added), "{outcomes:?}");
}

fn sorted(ids: &[Uuid]) -> Value {
    let ids: BTreeSet<String> = ids.iter().map(Uuid::to_string).collect();
    json!(ids)
}

async fn found(index: &dyn Index, query: Query) -> Vec<Uuid> {
    let found = index.find(&query.product("shared")).await.expect("read");
    assert_eq!(
        index
            .count(&Query::new().product("shared"))
            .await
            .expect("counted"),
        3
    );
    found.iter().map(Dataset::id).collect()
}

fn within(west: f64, south: f64, east: f64, north: f64) -> Query {
    let area = Rect::new((west, south), (east, north)).to_polygon();
    Query::new().geometry(Geometry::new(area, Some(Crs::wgs84())).expect("finite"))
}

/// What both find in three scenes, and what Python says about them.
async fn both_find_the_same(index: &dyn Index, scenes: &Scenes, told: &Value) {
    let [a, b, c] = [scenes.id(0), scenes.id(1), scenes.id(2)];
    assert_eq!(told["all"], sorted(&[a, b, c]));
    assert_eq!(told["product"], scenes.product);
    for (name, query, expected) in [
        (
            "january",
            Query::new().time("2020-01".parse().expect("a month")),
            vec![a],
        ),
        (
            "during",
            Query::new().time("2020-02-11".parse().expect("a day")),
            vec![b],
        ),
        ("here", within(143.8, 54.9, 144.0, 55.1), vec![a, b]),
        (
            "east_of_fiji",
            within(-180.0, -19.0, -179.99, -17.0),
            vec![c],
        ),
        (
            "region",
            Query::new().field("region_code", "090084"),
            vec![a],
        ),
    ] {
        assert_eq!(told[name], sorted(&expected), "Python: {name}");
        assert_eq!(found(index, query).await, expected, "{name}");
    }
    let cloudy = Query::new().field("cloud_cover", FieldTest::between(0, 20));
    assert_eq!(found(index, cloudy).await, [a, c]);
    let fields = told["fields"].as_array().expect("a list");
    assert_eq!(fields.len(), 3, "none is left out for a missing value");
    assert_eq!(fields[1]["region_code"], Value::Null);
    assert_eq!(told["loaded"]["red"], 719_400);
    assert_eq!(told["loaded"]["nir"], 1_438_800);
    let lineage = index
        .lineage(&[c], LineageDirection::Sources, None)
        .await
        .expect("read");
    let lineage: Vec<Value> = lineage
        .iter()
        .map(|r| json!([r.derived.to_string(), r.classifier, r.source.to_string()]))
        .collect();
    assert_eq!(told["lineage"], json!(lineage));
    for (n, id) in [a, b, c].into_iter().enumerate() {
        let dataset = index.dataset(id).await.expect("it is there");
        assert_eq!(*dataset.document(), scenes.documents[n]);
        let stored = &told["documents"][id.to_string()];
        for (key, value) in scenes.documents[n].as_object().expect("an object") {
            assert_eq!(stored[key], *value, "{key}");
        }
    }
}

#[tokio::test]
async fn python_works_on_what_this_program_made() {
    let Some(scenes) = scenes() else { return };
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open_or_init(&url).await.expect("a new index");
    add(&*index, &scenes).await;
    let pythons = for_python(&cluster, "test_0");
    let told = python(&["read", &pythons]).expect("it was there before");
    assert_eq!(told["metadata_types"], json!(["eo3"]));
    both_find_the_same(&*index, &scenes, &told).await;
    // It says the same of where they lie as Python does of its own.
    let made = cluster.database();
    python(&[
        "make",
        &for_python(&cluster, "test_1"),
        path(&scenes.folder),
    ]);
    let of_its_own = python(&["read", &for_python(&cluster, "test_1")]).expect("read");
    for (id, extent) in of_its_own["extent"].as_object().expect("an object") {
        let numbers = |value: &Value| -> Vec<f64> {
            let ends = value.as_array().expect("four numbers").iter();
            ends.map(|end| end.as_f64().expect("a number")).collect()
        };
        // West, east, south, north. Python draws curved edges with few points, so
        // that ours may reach a little further, never less far.
        let [theirs, ours] = [numbers(extent), numbers(&told["extent"][id])];
        for (side, outward) in [-1.0, 1.0, -1.0, 1.0].into_iter().enumerate() {
            let further = outward * (ours[side] - theirs[side]);
            assert!(
                (-1e-6..1e-3).contains(&further),
                "{id}: {ours:?}, Python's {theirs:?}"
            );
        }
    }
    assert_eq!(rows(&cluster, "test_0"), rows(&cluster, "test_1"));
    drop(made);
    changes_are_seen(&*index, &cluster, "test_0", &scenes).await;
}

/// The rows of all search tables but for those that hold degrees, which are
/// compared above.
fn rows(cluster: &Cluster, database: &str) -> String {
    cluster.sql(
        database,
        "SELECT dataset_ref, search_key, search_val FROM odc.dataset_search_string ORDER BY 1, 2; \
         SELECT dataset_ref, search_key, search_val FROM odc.dataset_search_datetime \
             ORDER BY 1, 2; \
         SELECT dataset_ref, search_key, trim_scale(lower(search_val)), \
             trim_scale(upper(search_val)), lower_inc(search_val), upper_inc(search_val) \
             FROM odc.dataset_search_num \
             WHERE search_key NOT IN ('lat', 'lon') ORDER BY 1, 2; \
         SELECT dataset_ref, search_key FROM odc.dataset_search_num ORDER BY 1, 2; \
         SELECT * FROM odc.dataset_lineage ORDER BY 1, 2; \
         SELECT id, uri_scheme, uri_body, metadata - 'extent' FROM odc.dataset ORDER BY 1; \
         SELECT s.dataset_ref, ST_NumGeometries(s.extent) FROM odc.spatial_4326 AS s ORDER BY 1; \
         SELECT name, metadata, definition FROM odc.product ORDER BY 1",
    )
}

/// Python updates one, archives one and adds one; an index that is open sees it.
async fn changes_are_seen(index: &dyn Index, cluster: &Cluster, database: &str, scenes: &Scenes) {
    let pythons = for_python(cluster, database);
    let made = python(&["change", &pythons, path(&scenes.folder)]).expect("it was there before");
    let new: Uuid = made["new"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a UUID");
    let [a, b, c] = [scenes.id(0), scenes.id(1), scenes.id(2)];
    assert_eq!(found(index, Query::new()).await, [a, new, c]);
    let all = Query::new().archived(ArchivedFilter::Any);
    assert_eq!(found(index, all).await, [a, new, b, c]);
    let updated = index.dataset(a).await.expect("it is there");
    assert_eq!(updated.document()["properties"]["eo:sun_elevation"], 47.5);
    let added = index.dataset(new).await.expect("it is there");
    assert_eq!(*added.document(), made["document"]);
    assert_eq!(
        found(index, within(143.93, 54.9, 144.0, 55.1)).await,
        [new],
        "where it lies comes from its document"
    );
    let region = Query::new().field("region_code", "090085");
    assert_eq!(found(index, region).await, [new]);
    // The same document again is known, whoever wrote it.
    let dataset = Dataset::from_document(
        made["document"].clone(),
        index.product("shared").await.expect("it is there"),
        ["file:///elsewhere.json"],
    );
    let again = index
        .add_datasets(
            vec![dataset.expect("a right document")],
            &AddOptions::default(),
        )
        .await
        .expect("written");
    assert!(matches!(again[0], AddOutcome::AlreadyThere), "{again:?}");
    index.restore(&[b]).await.expect("written");
    let told = python(&["read", &pythons]).expect("it was there before");
    assert_eq!(told["all"], sorted(&[a, b, c, new]));
    assert_eq!(told["archived"], json!([]));
    index
        .archive(&[b], "2024-01-01T00:00:00Z".parse().expect("a time"))
        .await
        .expect("written");
}

#[tokio::test]
async fn this_program_works_on_what_python_made() {
    let Some(scenes) = scenes() else { return };
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let pythons = for_python(&cluster, "test_0");
    python(&["make", &pythons, path(&scenes.folder)]);
    let told = python(&["read", &pythons]).expect("it was there before");
    // As it is, changing nothing.
    let reader = open(&format!("{url}&mode=ro")).await.expect("opened");
    both_find_the_same(&*reader, &scenes, &told).await;
    let index = open(&url).await.expect("opened");
    both_find_the_same(&*index, &scenes, &told).await;
    assert_eq!(
        cluster.sql(
            "test_0",
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'datacube'"
        ),
        "0"
    );
    let when = "2024-01-01T00:00:00Z".parse().expect("a time");
    let archived = reader.archive(&[scenes.id(0)], when).await;
    let error = archived.expect_err("it is read-only");
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    // A write brings what this program needs; the same documents are known.
    let outcomes = index
        .add_datasets(scenes.datasets(), &AddOptions::default())
        .await
        .expect("written");
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, AddOutcome::AlreadyThere)),
        "{outcomes:?}"
    );
    both_find_the_same(&*index, &scenes, &told).await;
    both_find_the_same(&*reader, &scenes, &told).await;
    let outcome = index.init(&InitOptions::default()).await.expect("made");
    assert_eq!(outcome, InitOutcome::Unchanged);
    changes_are_seen(&*index, &cluster, "test_0", &scenes).await;
}

#[tokio::test]
async fn both_make_the_same_schema() {
    let Some(scenes) = scenes() else { return };
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let options = InitOptions::default().users(false);
    open(&url)
        .await
        .expect("opened")
        .init(&options)
        .await
        .expect("made");
    cluster.database();
    python(&[
        "make",
        &for_python(&cluster, "test_1"),
        path(&scenes.folder),
    ]);
    let ours = objects(&cluster.dump("test_0", "odc"));
    let theirs = objects(&cluster.dump("test_1", "odc"));
    let (own, shared): (BTreeSet<String>, BTreeSet<String>) = ours
        .into_iter()
        .partition(|object| object.contains("datacube_") || object.contains("datacube."));
    assert_eq!(shared, theirs);
    assert!(theirs.len() > 60, "{} objects", theirs.len());
    assert!(
        own.iter()
            .all(|object| object.starts_with("CREATE TRIGGER datacube_")
                || object.starts_with("CREATE INDEX datacube_")),
        "{own:#?}"
    );
    let revision = "SELECT version_num FROM odc.alembic_version";
    assert_eq!(
        cluster.sql("test_0", revision),
        cluster.sql("test_1", revision)
    );
}

/// The statements of a dump.
fn objects(dump: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = dump
        .lines()
        .filter(|line| !line.starts_with("--") && !line.starts_with('\\'))
        .collect();
    let mut objects = BTreeSet::new();
    for block in lines.join("\n").split("\n\n\n") {
        let block = block.trim();
        if !block.is_empty() && !block.starts_with("SET ") {
            objects.insert(block.to_owned());
        }
    }
    objects
}
