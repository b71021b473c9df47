//! Puts PROJ's database where `include_bytes!` finds it.
//!
//! proj-sys builds PROJ from source and leaves `proj.db` in its own output
//! folder, where a moved binary or `cargo clean` loses it; so it becomes part
//! of the program. proj-sys declares `links = "proj"`, so cargo hands its
//! output folder to us as `DEP_PROJ_ROOT`.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_PROJ_ROOT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let Some(root) = env::var_os("DEP_PROJ_ROOT").map(PathBuf::from) else {
        panic!(
            "proj-sys did not say where it built PROJ (DEP_PROJ_ROOT is unset). It must be built \
             with its feature `bundled_proj`; a system PROJ has no database that could be embedded."
        );
    };
    let database = find(&root).unwrap_or_else(|| {
        panic!(
            "no proj.db below {}. The bundled build of PROJ makes it with the `sqlite3` command; \
             install sqlite3, then `cargo clean -p proj-sys` and build again.",
            root.display()
        )
    });
    println!("cargo::rerun-if-changed={}", database.display());
    let bytes =
        fs::read(&database).unwrap_or_else(|e| panic!("cannot read {}: {e}", database.display()));
    assert!(
        bytes.starts_with(b"SQLite format 3\0") && bytes.len() > 1_000_000,
        "{} is not PROJ's database ({} bytes); `cargo clean -p proj-sys` and build again",
        database.display(),
        bytes.len()
    );
    let target = out.join("proj.db");
    fs::write(&target, bytes).unwrap_or_else(|e| panic!("cannot write {}: {e}", target.display()));
}

/// proj.db where PROJ installs it, else where PROJ builds it.
fn find(root: &Path) -> Option<PathBuf> {
    ["share/proj/proj.db", "build/data/proj.db"]
        .iter()
        .map(|p| root.join(p))
        .find(|p| p.is_file())
}
