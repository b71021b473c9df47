//! The part of the contract that is about reading, kept on a database that is
//! written as Python writes it.

mod indexed;
mod scribe;

use std::sync::Arc;

use datacube_testkit::Cluster;

use crate::catalog::Index;
use crate::testing;

use scribe::Scribe;

/// Cases of the contract that are about reading, and what else they need the
/// scribe does.
const MODULES: [&str; 6] = [
    "searching::",
    "areas::",
    "fields::",
    "expressions::",
    "ordering::",
    "summaries::",
];
/// This one changes datasets in ways that the scribe does not know.
const UPDATES: &str = "summaries::products_know_their_last_change";
const CASES: [&str; 5] = [
    "locations::datasets_are_found_by_where_they_are",
    "adding::what_goes_in_comes_out",
    "adding::locations_are_kept_with_their_state",
    "adding::the_archived_state_of_what_is_added_is_kept",
    "definitions::unknown_names_are_told_with_near_ones",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_as_the_contract_says() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let cluster = Arc::new(cluster);
    let is_wanted = |name: &str| {
        let of_a_module = MODULES.iter().any(|module| name.starts_with(module));
        (of_a_module && name != UPDATES) || CASES.contains(&name)
    };
    testing::run_some(is_wanted, || {
        let cluster = Arc::clone(&cluster);
        async move {
            let scribe: Arc<dyn Index> = Arc::new(Scribe::new(&cluster).await);
            scribe
        }
    })
    .await;
}
