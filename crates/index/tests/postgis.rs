//! The PostGIS index keeps the contract, on a server of the test's own.

use std::sync::Arc;

use datacube_geo::Crs;
use datacube_index::testing::{self, Scene, product};
use datacube_index::{
    AddOptions, AddOutcome, ArchivedFilter, Error, Index, IndexExt, InitOptions, InitOutcome,
    PurgeOptions, Query, open, open_or_init,
};
use datacube_model::Dataset;
use datacube_testkit::Cluster;
use futures::StreamExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    testing::run_all(|| {
        let url = cluster.database();
        async move {
            let index: Arc<dyn Index> = open_or_init(&url).await.expect("a new index");
            index
        }
    })
    .await;
}

fn database_of(url: &str) -> &str {
    let rest = url.trim_start_matches("postgresql:///");
    rest.split('?').next().expect("split gives at least one")
}

fn scenes(n: u64) -> Vec<Dataset> {
    let given = product("ls");
    (0..n)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect()
}

async fn fill(index: &dyn Index, datasets: Vec<Dataset>) {
    index
        .add_product(datasets[0].product())
        .await
        .expect("added");
    let outcomes = index
        .add_datasets(datasets, &AddOptions::default())
        .await
        .expect("written");
    assert!(outcomes.iter().all(AddOutcome::is_added), "{outcomes:?}");
}

#[tokio::test]
async fn nothing_is_there_before_init_and_after_clear() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open(&url).await.expect("an address is enough");
    for error in [
        index.products().await.expect_err("nothing is there"),
        index.check().await.expect_err("nothing is there"),
        index.count(&Query::new()).await.expect_err("nothing"),
        index.find(&Query::new()).await.expect_err("nothing"),
        index
            .add_datasets(scenes(1), &AddOptions::default())
            .await
            .expect_err("nothing is there"),
    ] {
        assert!(matches!(error, Error::NotInitialised { .. }), "{error}");
        assert!(error.to_string().contains("system init"), "{error}");
    }
    let options = InitOptions::default();
    assert_eq!(
        index.init(&options).await.expect("made"),
        InitOutcome::Created
    );
    assert_eq!(
        index.init(&options).await.expect("made"),
        InitOutcome::Unchanged
    );
    fill(&*index, scenes(10)).await;
    let other = open(&url).await.expect("opened");
    assert_eq!(other.count(&Query::new()).await.expect("counted"), 10);
    index.clear().await.expect("cleared");
    for index in [&index, &other] {
        let error = index.count(&Query::new()).await.expect_err("it is gone");
        assert!(matches!(error, Error::NotInitialised { .. }), "{error}");
    }
    assert_eq!(
        index.init(&options).await.expect("made"),
        InitOutcome::Created
    );
    assert_eq!(other.count(&Query::new()).await.expect("counted"), 0);
    let nowhere = cluster.url("nobody", "postgres");
    let error = open(&nowhere).await.expect_err("no such database");
    let text = error.to_string();
    assert!(
        text.contains("connect") && text.contains("nobody"),
        "{text}"
    );
}

#[tokio::test]
async fn roles_are_honoured() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open_or_init(&url).await.expect("a new index");
    for (role, name) in [("user", "ursula"), ("manage", "mo"), ("admin", "ada l.")] {
        index
            .create_user(role, name, "it's a \"secret\"", Some("one of us"))
            .await
            .expect("made");
    }
    let listed = index.users().await.expect("listed");
    let shown: Vec<(&str, &str)> = listed
        .iter()
        .map(|user| (user.role.as_str(), user.name.as_str()))
        .collect();
    assert_eq!(
        shown,
        [("user", "ursula"), ("manage", "mo"), ("admin", "ada l.")]
    );
    assert_eq!(listed[0].description.as_deref(), Some("one of us"));
    let as_user = |name: &str| cluster.url(database_of(&url), &name.replace(' ', "%20"));
    let datasets = scenes(20);
    let ids: Vec<_> = datasets.iter().map(Dataset::id).collect();

    let manager = open(&as_user("mo")).await.expect("opened");
    fill(&*manager, datasets).await;
    let reader = open(&as_user("ursula")).await.expect("opened");
    let everybody: [&dyn Index; 3] = [&*index, &*manager, &*reader];
    for index in everybody {
        assert_eq!(index.find(&Query::new()).await.expect("read").len(), 20);
    }
    assert!(manager.check().await.expect("it can be used").writable);
    assert!(!reader.check().await.expect("it can be used").writable);

    // A user cannot write, a manager cannot remove.
    let more = vec![Scene::of_archive(&product("ls"), 77).dataset()];
    let refused = [
        reader
            .add_datasets(more.clone(), &AddOptions::default())
            .await
            .expect_err("a reader"),
        reader
            .add_product(&product("s2"))
            .await
            .expect_err("a reader"),
        reader.clear().await.expect_err("a reader"),
        reader
            .create_spatial_index(&crs("EPSG:3577"))
            .await
            .expect_err("a reader"),
        reader
            .create_user("user", "x", "y", None)
            .await
            .expect_err("a reader"),
        manager.clear().await.expect_err("a manager"),
        manager
            .purge(&ids, &PurgeOptions::default().with_active(true))
            .await
            .expect_err("a manager"),
        manager
            .create_user("user", "x", "y", None)
            .await
            .expect_err("a manager"),
        manager
            .grant("admin", &["mo".to_owned()])
            .await
            .expect_err("a manager"),
    ];
    for error in refused {
        assert!(matches!(error, Error::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains("user grant"), "{error}");
    }
    assert_eq!(reader.count(&Query::new()).await.expect("counted"), 20);

    let admin = open(&as_user("ada l.")).await.expect("opened");
    assert!(
        admin
            .create_spatial_index(&crs("EPSG:3577"))
            .await
            .expect("made")
    );
    let n = admin
        .update_spatial_index(&[], &["ls".to_owned()], &[])
        .await
        .expect("filled");
    assert_eq!(n, 20);
    manager
        .add_datasets(more, &AddOptions::default())
        .await
        .expect("a manager may add to a new spatial index");
    let indexed = "SELECT count(*) FROM odc.spatial_3577";
    assert_eq!(cluster.sql(database_of(&url), indexed), "21");
    let report = admin
        .purge(&ids[..3], &PurgeOptions::default().with_active(true))
        .await
        .expect("an admin may");
    assert_eq!(report.purged, ids[..3]);
    index
        .grant("user", &["mo".to_owned()])
        .await
        .expect("granted");
    let error = manager
        .add_datasets(scenes(1), &AddOptions::default())
        .await
        .expect_err("no manager any more");
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    index
        .delete_users(&["mo".to_owned(), "ursula".to_owned()])
        .await
        .expect("deleted");
    let error = index.grant("user", &["mo".to_owned()]).await;
    let error = error.expect_err("gone").to_string();
    assert!(
        error.contains("no user `mo`") && error.contains("ada l."),
        "{error}"
    );
    let error = index.create_user("boss", "x", "y", None).await;
    assert!(
        error
            .expect_err("no such role")
            .to_string()
            .contains("manage")
    );
    admin.clear().await.expect("an admin may");
}

fn crs(text: &str) -> Crs {
    Crs::parse(text).expect("a CRS")
}

#[tokio::test]
async fn spatial_indexes_come_and_go() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open_or_init(&url).await.expect("a new index");
    fill(&*index, scenes(30)).await;
    let lonlat = Crs::wgs84();
    let albers = crs("EPSG:3577");
    let there = index.spatial_indexes().await.expect("read");
    assert_eq!(there, std::slice::from_ref(&lonlat));
    assert!(index.create_spatial_index(&albers).await.expect("made"));
    assert!(!index.create_spatial_index(&albers).await.expect("there"));
    let there = index.spatial_indexes().await.expect("read");
    assert_eq!(there, [albers.clone(), lonlat.clone()]);
    let count = |srid: i32| {
        let text = format!(
            "SELECT count(*) FROM odc.spatial_{srid} WHERE ST_IsValid(extent) AND NOT ST_IsEmpty(extent)"
        );
        cluster.sql(database_of(&url), &text)
    };
    assert_eq!((count(4326).as_str(), count(3577).as_str()), ("30", "0"));
    let some = [Scene::of_archive(&product("ls"), 3).id()];
    let n = index
        .update_spatial_index(std::slice::from_ref(&albers), &[], &some)
        .await;
    assert_eq!(n.expect("filled"), 1);
    let n = index
        .update_spatial_index(std::slice::from_ref(&albers), &[], &[])
        .await;
    assert_eq!(n.expect("filled"), 30);
    assert_eq!(count(3577), "30");
    assert!(index.drop_spatial_index(&albers).await.expect("dropped"));
    assert!(!index.drop_spatial_index(&albers).await.expect("gone"));
    assert!(index.drop_spatial_index(&lonlat).await.is_err());
    let error = index.update_spatial_index(&[albers], &[], &[]).await;
    assert!(
        error
            .expect_err("not there")
            .to_string()
            .contains("spindex create")
    );
    assert!(
        index
            .create_spatial_index(&crs("ESRI:54009"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_goes_on_after_the_server_was_restarted() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let index = open_or_init(&cluster.database())
        .await
        .expect("a new index");
    fill(&*index, scenes(1500)).await;
    let mut stream = index.search(&Query::new());
    let mut seen = Vec::new();
    while let Some(dataset) = stream.next().await {
        seen.push(dataset.expect("it reads on").id());
        if seen.len() == 100 {
            // A checkpoint first: this server does not sync what it writes.
            cluster.sql("postgres", "CHECKPOINT");
            cluster.restart();
        }
    }
    assert_eq!(seen.len(), 1500);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_in_any_order_do_not_block_each_other_for_ever() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open_or_init(&url).await.expect("a new index");
    index.add_product(&product("ls")).await.expect("added");
    let datasets = scenes(600);
    let mut tasks = Vec::new();
    for nth in 0..4_usize {
        let index = open(&url).await.expect("opened");
        let mut mine = datasets.clone();
        match nth {
            0 => {}
            1 => mine.reverse(),
            _ => mine.rotate_left(nth * 150),
        }
        let ids: Vec<_> = mine.iter().map(Dataset::id).collect();
        tasks.push(tokio::spawn(async move {
            let added = index.add_datasets(mine, &AddOptions::default()).await;
            let added = added.expect("written");
            let when = "2024-01-01T00:00:00Z".parse().expect("a time");
            index.archive(&ids, when).await.expect("written");
            index.restore(&ids).await.expect("written");
            added.iter().filter(|outcome| outcome.is_added()).count()
        }));
    }
    let mut n_added = 0;
    for task in tasks {
        n_added += task.await.expect("no task panics");
    }
    assert_eq!(n_added, 600);
    assert_eq!(
        index
            .count(&Query::new().archived(ArchivedFilter::Any))
            .await
            .expect("counted"),
        600
    );
    for table in [
        "dataset_search_string",
        "dataset_search_num",
        "dataset_search_datetime",
    ] {
        let text = format!("SELECT count(DISTINCT dataset_ref) FROM odc.{table}");
        assert_eq!(cluster.sql(database_of(&url), &text), "600", "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_cut_off_leaves_nothing() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let index = open_or_init(&url).await.expect("a new index");
    index.add_product(&product("ls")).await.expect("added");
    let database = database_of(&url);
    let writer = {
        let index = open(&format!("{url}&application_name=doomed")).await;
        let index = index.expect("opened");
        tokio::spawn(async move {
            index
                .add_datasets(scenes(5000), &AddOptions::default())
                .await
                .map(|outcomes| outcomes.len())
        })
    };
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'doomed' AND query LIKE '%dataset_search_num%'";
    while cluster.sql(database, cut) == "0" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let error = writer.await.expect("no panic").expect_err("it was cut off");
    assert!(error.is_transient(), "{error}");
    for table in [
        "odc.dataset",
        "odc.dataset_search_string",
        "odc.spatial_4326",
        "datacube.dataset",
    ] {
        let n = cluster.sql(database, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(n, "0", "{table}");
    }
    fill(&*index, scenes(5000)).await;
}

#[tokio::test]
async fn a_document_that_cannot_be_kept_is_told_alone() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let index = open_or_init(&cluster.database())
        .await
        .expect("a new index");
    let given = product("ls");
    index.add_product(&given).await.expect("added");
    let bad = Scene::new(&given, 1).property("note", "a\u{0}b").dataset();
    let good = Scene::new(&given, 2)
        .property("odc:region_code", "x".repeat(5000))
        .dataset();
    let outcomes = index
        .add_datasets(vec![bad, good.clone()], &AddOptions::default())
        .await
        .expect("written");
    let AddOutcome::Failed(error) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(error.to_string().contains("U+0000"), "{error}");
    assert!(outcomes[1].is_added());
    let query = Query::new().field("region_code", "x".repeat(5000));
    let found = index.find(&query).await.expect("read");
    assert_eq!(
        found.iter().map(Dataset::id).collect::<Vec<_>>(),
        [good.id()]
    );
}
