//! Lineage: what datasets were made from, and what was made from them.

use datacube_index::{LineageOptions, LineageReport};
use datacube_model::lineage::{LineageDirection, LineageGraph, LineageRelation, LineageTree};
use uuid::Uuid;

both! {
    /// The relations that lead from datasets to their sources, or to what was
    /// derived from them, at most `max_depth` steps away; each once.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be read.
    lineage / lineage_async (
        index,
        ids: &[Uuid] = ids.to_vec(),
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Vec<LineageRelation> {
        Ok(index.lineage(&ids, direction, max_depth).await?)
    }

    /// A dataset with its sources, or with what was derived from it, as a tree
    /// of at most `max_depth` steps.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be read.
    lineage_tree / lineage_tree_async (
        index,
        id: Uuid,
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> LineageTree {
        let mut graph = LineageGraph::default();
        for relation in index.lineage(&[id], direction, max_depth).await? {
            graph.add(&relation)?;
        }
        Ok(graph.tree(id, direction, max_depth))
    }

    /// Records what datasets were made from: all of the relations or, on an
    /// error, none.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for relations that contradict each
    /// other or what is known.
    add_lineage / add_lineage_async (
        index,
        relations: &[LineageRelation] = relations.to_vec(),
        options: &LineageOptions = options.clone(),
    ) -> LineageReport {
        Ok(index.add_lineage(&relations, &options).await?)
    }

    /// Removes the relations that [`Datacube::lineage`](crate::Datacube::lineage)
    /// would give; tells how many those were.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be written.
    remove_lineage / remove_lineage_async (
        index,
        ids: &[Uuid] = ids.to_vec(),
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> u64 {
        Ok(index.remove_lineage(&ids, direction, max_depth).await?)
    }
}
