//! Many small datasets, and whether an index has them whole.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use datacube::Datacube;
use datacube::index::Query;
use datacube::model::{Dataset, LineageDirection};
use datacube_testkit::Cluster;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use crate::kit::{Kit, Said};

/// What holds of every SQLite file, whatever was done to it.
const SOUND: [(&str, &str); 4] = [
    ("PRAGMA integrity_check", "ok"),
    ("SELECT count(*) || '' FROM pragma_foreign_key_check", "0"),
    ("SELECT rtreecheck('footprint_box')", "ok"),
    // Every dataset has all of its rows, and no row is of none.
    (
        "SELECT (SELECT count(*) FROM dataset AS d WHERE \
           NOT EXISTS (SELECT 1 FROM document WHERE dataset = d.key) OR \
           NOT EXISTS (SELECT 1 FROM location WHERE dataset = d.key) OR \
           NOT EXISTS (SELECT 1 FROM footprint_box WHERE key = 2 * d.key) OR \
           NOT EXISTS (SELECT 1 FROM search_text WHERE dataset = d.key)) \
         || ' ' || (SELECT count(*) FROM document WHERE dataset NOT IN (SELECT key FROM dataset)) \
         || ' ' || (SELECT count(*) FROM location WHERE dataset NOT IN (SELECT key FROM dataset)) \
         || ' ' || (SELECT count(*) FROM footprint_box \
                    WHERE key / 2 NOT IN (SELECT key FROM dataset)) \
         || ' ' || (SELECT count(*) FROM search_text \
                    WHERE dataset NOT IN (SELECT key FROM dataset)) \
         || ' ' || (SELECT count(*) FROM search_range \
                    WHERE dataset NOT IN (SELECT key FROM dataset))",
        "0 0 0 0 0 0",
    ),
];

/// Documents, and an index with their product.
pub(crate) struct Archive {
    pub(crate) kit: Kit,
    pub(crate) documents: Vec<Value>,
    /// All of them, one a line.
    pub(crate) file: String,
}

/// The id of the dataset of that number.
pub(crate) fn id(n: usize) -> Uuid {
    Uuid::from_u128(0x1000 + n as u128)
}

/// The document of that number; each tenth is made from the one before it.
pub(crate) fn document(n: usize) -> Value {
    let minute = |n: usize| {
        let (days, minute) = (n / 1440, n % 1440);
        format!(
            "2020-01-{:02}T{:02}:{:02}:00Z",
            days + 1,
            minute / 60,
            minute % 60
        )
    };
    let top = 6_100_005 - 1200 * i64::try_from(n % 50).expect("small");
    let lineage = match n % 10 {
        9 => json!({"before": [id(n - 1)]}),
        _ => json!({}),
    };
    json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": id(n),
        "label": format!("scene {n}"),
        "product": {"name": "tiny"},
        "crs": "EPSG:32655",
        "grids": {"default": {"shape": [40, 50], "transform": [30, 0, 600_015, 0, -30, top, 0, 0, 1]}},
        "measurements": {"red": {"path": "red.tif"}, "qa": {"path": "qa.tif"}},
        "properties": {
            "datetime": minute(n),
            "eo:platform": "landsat-8",
            "eo:cloud_cover": n % 100,
            "odc:region_code": format!("{:06}", n % 50),
            "odc:processing_datetime": "2020-06-01T00:00:00Z",
            "odc:file_format": "GeoTIFF",
        },
        "lineage": lineage,
    })
}

impl Archive {
    /// `n` documents and an index that has none of them yet.
    pub(crate) fn new(kit: Kit, n: usize) -> Self {
        kit.with_products();
        let documents: Vec<Value> = (0..n).map(document).collect();
        let mut lines = String::new();
        for document in &documents {
            writeln!(lines, "{document}").expect("memory is enough");
        }
        let file = kit.write("scenes.jsonl", &lines);
        Archive {
            kit,
            documents,
            file,
        }
    }

    /// Adds all that is missing; how many those were.
    pub(crate) fn complete(&self) -> usize {
        let said = self.kit.run(&["dataset", "add", &self.file]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{said:?}");
        let [added, there, failed] = tally(&said);
        assert_eq!(
            (added + there, failed),
            (self.documents.len(), 0),
            "{said:?}"
        );
        added
    }

    /// Checks that every dataset is whole or absent; tells how many there are.
    pub(crate) fn check_whole(&self, cluster: Option<&Cluster>) -> usize {
        match cluster {
            Some(cluster) => check_database(cluster, &self.kit),
            None => check_file(&self.kit),
        }
        let dc = Datacube::open_url(&self.kit.url).expect("it opens");
        let ids: Vec<Uuid> = (0..self.documents.len()).map(id).collect();
        let there: HashMap<Uuid, Dataset> = dc
            .datasets(&ids)
            .expect("read")
            .into_iter()
            .flatten()
            .map(|dataset| (dataset.id(), dataset))
            .collect();
        let present: BTreeSet<Uuid> = there.keys().copied().collect();
        for (n, document) in self.documents.iter().enumerate() {
            let Some(dataset) = there.get(&id(n)) else {
                continue;
            };
            assert_eq!(dataset.document(), document);
            let places: Vec<&str> = dataset.locations().iter().map(|l| l.uri.as_str()).collect();
            let part = match self.documents.len() {
                1 => self.kit.uri("scenes.jsonl"),
                _ => format!("{}#part={n}", self.kit.uri("scenes.jsonl")),
            };
            assert_eq!(places, [part]);
        }
        // By product, text, number, time and area: always the same ones.
        for expression in [
            "product = tiny",
            "platform = landsat-8",
            "cloud_cover in [0, 100]",
            "time in 2020-01",
            "lon in [147, 149] lat in [54, 56]",
        ] {
            let query = dc.parse_query(expression).expect("an expression");
            assert_eq!(found(&dc, &query), present, "{expression}");
            assert_eq!(dc.count(&query).expect("counted"), present.len() as u64);
        }
        for region in ["000000", "000049"] {
            let query = dc
                .parse_query(&format!("region_code = \"{region}\""))
                .expect("an expression");
            let expected =
                |n: &usize| format!("{:06}", n % 50) == region && present.contains(&id(*n));
            let expected = (0..self.documents.len()).filter(expected).map(id).collect();
            assert_eq!(found(&dc, &query), expected, "{region}");
        }
        let stored = dc
            .lineage(&ids, LineageDirection::Sources, Some(1))
            .expect("read");
        let stored: BTreeSet<(Uuid, Uuid)> = stored
            .iter()
            .map(|relation| (relation.derived, relation.source))
            .collect();
        let expected = (0..self.documents.len())
            .filter(|n| n % 10 == 9 && present.contains(&id(*n)))
            .map(|n| (id(n), id(n - 1)))
            .collect();
        assert_eq!(
            stored, expected,
            "relations of what is there, and no others"
        );
        present.len()
    }
}

fn found(dc: &Datacube, query: &Query) -> BTreeSet<Uuid> {
    let mut ids = BTreeSet::new();
    dc.search_each(query.clone(), |dataset| {
        assert!(ids.insert(dataset.id()), "{dataset} comes twice");
        Ok::<_, Box<datacube::Error>>(())
    })
    .expect("read");
    ids
}

/// The numbers of `Added 1 datasets, 2 were there already, 3 failed`.
pub(crate) fn tally(said: &Said) -> [usize; 3] {
    let numbers: Vec<usize> = said
        .out
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("no tally in {said:?}"))
}

/// The path of an embedded index.
pub(crate) fn path(kit: &Kit) -> &str {
    kit.url.strip_prefix("sqlite:").expect("an embedded index")
}

pub(crate) fn check_file(kit: &Kit) {
    let url = format!("sqlite://{}", path(kit));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url)
            .await
            .expect("SQLite opens it");
        for (statement, expected) in SOUND {
            let answer: String = sqlx::query_scalar(statement)
                .fetch_one(&mut connection)
                .await
                .expect("it reads");
            assert_eq!(answer, expected, "{statement}");
        }
        connection.close().await.expect("it closes");
    });
}

/// The name of the kit's database.
pub(crate) fn database(kit: &Kit) -> &str {
    let rest = kit
        .url
        .strip_prefix("postgresql:///")
        .expect("on the socket");
    rest.split('?').next().unwrap_or(rest)
}

pub(crate) fn check_database(cluster: &Cluster, kit: &Kit) {
    // Every dataset has a row in each table, and no row is of none.
    let mut text = String::from("SELECT ''");
    for (table, column) in [
        ("odc.dataset_search_string", "dataset_ref"),
        ("odc.dataset_search_num", "dataset_ref"),
        ("odc.dataset_search_datetime", "dataset_ref"),
        ("odc.spatial_4326", "dataset_ref"),
        ("datacube.dataset", "id"),
    ] {
        write!(
            text,
            " || (SELECT count(*) FROM odc.dataset AS d WHERE NOT EXISTS \
                  (SELECT FROM {table} AS t WHERE t.{column} = d.id)) \
              || (SELECT count(*) FROM {table} AS t WHERE NOT EXISTS \
                  (SELECT FROM odc.dataset AS d WHERE d.id = t.{column}))"
        )
        .expect("memory is enough");
    }
    assert_eq!(cluster.sql(database(kit), &text), "0000000000");
}
