//! The index as a whole: made, emptied, copied.

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
