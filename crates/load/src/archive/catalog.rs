//! Scenes whose documents are looked up when a chunk needs them.

use std::fmt;

use async_trait::async_trait;

use super::Scene;
use crate::error::BoxError;

/// Knows the files of an archive's scenes, which the archive then does not hold.
///
/// Documents of very many datasets take more memory than there is, and a chunk needs
/// a few. An archive of such scenes holds where they lie and when they
/// were taken, finds those that a chunk may need, and asks for their files as the
/// chunk is fetched.
///
/// # Contract
///
/// Scenes are asked for again and again, by several tasks at once: answers are to be
/// kept as long as memory allows, and are to be the same each time.
#[async_trait]
pub trait SceneCatalog: fmt::Debug + Send + Sync {
    /// These scenes of the archive, in the order asked for: where they lie, exactly,
    /// and their files, an entry for each band that the archive was built with.
    ///
    /// # Errors
    /// Where they cannot be asked for, or are not there any more; the text names the
    /// dataset.
    async fn scenes(&self, scenes: &[u32]) -> Result<Vec<Scene>, BoxError>;

    /// Bytes that are equal for two catalogs that give equal scenes.
    fn identity(&self) -> Vec<u8>;
}
