//! Loads that look documents up as chunks need them, and files at several places.

mod common;

use common::{create_index, tiny};
use datacube::geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube::index::PurgeOptions;
use datacube::model::DType;
use datacube::{Cube, Datacube, DatasetQuery, Documents, HasGeoBox, LoadOptions};
use uuid::Uuid;

/// What the index says, asked for here.
fn wait<T>(asked: impl Future<Output = datacube::index::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let answer = runtime.expect("a runtime").block_on(asked);
    answer.unwrap_or_else(|error| panic!("{error}"))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0000 + number)
}

/// All of the archive, within a region.
fn options() -> LoadOptions {
    LoadOptions::new(tiny::PRODUCT)
        .lon((149.91, 149.99))
        .lat((-35.23, -35.17))
        .output_crs("EPSG:32755")
        .resolution(30.0)
        .group_by("solar_day")
}

fn load(dc: &Datacube, options: LoadOptions) -> Cube {
    dc.load(options).unwrap_or_else(|error| panic!("{error}"))
}

/// Every pixel of every variable, by its bits.
fn pixels(cube: &Cube) -> Vec<(String, Vec<u64>)> {
    let of = |name: &str| {
        let array = cube.get(name).expect("a variable").astype(DType::Float64);
        let values = array.compute().expect("computed").to_vec::<f64>();
        values
            .expect("pixels")
            .iter()
            .map(|v| v.to_bits())
            .collect()
    };
    let names = tiny::MEASUREMENTS.iter();
    names.map(|name| ((*name).to_owned(), of(name))).collect()
}

#[test]
fn documents_read_as_needed_give_what_documents_read_at_once_give() {
    let folder = tiny::write();
    let file = folder.path().join("index.db");
    for url in ["memory:".to_owned(), format!("sqlite:{}", file.display())] {
        let dc = create_index(&url);
        tiny::add_to(&dc, folder.path());
        let mut n_seen = 0;
        for (crs, resolution) in [
            ("EPSG:32755", 30.0),
            ("EPSG:3577", 45.0),
            ("EPSG:4326", 0.0004),
        ] {
            for group_by in ["solar_day", "time", "none"] {
                let options = options()
                    .output_crs(crs)
                    .resolution(resolution)
                    .group_by(group_by);
                let at_once = load(&dc, options.clone().documents(Documents::AtOnce));
                let as_needed = options.documents(Documents::AsNeeded);
                let whole = load(&dc, as_needed.clone());
                let chunked = load(&dc, as_needed.chunks([("time", 2), ("x", 64), ("y", 50)]));
                for cube in [&whole, &chunked] {
                    assert_eq!(cube.coords(), at_once.coords(), "{crs} by {group_by}");
                    assert_eq!(cube.attrs(), at_once.attrs());
                    assert!(
                        pixels(cube) == pixels(&at_once),
                        "{url} {crs} by {group_by}"
                    );
                }
                let red = &pixels(&whole)[0].1;
                n_seen += red.iter().filter(|&&bits| bits != 0).count();
            }
        }
        assert!(n_seen > 100_000, "{n_seen} pixels have a value");
    }
}

#[test]
fn a_document_is_read_when_a_chunk_needs_it() {
    let (_folder, dc) = tiny::open();
    let options = options().chunks([("time", 1)]);
    let cube = load(&dc, options.clone().documents(Documents::AsNeeded));
    let steps = i64::try_from(cube.len_of("time").expect("a dimension")).expect("few");
    let step = |at: i64| {
        let cube = cube.isel("time", at).expect("a step");
        cube.get("red").expect("a variable").compute()
    };
    // The last scene goes.
    let all = PurgeOptions::default().with_active(true);
    wait(dc.index().purge(&[id(4)], &all));
    step(0).unwrap_or_else(|error| panic!("{error}"));
    let message = step(steps - 1).expect_err("it is gone").to_string();
    assert!(message.contains(&id(4).to_string()), "{message}");
    assert!(message.contains("load anew"), "{message}");
}

/// Loads of the same datasets whose files are elsewhere are not one load.
#[test]
fn addresses_that_are_changed_make_another_load() {
    let (_folder, dc) = tiny::open();
    let options = options()
        .measurements(["red"])
        .documents(Documents::AsNeeded)
        .chunks([("time", 1)]);
    let moved = |name: &'static str| {
        let moved = options
            .clone()
            .patch_url_with(move |_, uri| Ok(uri.replace("red.tif", name)));
        load(&dc, moved).get("red").expect("a variable").clone()
    };
    let change = moved("nir.tif") - moved("red.tif");
    let change = change.astype(DType::Float64).compute().expect("computed");
    let change = change.to_vec::<f64>().expect("pixels");
    assert!(change.iter().any(|&value| value != 0.0));
}

/// A grid bounds what is searched for, as a region does: no time step is without
/// datasets.
#[test]
fn what_lies_beside_the_grid_is_no_time_step() {
    let (_folder, dc) = tiny::open();
    let whole = load(&dc, options()).geobox().expect("a grid");
    let found = |query| dc.find_datasets(query).expect("a search").len();
    let all = found(DatasetQuery::new(tiny::PRODUCT));
    let corners = (0..whole.rows() - 12).step_by(12).flat_map(|row| {
        let cols = (0..whole.cols() - 12).step_by(12);
        cols.map(move |col| PixelWindow::new(row..row + 12, col..col + 12))
    });
    let mut some = corners.filter_map(|corner| {
        let grid = whole.crop(&corner).expect("within");
        let expected = found(DatasetQuery::new(tiny::PRODUCT).geopolygon(grid.extent()));
        (0 < expected && expected < all).then_some((grid, expected))
    });
    let (grid, expected) = some.next().expect("scenes do not all lie everywhere");
    for documents in [Documents::AtOnce, Documents::AsNeeded] {
        let options = LoadOptions::new(tiny::PRODUCT)
            .like(grid.clone())
            .group_by("none")
            .documents(documents);
        let cube = load(&dc, options);
        let shape = cube.get("red").expect("a variable").shape().to_vec();
        assert_eq!(shape, [expected, 12, 12], "{documents:?}");
    }
}

/// Grids that end off the earth, hold a pole or cross the antimeridian bound nothing away.
#[test]
fn grids_of_half_the_earth_find_what_is_there() {
    let (_folder, dc) = tiny::open();
    let all = dc.find_datasets(DatasetQuery::new(tiny::PRODUCT));
    let all = all.expect("a search").len();
    let m = 1e6;
    for (crs, [left, bottom, right, top]) in [
        (
            "+proj=sinu +type=crs",
            [-20.1 * m, -10.1 * m, 20.1 * m, 10.1 * m],
        ),
        ("+proj=moll +type=crs", [0.0, -9.1 * m, 18.1 * m, 9.1 * m]),
        ("EPSG:3031", [-9.0 * m, -9.0 * m, 9.0 * m, 9.0 * m]),
        ("EPSG:3031", [0.0, -9.0 * m, 9.0 * m, 0.0]),
        (
            "+proj=aeqd +lat_0=90 +type=crs",
            [-21.0 * m, -21.0 * m, 21.0 * m, 21.0 * m],
        ),
        (
            "+proj=ortho +lat_0=-35 +lon_0=150 +type=crs",
            [-7.0 * m, -7.0 * m, 7.0 * m, 7.0 * m],
        ),
        ("EPSG:4326", [-180.0, -90.0, 180.0, 90.0]),
        ("EPSG:3832", [-m, -5.0 * m, 4.0 * m, m]),
    ] {
        let (rows, cols) = (40, 40);
        let affine = Affine {
            a: (right - left) / 40.0,
            b: 0.0,
            c: left,
            d: 0.0,
            e: (bottom - top) / 40.0,
            f: top,
        };
        let known = Crs::parse(crs).unwrap_or_else(|error| panic!("{crs}: {error}"));
        let grid = GeoBox::new(Shape2d::new(rows, cols), affine, Some(known)).expect("sound");
        for documents in [Documents::AtOnce, Documents::AsNeeded] {
            let options = LoadOptions::new(tiny::PRODUCT)
                .like(grid.clone())
                .group_by("none")
                .documents(documents);
            let cube = dc.load(options);
            let cube = cube.unwrap_or_else(|error| panic!("{crs}, {documents:?}: {error}"));
            let shape = cube.get("red").expect("a variable").shape().to_vec();
            assert_eq!(shape, [all, rows, cols], "{crs}, {documents:?}");
        }
    }
}

#[test]
fn what_documents_alone_can_tell_is_refused() {
    let (_folder, dc) = tiny::open();
    let check = |options: LoadOptions, expected: &str| {
        let options = options.documents(Documents::AsNeeded);
        let message = dc.load(options).expect_err("refused").to_string();
        assert!(
            message.contains("documents") && message.contains(expected),
            "{message}"
        );
    };
    check(options().group_by("platform"), "group by time");
    check(options().with_properties(true), "without properties");
    check(options().predicate(|_| true), "search by fields");
    let everywhere = LoadOptions::new(tiny::PRODUCT)
        .output_crs("EPSG:32755")
        .resolution(30.0);
    check(everywhere, "give a region");
    // And nothing found is told as ever.
    let nothing = options().time("1999").documents(Documents::AsNeeded);
    let message = dc.load(nothing).expect_err("nothing there").to_string();
    assert!(message.contains("2020-02"), "{message}");
}

#[test]
fn a_file_is_read_where_it_can_be() {
    let (folder, dc) = tiny::open();
    let expected = pixels(&load(&dc, options()));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let second = elsewhere.path().join("a1");
    std::fs::create_dir(&second).expect("a folder");
    let uri =
        |folder: &std::path::Path| format!("file://{}/scene.odc-metadata.json", folder.display());
    let preferred = uri(&second);
    assert!(wait(dc.index().add_location(id(0), &preferred, true)));
    // Nothing is at the preferred place.
    for documents in [Documents::AtOnce, Documents::AsNeeded] {
        let found = load(&dc, options().documents(documents));
        assert!(pixels(&found) == expected);
    }
    // What is there cannot be read.
    for name in tiny::MEASUREMENTS {
        std::fs::write(second.join(format!("{name}.tif")), b"II*\0 no more").expect("written");
    }
    assert!(pixels(&load(&dc, options())) == expected);
    // It is nowhere.
    let first = tiny::file(folder.path(), "a1", "red");
    std::fs::remove_file(&first).expect("removed");
    let message = dc
        .load(options().measurements(["red"]))
        .expect_err("unreadable")
        .to_string();
    for part in [
        second.to_str().expect("text"),
        first.to_str().expect("text"),
        "other location",
    ] {
        assert!(message.contains(part), "`{part}` in {message}");
    }
    let rest = load(
        &dc,
        options().measurements(["red"]).skip_broken_datasets(true),
    );
    rest.get("red")
        .expect("a variable")
        .compute()
        .expect("computed");
}
