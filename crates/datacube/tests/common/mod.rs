//! What the tests of written files share.

#![allow(dead_code, unused_imports, reason = "each test binary uses some of it")]

use std::path::PathBuf;

pub(crate) use datacube_testkit::python;
use datacube_testkit::shared;

/// The folder of the corpus of documents, and in it the files of the STAC items that
/// odc-stac parses; `None`, and the test skipped, where the corpus is not there.
pub(crate) fn items_of_corpus() -> Option<(PathBuf, Vec<String>)> {
    let folder = shared("metadata")?;
    let text = std::fs::read_to_string(folder.join("oracle_odc-stac-0.5.3_parse_item.json"));
    // Python writes a bare NaN.
    let text = text.expect("the oracle").replace("NaN", "null");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let files = rows.iter().filter(|row| row["ok"] == true);
    let files = files.filter_map(|row| row["file"].as_str());
    let items = files.filter(|file| file.starts_with("stac-item/"));
    let items = items.map(str::to_owned).collect();
    Some((folder, items))
}

/// A small generator of numbers that are the same in every run (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by a name.
    pub(crate) fn new(name: &str) -> Self {
        Random(name.bytes().fold(17, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        }))
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }

    /// Puts items into another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.bits() % (last as u64 + 1)).expect("an index");
            items.swap(last, other);
        }
    }
}
