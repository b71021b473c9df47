//! Every command of an operator through the real binary, each with its failure.
//!
//! A scenario is a function of a [`Kit`]: an index and a folder of documents of
//! its own. All of them run on an embedded index, one test each, and again on a
//! PostGIS server where there is one.

mod archive;
mod clone;
mod count;
mod dataset_add;
mod dataset_update;
mod definitions;
mod duplicates;
mod info;
mod kit;
mod legacy;
mod purge;
mod search;
mod search_tool;
mod server;
mod shell;
mod stac;
mod system;
mod terminal;

use kit::Kit;

/// Names the scenarios: a test of each, and a list of all.
macro_rules! scenarios {
    ($($group:ident: $($name:ident),+ $(,)?;)+) => {
        mod on_sqlite {
            $(mod $group {
                $(#[test]
                fn $name() {
                    crate::$group::$name(&crate::Kit::sqlite());
                })+
            })+
        }

        const SCENARIOS: &[(&str, fn(&Kit))] = &[
            $($((concat!(stringify!($group), "::", stringify!($name)), $group::$name),)+)+
        ];
    };
}

scenarios! {
    system: init_is_idempotent, check_tells_what_there_is, info_in_every_format,
        clear_asks_and_removes_everything, an_unreachable_index_is_told;
    definitions: metadata_types_are_added_listed_and_shown, metadata_types_are_updated,
        products_are_added_listed_and_shown, products_are_updated, products_are_deleted,
        files_that_hold_nothing_fail;
    dataset_add: datasets_are_added_once, a_bad_document_fails_the_command_and_not_the_others,
        each_of_many_documents_is_told_once, products_are_chosen, lineage_is_recorded_or_not, less_mature_datasets_are_archived,
        compressed_documents_are_read;
    stac: an_api_is_asked_for_what_is_wanted, mistakes_are_explained, tables_are_read_or_explained;
    dataset_update: safe_changes_are_made, unsafe_changes_are_refused_and_explained,
        locations_are_dealt_with, what_is_not_there_fails;
    info: datasets_are_described, sources_and_derived_are_shown, missing_ones_are_counted;
    search: every_format_has_the_same_datasets, fields_and_order_are_chosen,
        mistakes_are_explained, by_location;
    count: by_product, through_time, mistakes_are_explained;
    archive: archived_datasets_are_not_found_until_they_are_restored, by_query_and_all,
        derived_ones_follow, unknown_ids_archive_nothing;
    purge: only_archived_ones_go, forced_ones_go_too, scripts_have_to_say_yes;
    duplicates: equal_ones_are_grouped, mistakes_are_explained;
    clone: into_another_index, options_and_mistakes;
    search_tool: datasets_and_counts;
    server: spatial_indexes, users;
}

#[test]
fn every_scenario_on_postgis() {
    let Some(cluster) = datacube_testkit::Cluster::start() else {
        return;
    };
    let mut failed = Vec::new();
    for (name, scenario) in SCENARIOS {
        let kit = Kit::postgis(&cluster);
        let run = std::panic::AssertUnwindSafe(|| scenario(&kit));
        if std::panic::catch_unwind(run).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "on PostGIS these failed: {failed:?}");
}
