//! The index as a whole: emptied, and filled from another.

use datacube_index::{CloneOptions, CloneReport, clone_index};

use crate::config::{self, ConfigOptions};
use crate::{Datacube, Result};

both! {
    /// Removes everything, the schema too: the index is then as it was before
    /// it was created.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be written.
    clear / clear_async (index) -> () {
        Ok(index.clear().await?)
    }
}

impl Datacube {
    /// Copies the index that `source` leads to into this one; what is there
    /// already is left as it is. `progress` hears after each batch how far it is.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a source that cannot be
    /// found; [`Error::Index`](crate::Error::Index) when the two mean different
    /// things by one name, and when one cannot be read or the other written.
    pub fn clone_from_index(
        &self,
        source: ConfigOptions,
        options: &CloneOptions,
        progress: impl FnMut(&CloneReport) + Send + 'static,
    ) -> Result<CloneReport> {
        self.opened()
            .block_on(copy(self.clone(), source, options.clone(), progress))
    }

    /// [`Datacube::clone_from_index`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::clone_from_index`].
    pub async fn clone_from_index_async(
        &self,
        source: ConfigOptions,
        options: &CloneOptions,
        progress: impl FnMut(&CloneReport) + Send + 'static,
    ) -> Result<CloneReport> {
        self.opened()
            .spawn(copy(self.clone(), source, options.clone(), progress))
            .await
    }
}

async fn copy(
    to: Datacube,
    source: ConfigOptions,
    options: CloneOptions,
    mut progress: impl FnMut(&CloneReport) + Send + 'static,
) -> Result<CloneReport> {
    let resolved = config::resolve(&source)?;
    let from = datacube_index::open(&resolved.index_url).await?;
    let report = clone_index(&*from, &**to.index(), &options, &mut progress).await;
    from.close().await?;
    Ok(report?)
}
