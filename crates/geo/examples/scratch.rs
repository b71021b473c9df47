//! scratch
fn main() {
    let c =
        datacube_geo::Crs::parse("+proj=nsper +h=1000000 +lat_0=5 +lon_0=6 +ellps=WGS84").unwrap();
    eprintln!("{}", c.to_projjson().unwrap()["conversion"]);
    for text in [
        "EPSG:32655",
        "+proj=utm +zone=55 +datum=WGS84 +units=m +no_defs",
    ] {
        let t = std::time::Instant::now();
        let c = datacube_geo::Crs::parse(text).unwrap();
        eprintln!("{text} {:?}", t.elapsed());
        let w = c.to_wkt1_gdal().unwrap();
        let t = std::time::Instant::now();
        let c = datacube_geo::Crs::parse(&w).unwrap();
        eprintln!("wkt1 {:?} {c}", t.elapsed());
        let w = datacube_geo::Crs::parse("EPSG:32656")
            .unwrap()
            .to_wkt()
            .to_owned();
        let t = std::time::Instant::now();
        let c = datacube_geo::Crs::parse(&w).unwrap();
        eprintln!("wkt2 {:?} {c}", t.elapsed());
        let t = std::time::Instant::now();
        let c = datacube_geo::Crs::parse(
            "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
        )
        .unwrap();
        eprintln!("sinu {:?} {c}", t.elapsed());
        let t = std::time::Instant::now();
        eprintln!(
            "eq {:?} {:?}",
            c == datacube_geo::Crs::parse("EPSG:3577").unwrap(),
            t.elapsed()
        );
        let t = std::time::Instant::now();
        let tr =
            datacube_geo::CrsTransform::new(&c, &datacube_geo::Crs::parse("EPSG:3577").unwrap())
                .unwrap();
        eprintln!("transform {:?}", t.elapsed());
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = (0..1000000)
            .map(|i| (12231455.716 + i as f64, -3335851.0))
            .unzip();
        let t = std::time::Instant::now();
        tr.transform(&mut xs, &mut ys).unwrap();
        eprintln!("1M points {:?}", t.elapsed());
    }
}
