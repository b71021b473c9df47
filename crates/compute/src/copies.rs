//! Values that one copy of this library has made and another one is asked to use.
//!
//! A Rust notebook compiles each cell to a library of its own, and links the crates that
//! it depends on into each of them: with their statics and thread-locals, so that a lock
//! of one copy does not wake the threads of another, and a runtime of one is not seen by
//! the other. One shared library for all cells (the crate `datacube-notebook`) is the way;
//! without it a value that owns threads or connections says so, where it would hang.

use std::sync::atomic::AtomicU8;

/// The copy of this library that made something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied(usize);

impl Copied {
    /// The copy that is asked.
    pub fn here() -> Copied {
        // Each copy has its own; what is in it does not matter.
        static MARK: AtomicU8 = AtomicU8::new(0);
        #[cfg(test)]
        if tests::AS_ANOTHER.get() {
            return Copied(1);
        }
        Copied((&raw const MARK).addr())
    }

    /// Whether the copy that is asked is another one.
    pub fn is_elsewhere(self) -> bool {
        self != Copied::here()
    }

    /// # Errors
    /// Where the copy that is asked is another one; `what` is the value, such as
    /// `the LocalCluster`.
    pub fn check(self, what: &'static str) -> Result<(), OtherCopy> {
        if self.is_elsewhere() {
            return Err(OtherCopy { what });
        }
        Ok(())
    }
}

/// A value was made by another copy of this library in the same process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} was made by another copy of datacube: each cell of a Rust notebook has its own. Let the cells share one, with `package = \"datacube-notebook\"` in the notebook's line `:dep datacube = {{ ... }}`, or make and use {what} in one cell"
)]
pub struct OtherCopy {
    /// The value.
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Client, Coords, DataArray, Error, LocalCluster};

    thread_local! {
        pub(super) static AS_ANOTHER: Cell<bool> = const { Cell::new(false) };
    }

    /// Does `work` as another copy of the library would.
    fn as_another<T>(work: impl FnOnce() -> T) -> T {
        AS_ANOTHER.set(true);
        let done = work();
        AS_ANOTHER.set(false);
        done
    }

    #[test]
    fn another_copy_is_told_from_this_one() {
        let here = Copied::here();
        assert_eq!(here.check("the index"), Ok(()));
        let told = as_another(|| here.check("the index")).unwrap_err();
        assert!(told.to_string().starts_with("the index was made by"));
        assert!(
            told.to_string()
                .contains("package = \"datacube-notebook\"` in")
        );
    }

    #[test]
    fn another_copy_cannot_use_a_cluster_and_does_not_wait_for_it() {
        let cluster = LocalCluster::new().n_workers(1).start().unwrap();
        let client = Client::quiet(&cluster).unwrap();
        let one = DataArray::from_values("one", &["x"], &[1], vec![1u8], Coords::new()).unwrap();
        as_another(|| {
            let refused = client.compute(&one).result();
            assert!(matches!(refused, Err(Error::OtherCopy(_))), "{refused:?}");
            let refused = client.submit(|| 1).result().unwrap_err();
            assert!(refused.to_string().contains("another copy"), "{refused}");
            let refused = Client::quiet(&cluster);
            assert!(matches!(refused, Err(Error::OtherCopy(_))), "{refused:?}");
            assert!(matches!(cluster.scale(2), Err(Error::OtherCopy(_))));
        });
        assert_eq!(client.submit(|| 1).result().unwrap(), 1);
        as_another(|| cluster.close());
        assert!(cluster.is_closed());
    }
}
