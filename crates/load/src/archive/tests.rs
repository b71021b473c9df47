//! Rules and edges of archives.

use datacube_geo::{Affine, Crs, Geometry, Shape2d};
use datacube_model::DType;

use super::*;
use crate::params::{Overviews, Resampling};
use crate::plan::SourceRead;

fn grid(crs: &str, rows: usize, cols: usize, affine: [f64; 6]) -> GeoBox {
    let [a, b, c, d, e, f] = affine;
    let affine = Affine { a, b, c, d, e, f };
    let crs = Crs::parse(crs).expect("a known CRS");
    GeoBox::new(Shape2d { rows, cols }, affine, Some(crs)).expect("a sound grid")
}

fn utm(rows: usize, cols: usize) -> GeoBox {
    grid(
        "EPSG:32755",
        rows,
        cols,
        [30.0, 0.0, 600_000.0, 0.0, -30.0, 6_000_000.0],
    )
}

fn scene(window: PixelWindow) -> Scene {
    Scene::new(window, vec![Some(RasterSource::new("a.tif"))])
}

/// `n` planes of `per_plane` scenes that wander over a grid of 1000 x 1000.
fn archive(n: usize, per_plane: usize) -> Archive {
    let mut builder = Archive::builder(utm(1000, 1000));
    builder.band(BandParams::new("red", DType::UInt16));
    for plane in 0..n {
        let members: Vec<u32> = (0..per_plane)
            .map(|member| {
                let row = (plane * 37 + member * 101) % 900;
                let col = (plane * 53 + member * 211) % 900;
                builder.scene(scene(PixelWindow::new(row..row + 90, col..col + 90)))
            })
            .collect();
        builder.plane(members);
    }
    builder.build().expect("sound")
}

/// The reads of a chunk by looking at every member.
fn reads_by_hand(archive: &Archive, plane: usize, window: &PixelWindow) -> Vec<SourceRead> {
    let members = archive.members(plane).iter();
    let read = |&scene: &u32| SourceRead {
        scene,
        window: archive.window(scene).intersect(window),
    };
    members
        .map(read)
        .filter(|read| !read.window.is_empty())
        .collect()
}

#[test]
fn a_chunk_reads_what_touches_it_in_fuse_order() {
    // With few members, which are looked through, and with many, for which
    // there is a tree.
    for per_plane in [3, 64, 65, 300] {
        let archive = archive(4, per_plane);
        for plane in 0..4 {
            for window in [
                PixelWindow::new(0..100, 0..100),
                PixelWindow::new(450..600, 300..301),
                PixelWindow::new(0..1000, 0..1000),
                PixelWindow::new(999..1000, 999..1000),
                PixelWindow::new(5..5, 0..10),
            ] {
                let task = archive
                    .plan_chunk(0, plane, window.clone())
                    .expect("in range");
                assert_eq!(task.reads, reads_by_hand(&archive, plane, &window));
                assert_eq!((task.band, task.plane as usize), (0, plane));
            }
        }
    }
}

#[test]
fn planes_touching_are_those_with_reads() {
    for (n, per_plane) in [(50, 2), (90, 300)] {
        let archive = archive(n, per_plane);
        for window in [
            PixelWindow::new(0..20, 0..20),
            PixelWindow::new(700..720, 100..400),
        ] {
            let expected: Vec<usize> = (10..n)
                .filter(|&plane| !reads_by_hand(&archive, plane, &window).is_empty())
                .collect();
            assert_eq!(archive.planes_touching(10..usize::MAX, &window), expected);
        }
        assert!(
            archive
                .planes_touching(0..n, &PixelWindow::new(3..3, 0..9))
                .is_empty()
        );
    }
}

#[test]
fn a_scene_without_the_band_is_not_read() {
    let mut builder = Archive::builder(utm(10, 10));
    builder.band(BandParams::new("red", DType::UInt16));
    builder.band(BandParams::new("nir", DType::UInt16));
    let whole = PixelWindow::new(0..10, 0..10);
    let nir = RasterSource::new("nir.tif");
    let members = [
        builder.scene(Scene::new(whole.clone(), vec![None, Some(nir.clone())])),
        builder.scene(Scene::new(
            whole.clone(),
            vec![Some(RasterSource::new("r")), Some(nir)],
        )),
    ];
    builder.plane(members);
    let archive = builder.build().expect("sound");
    let scenes = |archive: &Archive, band: usize| -> Vec<u32> {
        let task = archive
            .plan_chunk(band, 0, whole.clone())
            .expect("in range");
        task.reads.iter().map(|read| read.scene).collect()
    };
    assert_eq!(scenes(&archive, 0), [1]);
    assert_eq!(scenes(&archive, 1), [0, 1]);
    let swapped = archive.select_bands(&[1, 0]).expect("both are there");
    assert_eq!(swapped.band_index("nir").expect("is there"), 0);
    assert_eq!(
        (scenes(&swapped, 0), scenes(&swapped, 1)),
        (vec![0, 1], vec![1])
    );
    assert!(archive.select_bands(&[2]).is_err());
    let error = archive.band_index("redd").unwrap_err().to_string();
    assert!(
        error.contains("`redd`") && error.contains("red, nir"),
        "{error}"
    );
}

#[test]
fn selected_planes_keep_their_scenes() {
    let archive = archive(6, 3);
    let selected = archive.select_planes(&[4, 1, 4]).expect("all are there");
    assert_eq!((selected.n_planes(), selected.n_scenes()), (3, 6));
    for (new, old) in [(0, 4), (1, 1), (2, 4)] {
        let windows = |archive: &Archive, plane: usize| -> Vec<PixelWindow> {
            let scenes = archive.members(plane).iter();
            scenes.map(|&s| archive.window(s)).collect()
        };
        assert_eq!(windows(&selected, new), windows(&archive, old));
    }
    assert!(archive.select_planes(&[6]).is_err());
}

#[test]
fn what_is_not_there_is_refused() {
    let archive = archive(2, 1);
    let refused = |band, plane, window| {
        archive
            .plan_chunk(band, plane, window)
            .unwrap_err()
            .to_string()
    };
    let window = PixelWindow::new(0..10, 0..10);
    assert!(refused(1, 0, window.clone()).contains("no band 1"));
    assert!(refused(0, 2, window).contains("no plane 2"));
    let error = refused(0, 0, PixelWindow::new(0..10, 995..1001));
    assert!(error.contains("is not within the grid's"), "{error}");

    let mut builder = Archive::builder(utm(5, 5));
    builder.plane([0]);
    assert!(
        builder
            .build()
            .unwrap_err()
            .to_string()
            .contains("plane 0 has scene 0")
    );
    let mut builder = Archive::builder(utm(5, 5));
    builder.scene(scene(PixelWindow::new(0..5, 0..5)));
    let error = builder.build().unwrap_err().to_string();
    assert!(
        error.contains("scene 0 has 1 sources and the archive 0 bands"),
        "{error}"
    );
    let mut builder = Archive::builder(utm(5, 5));
    builder.band(BandParams::new("a", DType::Complex64));
    assert!(builder.build().unwrap_err().is_unsupported());
}

#[test]
fn archives_and_tasks_travel() {
    let mut builder = Archive::builder(utm(40, 50));
    builder.band(
        BandParams::new("ndvi", DType::Float32)
            .with_nodata(datacube_model::Number::Float(f64::NAN))
            .with_resampling(Resampling::Cubic),
    );
    builder.skip_broken(true);
    let source = RasterSource::new("s3://b/a.tif")
        .with_band(3)
        .with_geobox(utm(20, 20))
        .with_nodata(datacube_model::Number::Int(-999))
        .with_label("id");
    let scene = builder.scene(Scene::new(PixelWindow::new(1..9, 2..8), vec![Some(source)]));
    builder.plane([scene]);
    builder.plane([]);
    let archive = builder.build().expect("sound");
    let mut bytes = Vec::new();
    ciborium::into_writer(&archive, &mut bytes).expect("writes");
    let back: Archive = ciborium::from_reader(&bytes[..]).expect("reads");
    assert_eq!(back, archive);
    assert!(back.skips_broken());
    let task = archive
        .plan_chunk(0, 0, PixelWindow::new(0..40, 0..50))
        .expect("in range");
    assert_eq!(
        back.plan_chunk(0, 0, task.window.clone())
            .expect("in range"),
        task
    );
    let json = serde_json::to_string(&task).expect("writes");
    assert_eq!(
        serde_json::from_str::<ChunkTask>(&json).expect("reads"),
        task
    );

    let mut value = ciborium::Value::serialized(&archive).expect("is a value");
    let version = value
        .as_map_mut()
        .and_then(|map| map.first_mut())
        .expect("comes first");
    version.1 = ciborium::Value::from(99);
    let error = value.deserialized::<Archive>().unwrap_err().to_string();
    assert!(error.contains("an archive of version 99"), "{error}");
}

/// A plane's tree is made when a chunk of it is asked for, and for no other plane.
#[test]
fn chunks_cost_nothing_until_they_are_asked_for() {
    let archive = archive(40, 65);
    assert_eq!(archive.stock.n_indexed(), 0);
    let window = PixelWindow::new(300..400, 500..600);
    for _ in 0..3 {
        let task = archive.plan_chunk(0, 7, window.clone()).expect("in range");
        assert!(!task.is_empty());
    }
    assert_eq!(archive.stock.n_indexed(), 1);
    // Bands share what was found.
    let red = archive.select_bands(&[0]).expect("it is there");
    assert!(std::sync::Arc::ptr_eq(&red.stock, &archive.stock));
}

/// Scenes on grids of their own are found where their windows are, whatever the
/// systems of both sides, in small planes and in large ones.
#[test]
fn scenes_on_grids_are_found_as_by_their_windows() {
    let outputs = [
        utm(4000, 6000),
        grid(
            "EPSG:3577",
            3000,
            3000,
            [300.0, 0.0, 1_000_000.0, 0.0, -300.0, -3_000_000.0],
        ),
        grid(
            "EPSG:4326",
            2000,
            2000,
            [0.005, 0.0, 144.0, 0.0, -0.005, -30.0],
        ),
        // Turned, and around the pole, where outlines say little.
        grid(
            "EPSG:3577",
            900,
            900,
            [700.0, 700.0, 1_000_000.0, 700.0, -700.0, -3_500_000.0],
        ),
        grid(
            "EPSG:3031",
            800,
            800,
            [10_000.0, 0.0, -4e6, 0.0, -10_000.0, 4e6],
        ),
    ];
    let mut n_reads = 0;
    for output in outputs {
        for per_plane in [40_u32, 400] {
            let mut builder = Archive::builder(output.clone());
            builder.band(BandParams::new("red", DType::UInt16));
            let members: Vec<u32> = (0..per_plane)
                .map(|at| {
                    let (row, col) = (f64::from(at % 20), f64::from(at / 20 % 20));
                    let crs = ["EPSG:32755", "EPSG:32756", "EPSG:4326"][place(at % 3)];
                    let affine = if crs == "EPSG:4326" {
                        [0.01, 0.0, 144.0 + col * 0.6, 0.0, -0.01, -30.0 - row * 3.1]
                    } else {
                        [300.0, 0.0, 2e5 + col * 4e4, 0.0, -300.0, 6.7e6 - row * 3e5]
                    };
                    let source = RasterSource::new("a.tif");
                    builder.scene(Scene::on_grid(
                        grid(crs, 100, 110, affine),
                        vec![Some(source)],
                    ))
                })
                .collect();
            builder.plane(members);
            let archive = builder.build().expect("sound");
            let shape = output.shape();
            for tile in 0..16 {
                let (rows, cols) = (shape.rows / 4, shape.cols / 4);
                let (row, col) = (tile / 4 * rows, tile % 4 * cols);
                let window = PixelWindow::new(row..row + rows, col..col + cols);
                let task = archive.plan_chunk(0, 0, window.clone()).expect("in range");
                assert_eq!(
                    task.reads,
                    reads_by_hand(&archive, 0, &window),
                    "{output}, {window}"
                );
                n_reads += task.reads.len();
            }
        }
    }
    assert!(n_reads > 400, "{n_reads}");
}

#[test]
fn windows_of_grids_cover_every_pixel_that_they_may_give() {
    let src = grid(
        "EPSG:32756",
        700,
        800,
        [30.0, 0.0, 200_000.0, 0.0, -30.0, 5_900_000.0],
    );
    for dst in [
        utm(9000, 12000),
        grid(
            "EPSG:4326",
            2000,
            3000,
            [0.002, 0.0, 147.0, 0.0, -0.002, -35.0],
        ),
        grid(
            "EPSG:3577",
            900,
            900,
            [21.0, 21.0, 1_500_000.0, 21.0, -21.0, -3_900_000.0],
        ),
    ] {
        let info = datacube_geo::ReprojectInfo::new(&src, &dst, datacube_geo::PasteRule::Never)
            .expect("both are on earth");
        let window = coverage_window(&src, &dst);
        assert!(
            window.contains(&info.dst_window),
            "{window} and {}",
            info.dst_window
        );
        let slack = window.pixels() as f64 / (info.dst_window.pixels() as f64 + 1.0);
        assert!(slack < 1.2, "{window} for {}", info.dst_window);
        let lonlat = src.extent().to_crs(&Crs::wgs84(), None).expect("projects");
        let footprint = footprint_window(&lonlat, &dst);
        assert!(
            footprint.contains(&info.dst_window),
            "{footprint} and {}",
            info.dst_window
        );
    }
}

#[test]
fn what_cannot_be_told_is_everywhere_and_what_is_apart_is_nowhere() {
    let dst = utm(100, 100);
    let whole = PixelWindow::full(dst.shape());
    let without_crs = Geometry::from_bbox(
        datacube_geo::BoundingBox {
            left: 0.0,
            bottom: 0.0,
            right: 1.0,
            top: 1.0,
        },
        None,
    )
    .expect("a box");
    assert_eq!(footprint_window(&without_crs, &dst), whole);
    let far = grid(
        "EPSG:32633",
        10,
        10,
        [30.0, 0.0, 500_000.0, 0.0, -30.0, 5_000_000.0],
    );
    let window = coverage_window(&far, &dst);
    assert!(window.is_empty() || window == whole, "{window}");
    let beside = utm(100, 100).translate(500.0, 0.0);
    assert!(coverage_window(&beside, &dst).is_empty());
}

#[test]
fn a_footprint_over_the_antimeridian_is_found_on_both_sides() {
    let fiji = grid(
        "EPSG:32760",
        3000,
        3000,
        [100.0, 0.0, 700_000.0, 0.0, -100.0, 8_100_000.0],
    );
    for left in [177.0, -183.0] {
        let dst = grid("EPSG:4326", 600, 600, [0.01, 0.0, left, 0.0, -0.01, -16.0]);
        let window = coverage_window(&fiji, &dst);
        // From about 178.9 to 181.7 east.
        assert!(
            window.cols.start < 260 && window.cols.end > 400,
            "{left}: {window}"
        );
    }
    // Of a grid that ends at 180, the part before it.
    let west = grid("EPSG:4326", 600, 300, [0.01, 0.0, 177.0, 0.0, -0.01, -16.0]);
    assert_eq!(coverage_window(&fiji, &west).cols.end, 300);
    // Of one that begins at -180, the part after it.
    let east = grid(
        "EPSG:4326",
        600,
        300,
        [0.01, 0.0, -180.0, 0.0, -0.01, -16.0],
    );
    assert_eq!(coverage_window(&fiji, &east).cols.start, 0);
    assert!(!coverage_window(&fiji, &east).is_empty());
}

#[test]
fn estimates_follow_the_grids() {
    let dst = grid(
        "EPSG:32755",
        100,
        100,
        [60.0, 0.0, 600_000.0, 0.0, -60.0, 6_000_000.0],
    );
    let estimate = |resampling: Resampling, overviews: Overviews| {
        let mut builder = Archive::builder(dst.clone());
        let params = BandParams::new("red", DType::UInt16)
            .with_resampling(resampling)
            .with_overviews(overviews);
        builder.band(params);
        let fine = grid(
            "EPSG:32755",
            9000,
            9000,
            [10.0, 0.0, 600_000.0, 0.0, -10.0, 6_000_000.0],
        );
        let source = RasterSource::new("a.tif").with_geobox(fine);
        let whole = PixelWindow::full(dst.shape());
        let scene = builder.scene(Scene::new(whole.clone(), vec![Some(source)]));
        builder.plane([scene]);
        let archive = builder.build().expect("sound");
        let task = archive.plan_chunk(0, 0, whole).expect("in range");
        archive.estimate(&task).read_bytes
    };
    // 36 source pixels for one, of two bytes.
    assert_eq!(estimate(Resampling::Average, Overviews::Auto), 720_000);
    assert_eq!(estimate(Resampling::Nearest, Overviews::Off), 720_000);
    assert_eq!(estimate(Resampling::Nearest, Overviews::Auto), 80_000);
}

/// Gives scenes as they were added to an archive.
#[derive(Debug)]
struct Known(Vec<Scene>);

#[async_trait::async_trait]
impl SceneCatalog for Known {
    async fn scenes(&self, scenes: &[u32]) -> Result<Vec<Scene>, crate::error::BoxError> {
        let found = scenes
            .iter()
            .map(|&scene| self.0.get(place(scene)).cloned());
        found.collect::<Option<_>>().ok_or_else(|| "gone".into())
    }

    fn identity(&self) -> Vec<u8> {
        vec![1]
    }
}

/// An archive that knows boxes in degrees and looks up the rest reads what one reads
/// that has everything, over the antimeridian and in large planes too.
#[tokio::test]
async fn scenes_that_are_looked_up_are_read_where_they_are() {
    let outputs = [
        grid(
            "EPSG:3832",
            900,
            1200,
            [5000.0, 0.0, 2e6, 0.0, -5000.0, 2e6],
        ),
        grid("EPSG:4326", 800, 900, [0.05, 0.0, 160.0, 0.0, -0.05, 15.0]),
        grid("EPSG:4326", 800, 900, [0.05, 0.0, -200.0, 0.0, -0.05, 15.0]),
    ];
    for output in outputs {
        for per_plane in [40_u32, 400] {
            let scenes: Vec<Scene> = (0..per_plane)
                .map(|at| {
                    let (row, col) = (f64::from(at % 20), f64::from(at / 20 % 20));
                    let epsg = ["EPSG:32759", "EPSG:32760", "EPSG:32701"][place(at % 3)];
                    let affine = [300.0, 0.0, 2e5 + col * 3e4, 0.0, -300.0, 9.9e6 - row * 1e5];
                    let source = RasterSource::new(format!("{at}.tif"));
                    Scene::on_grid(grid(epsg, 100, 110, affine), vec![Some(source)])
                })
                .collect();
            let mut known = Archive::builder(output.clone());
            let mut asked = Archive::builder(output.clone());
            for builder in [&mut known, &mut asked] {
                builder.band(BandParams::new("red", DType::UInt16));
            }
            for scene in &scenes {
                let Cover::Grid(grid) = &scene.cover else {
                    panic!("scenes are on grids")
                };
                let bounds = grid.extent().lonlat_bounds().expect("on earth");
                known.scene(scene.clone());
                asked.scene(Scene {
                    cover: Cover::LonLat(bounds.expect("somewhere")),
                    sources: Arc::default(),
                });
            }
            known.plane(0..per_plane);
            asked.plane(0..per_plane);
            asked.catalog(Arc::new(Known(scenes)));
            let (known, asked) = (known.build().expect("sound"), asked.build().expect("sound"));
            let shape = output.shape();
            let (mut n_read, mut n_asked) = (0, 0);
            for tile in 0..16 {
                let (rows, cols) = (shape.rows / 4, shape.cols / 4);
                let (row, col) = (tile / 4 * rows, tile % 4 * cols);
                let window = PixelWindow::new(row..row + rows, col..col + cols);
                let files = async |archive: &Archive| {
                    let task = archive.plan_chunk(0, 0, window.clone()).expect("in range");
                    let n = task.reads.len();
                    let files = archive.task_files(&task).await.expect("there");
                    let files = files.into_iter().flatten();
                    let files: Vec<(String, PixelWindow)> = files
                        .map(|(file, window)| (file.uri.clone(), window))
                        .collect();
                    (files, n)
                };
                let ((expected, _), (found, n)) = (files(&known).await, files(&asked).await);
                assert_eq!(found, expected, "{output}, {window}");
                n_read += found.len();
                n_asked += n;
            }
            assert!(n_read > 20, "{n_read}");
            assert!(n_asked < 3 * n_read, "{n_asked} looked up for {n_read}");
        }
    }
}

#[test]
fn an_archive_that_looks_up_stays_where_it_is() {
    let looked_up = |identity: u8| {
        #[derive(Debug)]
        struct Nobody(u8);
        #[async_trait::async_trait]
        impl SceneCatalog for Nobody {
            async fn scenes(&self, _: &[u32]) -> Result<Vec<Scene>, crate::error::BoxError> {
                Err("not asked".into())
            }
            fn identity(&self) -> Vec<u8> {
                vec![self.0]
            }
        }
        let mut builder = Archive::builder(utm(40, 50));
        builder.band(BandParams::new("red", DType::UInt16));
        builder.band(BandParams::new("nir", DType::UInt16));
        builder.catalog(Arc::new(Nobody(identity)));
        let bounds = datacube_geo::BoundingBox::new(146.0, -36.0, 147.0, -35.0);
        let scene = builder.scene(Scene {
            cover: Cover::LonLat(bounds),
            sources: Arc::default(),
        });
        builder.plane([scene]);
        builder.plane([]);
        builder.build().expect("sound")
    };
    let archive = looked_up(1);
    assert_eq!(archive, looked_up(1));
    assert_ne!(archive, looked_up(2));
    assert_eq!(archive.select_planes(&[0, 1]).expect("there"), archive);
    let nir = archive.select_bands(&[1]).expect("there");
    assert_ne!(
        nir.select_planes(&[0]).expect("there"),
        archive.select_planes(&[0]).expect("there")
    );
    let mut bytes = Vec::new();
    ciborium::into_writer(&archive, &mut bytes).expect("writes");
    let error = ciborium::from_reader::<Archive, _>(&bytes[..]).unwrap_err();
    assert!(
        error.to_string().contains("looked up in an index"),
        "{error}"
    );

    let mut builder = Archive::builder(utm(40, 50));
    builder.band(BandParams::new("red", DType::UInt16));
    builder.catalog(Arc::new(Known(Vec::new())));
    builder.scene(scene(PixelWindow::new(0..5, 0..5)));
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("asked of a catalog"), "{error}");
}
