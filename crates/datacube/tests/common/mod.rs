//! What the tests of written files share.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::Path;
use std::process::Command;

/// The script `tests/interop/NAME` ready to run with the Python that
/// `DATACUBE_PYTHON` names, or `None`, saying so, where there is none.
pub(crate) fn python(script: &str, modules: &str) -> Option<Command> {
    let Some(python) = std::env::var_os("DATACUBE_PYTHON") else {
        eprintln!("skipped: {script} needs DATACUBE_PYTHON, a Python with {modules}");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/interop")
        .join(script);
    let mut command = Command::new(python);
    command.arg(script);
    Some(command)
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
