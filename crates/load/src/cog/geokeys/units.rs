//! EPSG's units of measure and ellipsoids, as far as GeoTIFF keys name them.

use std::f64::consts::PI;

/// A unit: its name and its size in metres or radians.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) size: f64,
}

impl Unit {
    fn new(name: &str, size: f64) -> Unit {
        Unit {
            name: name.to_owned(),
            size,
        }
    }

    pub(super) fn metre() -> Unit {
        Unit::new("metre", 1.0)
    }

    pub(super) fn degree() -> Unit {
        Unit::new("degree", PI / 180.0)
    }

    /// `UNIT[..]` of WKT 1.
    pub(super) fn to_wkt(&self) -> String {
        format!("UNIT[\"{}\",{:?}]", self.name, self.size)
    }
}

/// A unit of length by its EPSG code.
pub(super) fn linear(code: u16) -> Option<Unit> {
    let (name, size) = match code {
        9001 => ("metre", 1.0),
        9002 => ("foot", 0.3048),
        9003 => ("US survey foot", 1200.0 / 3937.0),
        9005 => ("Clarke's foot", 0.304_797_265_4),
        9014 => ("fathom", 1.8288),
        9030 => ("nautical mile", 1852.0),
        9033 => ("US survey chain", 79_200.0 / 3937.0),
        9034 => ("US survey link", 792.0 / 3937.0),
        9036 => ("kilometre", 1000.0),
        9037 => ("Clarke's yard", 0.914_391_796_2),
        9039 => ("Clarke's link", 0.201_166_195_164),
        9040 => ("British yard (Sears 1922)", 0.914_398_414_616_028_7),
        9041 => ("British foot (Sears 1922)", 0.304_799_471_538_676_24),
        9042 => ("British chain (Sears 1922)", 20.116_765_121_552_632),
        9060 => ("British yard (Sears 1922 truncated)", 0.914_398),
        9061 => ("German legal metre", 1.000_013_596_5),
        9080 => ("Indian foot", 0.304_799_510_248_146_94),
        9084 => ("Indian yard", 0.914_398_530_744_440_8),
        9093 => ("Statute mile", 1609.344),
        9094 => ("Gold Coast foot", 0.304_799_710_181_508_8),
        9095 => ("British foot (1936)", 0.304_800_749_1),
        9096 => ("yard", 0.9144),
        9097 => ("chain", 20.1168),
        9098 => ("link", 0.201_168),
        _ => return None,
    };
    Some(Unit::new(name, size))
}

/// A unit of angle by its EPSG code.
pub(super) fn angular(code: u16) -> Option<Unit> {
    let (name, size) = match code {
        9101 => ("radian", 1.0),
        9102 | 9122 => ("degree", PI / 180.0),
        9103 => ("arc-minute", PI / 10_800.0),
        9104 => ("arc-second", PI / 648_000.0),
        9105 | 9106 => ("grad", PI / 200.0),
        _ => return None,
    };
    Some(Unit::new(name, size))
}

/// A unit of length by the name that ERDAS IMAGINE writes into a citation.
pub(super) fn imagine(name: &str) -> Option<Unit> {
    match name.trim().to_ascii_lowercase().as_str() {
        "meters" | "metres" | "meter" | "metre" => Some(Unit::metre()),
        "us_survey_feet" | "us survey feet" => linear(9003),
        "international_feet" | "feet" | "foot" => linear(9002),
        _ => None,
    }
}

/// Name, semi-major axis in metres and inverse flattening (0 for a sphere) of
/// an ellipsoid by its EPSG code.
pub(super) fn ellipsoid(code: u16) -> Option<(&'static str, f64, f64)> {
    let from_minor = |a: f64, b: f64| a / (a - b);
    Some(match code {
        7001 => ("Airy 1830", 6_377_563.396, 299.324_964_6),
        7002 => ("Airy Modified 1849", 6_377_340.189, 299.324_964_6),
        7003 => ("Australian National Spheroid", 6_378_160.0, 298.25),
        7004 => ("Bessel 1841", 6_377_397.155, 299.152_812_8),
        7005 => ("Bessel Modified", 6_377_492.018, 299.152_812_8),
        7007 => (
            "Clarke 1858",
            6_378_293.645_208_759,
            from_minor(20_926_348.0, 20_855_233.0),
        ),
        7008 => (
            "Clarke 1866",
            6_378_206.4,
            from_minor(6_378_206.4, 6_356_583.8),
        ),
        7010 => (
            "Clarke 1880 (Benoit)",
            6_378_300.789,
            from_minor(6_378_300.789, 6_356_566.435),
        ),
        7011 => (
            "Clarke 1880 (IGN)",
            6_378_249.2,
            from_minor(6_378_249.2, 6_356_515.0),
        ),
        7012 => ("Clarke 1880 (RGS)", 6_378_249.145, 293.465),
        7013 => ("Clarke 1880 (Arc)", 6_378_249.145, 293.466_307_7),
        7015 => ("Everest 1830 (1937 Adjustment)", 6_377_276.345, 300.8017),
        7016 => ("Everest 1830 (1967 Definition)", 6_377_298.556, 300.8017),
        7018 => ("Everest 1830 Modified", 6_377_304.063, 300.8017),
        7019 => ("GRS 1980", 6_378_137.0, 298.257_222_101),
        7020 => ("Helmert 1906", 6_378_200.0, 298.3),
        7021 => ("Indonesian National Spheroid", 6_378_160.0, 298.247),
        7022 => ("International 1924", 6_378_388.0, 297.0),
        7024 => ("Krassowsky 1940", 6_378_245.0, 298.3),
        7025 => ("NWL 9D", 6_378_145.0, 298.25),
        7029 => ("War Office", 6_378_300.0, 296.0),
        7030 => ("WGS 84", 6_378_137.0, 298.257_223_563),
        7035 => ("Sphere", 6_371_000.0, 0.0),
        7036 => ("GRS 1967", 6_378_160.0, 298.247_167_427),
        7043 => ("WGS 72", 6_378_135.0, 298.26),
        7048 => ("GRS 1980 Authalic Sphere", 6_371_007.0, 0.0),
        7050 => ("GRS 1967 Modified", 6_378_160.0, 298.25),
        7052 => ("Clarke 1866 Authalic Sphere", 6_370_997.0, 0.0),
        _ => return None,
    })
}
