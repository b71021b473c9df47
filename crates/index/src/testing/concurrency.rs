//! Several tasks at once.

use std::collections::HashSet;
use std::sync::Arc;

use datacube_model::Dataset;
use futures::{StreamExt, future};

use super::{Scene, fill, found, product};
use crate::catalog::{AddOptions, AddOutcome, Index};
use crate::query::Query;

pub(super) async fn writers_at_once_add_everything_once(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..400)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    let tasks = (0..8_usize).map(|task| {
        let (index, given) = (Arc::clone(&index), Arc::clone(&given));
        // Each adds half of everything, shifted against the others.
        let mine: Vec<Dataset> = (0..200)
            .map(|n| datasets[(task * 50 + n) % 400].clone())
            .collect();
        tokio::spawn(async move {
            index.add_product(&given).await.expect("added, or there");
            let mut outcomes = Vec::new();
            for batch in mine.chunks(40) {
                let options = AddOptions::default();
                outcomes.extend(
                    index
                        .add_datasets(batch.to_vec(), &options)
                        .await
                        .expect("written"),
                );
            }
            outcomes
        })
    });
    let mut n_added = 0;
    for outcomes in future::join_all(tasks).await {
        let outcomes = outcomes.expect("no task panics");
        assert!(!outcomes.iter().any(AddOutcome::is_failed), "{outcomes:?}");
        n_added += outcomes.iter().filter(|outcome| outcome.is_added()).count();
    }
    assert_eq!(n_added, 400);
    let ids: HashSet<_> = found(&*index, &Query::new()).await.into_iter().collect();
    assert_eq!(ids, datasets.iter().map(Dataset::id).collect());
}

pub(super) async fn a_stream_is_not_disturbed_by_writers(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..1000)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    let (before, meanwhile) = datasets.split_at(600);
    fill(&*index, before.to_vec()).await;
    let mut stream = index.search(&Query::new());
    let mut seen = Vec::new();
    let mut batches = meanwhile.chunks(50);
    while let Some(dataset) = stream.next().await {
        seen.push(dataset.expect("it reads").id());
        if seen.len() % 60 == 0
            && let Some(batch) = batches.next()
        {
            fill(&*index, batch.to_vec()).await;
        }
    }
    let unique: HashSet<_> = seen.iter().copied().collect();
    assert_eq!(unique.len(), seen.len(), "nothing comes twice");
    assert!(
        before.iter().all(|dataset| unique.contains(&dataset.id())),
        "nothing is missing"
    );
}
