//! The cases that every index passes, and documents to make more of them.
//!
//! An implementation runs [`run_all`] in a test of its own, with a function
//! that makes it a fresh index for each case. What the cases say is the
//! meaning of the contract in [`Index`]: results are compared in full and in
//! order.

mod adding;
mod areas;
mod concurrency;
mod definitions;
mod expressions;
mod fields;
mod lineage;
mod locations;
mod maturity;
mod ordering;
mod removing;
mod scenes;
mod searching;
mod summaries;
mod transfer;
mod updating;

use std::sync::Arc;

use datacube_model::Dataset;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::catalog::{AddOptions, AddOutcome, Index, IndexExt};
use crate::error::Error;
use crate::query::Query;

pub use scenes::{Scene, metadata_type, product, product_of, simple_product};

/// One rule of the contract.
struct Case {
    name: &'static str,
    run: fn(Arc<dyn Index>) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        const CASES: &[Case] = &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |index| Box::pin($module::$name(index)),
        }),+];
    };
}

cases![
    definitions::a_new_index_has_the_built_in_types_and_nothing_else,
    definitions::init_twice_changes_nothing,
    definitions::metadata_types_are_added_once,
    definitions::products_are_added_once,
    definitions::a_product_brings_its_metadata_type,
    definitions::unknown_names_are_told_with_near_ones,
    adding::what_goes_in_comes_out,
    adding::documents_keep_every_number_and_the_order_of_keys,
    adding::adding_twice_changes_nothing,
    adding::another_document_under_an_id_is_refused,
    adding::wrong_products_keep_no_other_from_being_added,
    adding::the_same_dataset_twice_in_a_batch_is_added_once,
    adding::locations_are_kept_with_their_state,
    adding::the_archived_state_of_what_is_added_is_kept,
    adding::large_batches_are_added_whole,
    adding::archiving_and_restoring_report_every_id,
    searching::results_are_ordered_by_middle_and_id,
    searching::a_limit_keeps_the_earliest,
    searching::closed_time_ranges_meet_at_their_ends,
    searching::long_datasets_are_found_far_from_their_middle,
    searching::products_are_merged_in_order,
    searching::ids_narrow_the_result,
    searching::archived_datasets_are_found_when_asked_for,
    searching::long_lists_are_searched,
    searching::a_stream_gives_everything_once,
    searching::a_stream_may_be_dropped,
    areas::only_what_meets_the_area_is_found,
    areas::points_lines_and_several_polygons_are_areas,
    areas::an_area_may_be_in_any_crs,
    areas::the_antimeridian_is_crossed,
    areas::poles_are_covered,
    areas::impossible_areas_are_refused,
    areas::areas_and_times_go_together,
    fields::every_class_of_field_is_compared,
    fields::missing_values_pass_only_not,
    fields::text_is_compared_letter_for_letter,
    fields::what_every_dataset_has_is_a_field_too,
    fields::products_without_a_field_are_left_out,
    fields::wrong_fields_and_types_are_refused,
    expressions::expressions_find_what_they_say,
    expressions::errors_point_at_the_place,
    concurrency::writers_at_once_add_everything_once,
    concurrency::a_stream_is_not_disturbed_by_writers,
    ordering::every_field_orders_and_what_has_none_is_last,
    ordering::ties_are_in_the_usual_order_and_fields_add_up,
    ordering::a_limit_keeps_the_first_of_the_order,
    ordering::states_and_places_order_too,
    ordering::impossible_orders_are_refused,
    locations::locations_come_go_and_change_places,
    locations::datasets_are_found_by_where_they_are,
    lineage::relations_are_walked_level_by_level,
    lineage::contradictions_are_refused_as_a_whole,
    lineage::relations_are_removed_along_a_walk,
    lineage::what_documents_say_is_recorded,
    lineage::documents_that_contradict_are_not_added,
    lineage::purging_removes_what_a_dataset_says_of_itself,
    lineage::datasets_have_homes,
    updating::products_are_replaced_safely,
    updating::unsafe_changes_need_leave,
    updating::new_fields_find_what_is_there,
    updating::moved_fields_are_read_anew,
    updating::a_product_may_change_its_type,
    updating::datasets_are_found_by_what_they_are_now,
    updating::every_dataset_of_an_update_has_its_outcome,
    updating::earlier_locations_stay_or_go,
    updating::documents_restate_their_lineage,
    removing::purged_datasets_are_nowhere,
    removing::products_go_with_their_datasets,
    removing::a_cleared_index_can_be_made_again,
    maturity::better_datasets_archive_lesser_ones,
    maturity::a_batch_is_taken_in_its_order,
    maturity::what_cannot_be_compared_is_not_added,
    maturity::updates_archive_lesser_ones_too,
    summaries::datasets_are_counted_by_product,
    summaries::datasets_are_counted_through_time,
    summaries::equal_datasets_are_grouped,
    summaries::extents_hold_what_is_found,
    summaries::extents_are_cut_at_the_antimeridian,
    summaries::chosen_fields_are_returned,
    summaries::outlines_are_those_of_the_documents,
    summaries::products_know_their_last_change,
    transfer::a_copy_holds_the_same,
    transfer::an_interrupted_copy_is_finished,
    transfer::lineage_is_copied_or_not,
    transfer::other_definitions_stop_a_copy,
];

/// Runs every case, each on an index that `factory` makes: fresh, ready for
/// use ([`Index::init`]), with the built-in metadata types.
///
/// # Panics
/// When a case fails; the message names all that did. Needs a tokio runtime.
pub async fn run_all<F, Fut>(factory: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Index>>,
{
    run_some(|_| true, factory).await;
}

/// As [`run_all`], for the cases whose names (`searching::ids_narrow_the_result`)
/// are wanted; for indexes that by their nature keep a part of the contract.
///
/// # Panics
/// When a case fails, and when none is wanted.
pub async fn run_some<F, Fut>(is_wanted: impl Fn(&str) -> bool, factory: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Index>>,
{
    let mut failed = Vec::new();
    let wanted: Vec<&Case> = CASES.iter().filter(|case| is_wanted(case.name)).collect();
    assert!(!wanted.is_empty(), "no case is wanted");
    let n_cases = wanted.len();
    for case in wanted {
        let index = factory().await;
        // A task of its own, so that the others run when it panics.
        if let Err(error) = tokio::spawn((case.run)(index)).await {
            failed.push(format!("{}: {error}", case.name));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {n_cases} cases failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Adds datasets that have to be new, with their product.
async fn fill(index: &dyn Index, datasets: Vec<Dataset>) {
    for dataset in &datasets {
        index
            .add_product(dataset.product())
            .await
            .expect("the product can be added");
    }
    let outcomes = index
        .add_datasets(datasets, &AddOptions::default())
        .await
        .expect("the index can be written");
    for outcome in outcomes {
        assert!(outcome.is_added(), "{outcome:?}");
    }
}

/// The ids that a query finds; checks that counting agrees.
async fn found(index: &dyn Index, query: &Query) -> Vec<Uuid> {
    let datasets = index
        .find(query)
        .await
        .unwrap_or_else(|e| panic!("{query:?}: {e}"));
    let n = index
        .count(query)
        .await
        .unwrap_or_else(|e| panic!("{query:?}: {e}"));
    assert_eq!(n, datasets.len() as u64, "the count of {query:?}");
    datasets.iter().map(Dataset::id).collect()
}

/// Checks that a query finds exactly these scenes, in this order.
async fn check(index: &dyn Index, query: Query, scenes: &[&Scene]) {
    let expected: Vec<Uuid> = scenes.iter().map(|scene| scene.id()).collect();
    let found = found(index, &query).await;
    assert_eq!(found, expected, "{query:?}");
}

/// The error of a search, which the count has too.
async fn refusal(index: &dyn Index, query: &Query) -> Error {
    let error = match index.find(query).await {
        Ok(datasets) => panic!("{query:?} found {} datasets", datasets.len()),
        Err(error) => error,
    };
    let other = match index.count(query).await {
        Ok(n) => panic!("{query:?} counted {n} datasets"),
        Err(error) => error,
    };
    assert_eq!(error.to_string(), other.to_string(), "{query:?}");
    error
}

/// The short names of outcomes.
fn outcome_names(outcomes: &[AddOutcome]) -> Vec<&'static str> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            AddOutcome::Added => "added",
            AddOutcome::AlreadyThere => "already there",
            AddOutcome::Failed(_) => "failed",
        })
        .collect()
}
