//! Coordinate reference systems: what is accepted, what is equal, what fails
//! and how, and that nothing outside of the program matters.

use datacube_geo::{BoundingBox, Crs, CrsTransform, Error, Resolution, Xy};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::process::Command;

const SINUSOIDAL: &str = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs";

fn crs(text: &str) -> Crs {
    Crs::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn every_spelling_is_read() {
    let utm = crs("EPSG:32655");
    for text in [
        "epsg:32655",
        " EPSG:32655 ",
        "EPSG: 32655",
        "32655",
        "urn:ogc:def:crs:EPSG::32655",
        "http://www.opengis.net/def/crs/EPSG/0/32655",
        "+proj=utm +zone=55 +datum=WGS84 +units=m +no_defs",
        "+init=epsg:32655",
        "proj=utm zone=55 datum=WGS84",
    ] {
        let got = crs(text);
        assert_eq!(got, utm, "{text}");
        assert_eq!(got.epsg(), Some(32655), "{text}");
        assert_eq!(got.as_str(), "EPSG:32655", "{text}");
    }
    assert_eq!(crs(utm.to_wkt()).epsg(), Some(32655), "WKT2");
    let wkt1 = utm.to_wkt1_gdal().expect("WKT1 has UTM");
    assert!(wkt1.starts_with("PROJCS["), "{wkt1}");
    assert_eq!(crs(&wkt1).as_str(), "EPSG:32655", "WKT1");
    let json = utm.to_projjson().expect("PROJJSON has UTM");
    assert_eq!(crs(&json.to_string()).as_str(), "EPSG:32655", "PROJJSON");
}

#[test]
fn other_authorities_keep_their_codes() {
    let mollweide = crs("esri:54009");
    assert_eq!(mollweide.as_str(), "ESRI:54009");
    assert!(mollweide.is_projected());
    let lonlat = crs("OGC:CRS84");
    assert!(lonlat.is_geographic());
    assert_eq!(lonlat, Crs::wgs84(), "only the axis order differs");
}

#[test]
fn esri_wkt_of_an_epsg_crs_is_recognised() {
    let esri = r#"PROJCS["WGS_1984_UTM_Zone_55S",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",
        SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],
        UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],
        PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",10000000.0],
        PARAMETER["Central_Meridian",147.0],PARAMETER["Scale_Factor",0.9996],
        PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#;
    assert_eq!(crs(esri).epsg(), Some(32755));
}

#[test]
fn a_crs_without_a_code_is_kept_as_wkt() {
    let modis = crs(SINUSOIDAL);
    assert_eq!(modis.epsg(), None);
    assert!(modis.as_str().starts_with("PROJCRS["), "{}", modis.as_str());
    assert_eq!(modis.units(), ["metre", "metre"]);
    assert_eq!(crs(modis.as_str()), modis);
    assert_ne!(modis, crs("+proj=sinu +lon_0=0 +R=6370997 +units=m"));
    let mars = crs("+proj=eqc +R=3396190 +units=m");
    assert!(mars.is_projected() && mars.epsg().is_none());
}

#[test]
fn a_datum_shift_is_not_lost() {
    let plain = "+proj=utm +zone=55 +ellps=WGS84 +units=m";
    let shifted = crs(&format!("{plain} +towgs84=500,0,0"));
    assert_eq!(shifted.epsg(), None);
    assert_ne!(shifted, crs("EPSG:32655"));
    let p = Xy::new(500_000.0, 5_000_000.0);
    let to = Crs::wgs84();
    let here = |c: &Crs| {
        let t = CrsTransform::new(c, &to).expect("an operation");
        t.point(p).expect("PROJ").expect("projects")
    };
    let (a, b) = (here(&shifted), here(&crs("EPSG:32655")));
    assert!(
        (a.x - b.x).abs() > 1e-3,
        "500 m at 147 E move the longitude: {a} {b}"
    );
    assert_eq!(crs(shifted.as_str()), shifted, "through its own text");
}

#[test]
fn equality_and_hash_agree() {
    let same = [
        crs("EPSG:4326"),
        crs("OGC:CRS84"),
        crs("+proj=longlat +datum=WGS84 +no_defs"),
        crs(&crs("EPSG:4326").to_wkt1_gdal().expect("WKT1")),
    ];
    let other = [crs("EPSG:4283"), crs("EPSG:3857"), crs(SINUSOIDAL)];
    for a in &same {
        for b in &same {
            assert_eq!(a, b);
        }
        for b in &other {
            assert_ne!(a, b);
        }
    }
    let hash = |c: &Crs| {
        let mut h = DefaultHasher::new();
        c.hash(&mut h);
        h.finish()
    };
    let hashes: HashSet<u64> = same.iter().map(hash).collect();
    assert_eq!(hashes.len(), 1, "what is equal hashes alike");
    let hashes: HashSet<u64> = same.iter().chain(&other).map(hash).collect();
    assert_eq!(hashes.len(), 1 + other.len());
}

#[test]
fn what_is_no_crs_is_refused_with_a_way_out() {
    let error = Crs::parse("EPSG:32699").expect_err("no such code");
    assert!(error.is_not_found(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("EPSG:32699") && text.contains("near it: EPSG:326"),
        "{text}"
    );
    assert!(text.contains("WGS 84 / UTM zone"), "with names: {text}");

    for bad in [
        "",
        "UTM",
        "utm-n",
        "nonsense:x:y",
        "PROJCS[\"broken\"",
        "{}",
        "+proj=nonsense",
        "+proj=utm\0",
    ] {
        let error = Crs::parse(bad).expect_err(bad);
        assert!(!error.is_not_found(), "{bad}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("EPSG:<code>") && text.contains("PROJ string"),
            "{bad}: {text}"
        );
    }
    // An operation, a datum, and CRSs that no image is in.
    for bad in [
        "+proj=pipeline +step +proj=unitconvert",
        "urn:ogc:def:datum:EPSG::6326",
    ] {
        assert!(
            matches!(Crs::parse(bad), Err(Error::InvalidCrs { .. })),
            "{bad}"
        );
    }
    for (bad, kind) in [("EPSG:4978", "geocentric"), ("EPSG:5773", "vertical")] {
        let error = Crs::parse(bad).expect_err(bad);
        assert!(error.to_string().contains(kind), "{error}");
    }
    let long = format!("{}{}", "x".repeat(5000), "[");
    assert!(Crs::parse(&long).expect_err("no CRS").to_string().len() < 600);
}

#[test]
fn three_dimensional_and_compound_crs_are_read_by_their_plane() {
    assert!(crs("EPSG:4979").is_geographic());
    let compound = crs("EPSG:7405");
    assert!(compound.is_projected());
    assert_eq!(compound.units(), ["metre", "metre"]);
}

#[test]
fn area_of_use_goes_on_past_180() {
    let fiji = crs("EPSG:3460").area_of_use().expect("it has one");
    assert!(fiji.left > 170.0 && fiji.right > 180.0, "{fiji}");
    assert_eq!(crs(SINUSOIDAL).area_of_use(), None);
}

#[test]
fn utm_is_refused_at_the_poles() {
    for (lon, lat) in [(0.0, 84.5), (0.0, -80.5), (f64::NAN, 0.0), (0.0, f64::NAN)] {
        assert!(matches!(
            Crs::utm_for(lon, lat),
            Err(Error::OutsideUtm { .. })
        ));
    }
    assert_eq!(
        Crs::utm_for(183.0, 10.0).expect("wraps").epsg(),
        Some(32601)
    );
    assert_eq!(
        Crs::utm_for(-180.0, 10.0).expect("zone 1").epsg(),
        Some(32601)
    );
    assert_eq!(
        Crs::utm_for(180.0, 10.0).expect("zone 60").epsg(),
        Some(32660)
    );
}

#[test]
fn resolutions_in_the_wrong_units_are_refused() {
    let check = |code: &str, r: f64| crs(code).check_resolution(Resolution::square(r));
    for (code, r) in [
        ("EPSG:4326", 0.00027),
        ("EPSG:4326", 5.0),
        ("EPSG:32655", 30.0),
        ("EPSG:32655", 0.1),
        ("EPSG:3857", 150_000.0),
        ("EPSG:2263", 100.0),
    ] {
        check(code, r).unwrap_or_else(|e| panic!("{code} {r}: {e}"));
    }
    let text = check("EPSG:4326", 30.0).expect_err("degrees").to_string();
    assert!(
        text.contains("30 degrees") && text.contains("0.00027 degrees"),
        "{text}"
    );
    let text = check("EPSG:3577", 0.00025).expect_err("metres").to_string();
    assert!(
        text.contains("0.25 mm") && text.contains("about 28 instead"),
        "{text}"
    );
    for r in [0.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            check("EPSG:32655", r),
            Err(Error::InvalidResolution { .. })
        ));
    }
}

#[test]
fn points_that_do_not_project_are_nan_and_the_others_are_not() {
    let t = CrsTransform::new(&Crs::wgs84(), &crs("EPSG:32655")).expect("an operation");
    let (mut xs, mut ys) = ([147.0, f64::NAN, 147.0, 147.0], [0.0, 0.0, 1e9, 10.0]);
    t.transform(&mut xs, &mut ys).expect("PROJ");
    assert!((xs[0] - 500_000.0).abs() < 1e-6 && ys[0].abs() < 1e-6);
    assert!(xs[1].is_nan() && ys[1].is_nan());
    assert!(xs[2].is_nan() && ys[2].is_nan());
    assert!(xs[3].is_finite() && ys[3] > 1e6);
}

#[test]
fn x_comes_before_y_whatever_the_authority_says() {
    // Both EPSG:4326 and EPSG:2193 (New Zealand) have northing first.
    let t = CrsTransform::new(&Crs::wgs84(), &crs("EPSG:2193")).expect("an operation");
    let p = t
        .point(Xy::new(173.0, -41.0))
        .expect("PROJ")
        .expect("projects");
    assert!((p.x - 1_600_000.0).abs() < 1.0, "{p}");
    assert!((5_000_000.0..5_600_000.0).contains(&p.y), "{p}");
}

#[test]
fn threads_agree_to_the_last_bit() {
    let work = |seed: usize| -> Vec<u64> {
        let mut out = Vec::new();
        for i in 0..40 {
            let zone = 32601 + (i + seed) % 60;
            let utm = crs(&format!("EPSG:{zone}"));
            let t = CrsTransform::new(&utm, &crs("EPSG:6933")).expect("an operation");
            let mut xs: Vec<f64> = (0..50).map(|k| 400_000.0 + 4000.0 * f64::from(k)).collect();
            let mut ys: Vec<f64> = (0..50).map(|k| 90_000.0 * f64::from(k)).collect();
            t.transform(&mut xs, &mut ys).expect("PROJ");
            let bits = xs.iter().chain(&ys).map(|v| v.to_bits());
            out.push((zone, bits.fold(0u64, |h, b| h.rotate_left(5) ^ b)));
        }
        out.sort_unstable();
        out.into_iter().map(|(_, h)| h).collect()
    };
    // All start at zone 1 and walk 40 zones; the order differs by thread.
    let alone = work(0);
    let same: Vec<Vec<u64>> = std::thread::scope(|s| {
        let handles: Vec<_> = (0..8).map(|_| s.spawn(|| work(0))).collect();
        handles
            .into_iter()
            .map(|h| h.join().expect("no panic"))
            .collect()
    });
    assert!(same.iter().all(|s| *s == alone));
    // More operations than a thread keeps, again and again.
    for _ in 0..3 {
        assert_eq!(work(0), alone);
        work(30);
    }
}

#[test]
fn serde_keeps_the_crs() {
    for c in [crs("EPSG:3577"), crs(SINUSOIDAL), crs("ESRI:54009")] {
        let json = serde_json::to_string(&c).expect("a string");
        let back: Crs = serde_json::from_str(&json).expect("a CRS");
        assert_eq!(back, c);
        assert_eq!(back.as_str(), c.as_str());
    }
    assert_eq!(
        serde_json::to_string(&crs("epsg:3577")).expect("a string"),
        "\"EPSG:3577\""
    );
    assert!(serde_json::from_str::<Crs>("\"EPSG:0\"").is_err());
}

/// What the subprocess of the next test prints.
fn probe() -> String {
    let t = CrsTransform::new(&crs("EPSG:28355"), &crs("EPSG:3577")).expect("an operation");
    let p = t
        .point(Xy::new(600_000.0, 6_000_000.0))
        .expect("PROJ")
        .expect("projects");
    let area: Option<BoundingBox> = crs("EPSG:7844").area_of_use();
    format!("{:x} {:x} {area:?}", p.x.to_bits(), p.y.to_bits())
}

#[test]
fn the_environment_does_not_matter() {
    const CHILD: &str = "DATACUBE_GEO_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        // Not println: libtest would keep it, and the parent wants to see it.
        writeln!(std::io::stdout(), "probe: {}", probe()).expect("a pipe");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    // A proj.db that is none, where PROJ would look for one.
    std::fs::write(dir.path().join("proj.db"), b"stale").expect("writable");
    std::fs::write(
        dir.path().join("proj.ini"),
        b"[general]\ntmerc_default_algo = auto\n",
    )
    .expect("writable");
    let mut permissions = std::fs::metadata(dir.path()).expect("there").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(dir.path(), permissions).expect("settable");
    let run = |home: &std::path::Path| {
        let out = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "the_environment_does_not_matter", "--nocapture"])
            .env_clear()
            .env(CHILD, "1")
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("PROJ_DATA", dir.path())
            .env("PROJ_LIB", dir.path())
            .env("PROJ_USER_WRITABLE_DIRECTORY", home)
            .env("PROJ_NETWORK", "ON")
            .env("PROJ_DEBUG", "3")
            .env("PROJ_ONLY_BEST_DEFAULT", "YES")
            .current_dir("/")
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{text}\n{errors}");
        assert!(
            !errors.to_lowercase().contains("proj"),
            "PROJ printed: {errors}"
        );
        let line = text.lines().find_map(|l| l.split("probe: ").nth(1));
        line.expect("the probe's line").to_owned()
    };
    let here = probe();
    assert_eq!(run(dir.path()), here, "read-only home");
    assert_eq!(run(std::path::Path::new("/nonexistent")), here, "no home");
    assert_eq!(run(std::path::Path::new("")), here, "empty HOME");
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("there").collect();
    assert_eq!(left.len(), 2, "nothing was written");
}
