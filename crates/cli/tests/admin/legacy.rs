//! A deployment as it is: ODC's own configuration file, the legacy driver.

use datacube_testkit::Cluster;

use super::kit::{Kit, Said, said};

/// The legacy schema with some rows, as Python's datacube 1.9.22 makes it.
const FIXTURE: &str = include_str!("../../../index/tests/fixtures/agdc.sql");

/// Of a dataset in the layout before EO3, which is not read.
const OLD: &str = "00000000-0000-0000-0000-000000000005";

/// A scene that the product `shared` would take.
const NEW: &str = r#"
$schema: https://schemas.opendatacube.org/dataset
id: 00000000-0000-4000-8000-000000000001
label: new
product: {name: shared}
crs: EPSG:32655
grids:
  default: {shape: [40, 50], transform: [30, 0, 600015, 0, -30, 6100005, 0, 0, 1]}
measurements: {red: {path: red.tif}, nir: {path: nir.tif}}
properties: {datetime: 2020-03-01T10:00:00Z, odc:file_format: GeoTIFF}
"#;

/// A legacy index, and a folder with a configuration that names it.
struct Deployment {
    kit: Kit,
}

impl Deployment {
    fn new(cluster: &Cluster) -> Self {
        let kit = Kit::sqlite();
        let url = cluster.database();
        let database = url.trim_start_matches("postgresql:///");
        let database = database.split('?').next().expect("a name");
        cluster.sql(
            database,
            "CREATE ROLE agdc_user; CREATE ROLE agdc_ingest; CREATE ROLE agdc_manage; \
             CREATE ROLE agdc_admin",
        );
        cluster.sql(database, FIXTURE);
        kit.write(
            "datacube.conf",
            &format!(
                "[default]\nindex_driver: postgres\ndb_url: {url}\n\n\
                 [wrong]\nindex_driver: postgis\ndb_url: {url}\n\n\
                 [copy]\ndb_url: {}\n",
                kit.url
            ),
        );
        Deployment { kit }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = self.kit.command().args(arguments).output();
        said(&output.expect("the binary runs"))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.status, 0, "datacube {arguments:?}: {said:?}");
        said.out
    }

    fn fails(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.status, 1, "datacube {arguments:?}: {said:?}");
        said
    }
}

#[test]
fn a_legacy_index_is_read_and_cloned() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let legacy = Deployment::new(&cluster);
    let check = legacy.ok(&["system", "check"]);
    for line in [
        "Index Driver:         agdc",
        "Products:             3",
        "Datasets:             8",
        "Writable:             no",
        "Valid connection:\tYES",
    ] {
        assert!(check.lines().any(|found| found == line), "{line}: {check}");
    }
    let products = legacy.ok(&["product", "list"]);
    for name in ["old", "other", "shared"] {
        let named = |line: &str| line.split_whitespace().next() == Some(name);
        assert!(products.lines().any(named), "{name}: {products}");
    }
    let search = [
        "dataset",
        "search",
        "--fields",
        "id,uri,region_code",
        "-f",
        "csv",
    ];
    let of_a_region = [&search[..], &["product = shared", "region_code = 090084"]].concat();
    let rows = legacy.ok(&of_a_region);
    assert_eq!(
        rows,
        "id,uri,region_code\n\
         aa420c7f-33a8-578d-865d-f14869062ae6,https://host/scene_0.json,090084\n"
    );
    let in_january = [
        "dataset",
        "count",
        "--count-only",
        "--query",
        "time in 2020-01",
    ];
    assert_eq!(legacy.ok(&in_january), "3\n");
    let info = ["dataset", "info", "--show-sources", "-f", "json"];
    let info = [&info[..], &["0a3718a6-c66e-5f3b-bfe8-075516ed8d7a"]].concat();
    let info: serde_json::Value = serde_json::from_str(&legacy.ok(&info)).expect("JSON");
    assert_eq!(
        info[0]["sources"]["ard1"]["id"],
        "aa420c7f-33a8-578d-865d-f14869062ae6"
    );
    // What is not read is told.
    let said = legacy.fails(&["dataset", "search", "product = old"]);
    assert!(
        said.err.contains(OLD) && said.err.contains("before EO3"),
        "{said:?}"
    );

    let document = legacy.kit.write("new/odc-metadata.yaml", NEW);
    for arguments in [
        &["system", "init"][..],
        &[
            "product",
            "add",
            &legacy.kit.write("tiny.yaml", super::kit::TINY),
        ],
        &["dataset", "archive", "aa420c7f-33a8-578d-865d-f14869062ae6"],
        &["dataset", "add", &document],
        &["user", "create", "user", "ann"],
        &["spindex", "create", "3577"],
        &["product", "delete", "--yes", "--force", "shared"],
        &["system", "clear", "--yes"],
    ] {
        let said = legacy.fails(arguments);
        for part in ["read-only", "legacy schema `agdc`", "system clone"] {
            assert!(said.err.contains(part), "{arguments:?}: {said:?}");
        }
    }
    assert!(
        legacy
            .ok(&["system", "check"])
            .contains("Datasets:             8")
    );

    let said = legacy.fails(&["-E", "wrong", "product", "list"]);
    assert!(said.err.contains("index_driver: postgres"), "{said:?}");

    legacy.ok(&["-E", "copy", "system", "init"]);
    let said = legacy.fails(&["-E", "copy", "system", "clone", "--archived", "default"]);
    assert!(said.out.contains("Cloned 3 products"), "{said:?}");
    assert!(said.out.contains("Cloned 7 datasets"), "{said:?}");
    assert!(said.out.contains("Cloned 3 lineage relations"), "{said:?}");
    assert!(
        said.err.contains(OLD) && said.err.contains("before EO3"),
        "{said:?}"
    );
    let copied = [&["-E", "copy"][..], &of_a_region].concat();
    assert_eq!(legacy.ok(&copied), rows);
}
