//! `datacube dataset info`: what is known of datasets, sources and derived ones included.

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::model::Dataset;
use datacube::model::lineage::{LineageDirection, LineageTree};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::describe::{describe, summarise};
use crate::args::{Format, InfoArgs};
use crate::output::{self, Row, Rows};

const COLUMNS: [&str; 4] = ["id", "status", "product", "location"];

pub(super) fn run(dc: &Datacube, args: &InfoArgs) -> Result<ExitCode> {
    let mut rows = Rows::new(args.format, COLUMNS);
    let mut n_missing: u8 = 0;
    for (id, dataset) in args.ids.iter().zip(dc.datasets(&args.ids)?) {
        let Some(dataset) = dataset else {
            // As in ODC the exit status counts; it has one byte.
            n_missing = n_missing.saturating_add(1);
            output::note(format!("{id} missing"));
            continue;
        };
        if matches!(args.format, Format::Table | Format::Csv) {
            rows.push(&summarise(&dataset))?;
            continue;
        }
        let mut row = describe(&dataset);
        if args.show_sources {
            let tree = dc.lineage_tree(*id, LineageDirection::Sources, Some(args.max_depth))?;
            let known = datasets_of(dc, &tree)?;
            row.insert("sources".into(), sources(&tree, &known).into());
        }
        if args.show_derived {
            let tree = dc.lineage_tree(*id, LineageDirection::Derived, Some(args.max_depth))?;
            let known = datasets_of(dc, &tree)?;
            row.insert("derived".into(), derived(&tree, &known).into());
        }
        rows.push(&row)?;
    }
    rows.finish()?;
    Ok(ExitCode::from(n_missing))
}

/// Those of the tree that the index holds.
fn datasets_of(dc: &Datacube, tree: &LineageTree) -> Result<HashMap<Uuid, Dataset>> {
    fn collect(tree: &LineageTree, ids: &mut BTreeSet<Uuid>) {
        for child in tree.children.iter().flatten().flat_map(|(_, trees)| trees) {
            ids.insert(child.dataset);
            collect(child, ids);
        }
    }
    let mut ids = BTreeSet::new();
    collect(tree, &mut ids);
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let found = dc.datasets(&ids)?;
    Ok(ids
        .into_iter()
        .zip(found)
        .filter_map(|(id, dataset)| Some((id, dataset?)))
        .collect())
}

/// Sources by classifier; several of one are numbered, as in ODC.
fn sources(tree: &LineageTree, known: &HashMap<Uuid, Dataset>) -> Map<String, Value> {
    let mut named = Map::new();
    for (classifier, trees) in tree.children.iter().flatten() {
        for (position, child) in trees.iter().enumerate() {
            let name = match trees.len() {
                1 => classifier.clone(),
                _ => format!("{classifier}{}", position + 1),
            };
            let mut row = relative(child.dataset, known);
            if child.children.as_ref().is_some_and(|next| !next.is_empty()) {
                row.insert("sources".into(), sources(child, known).into());
            }
            named.insert(name, row.into());
        }
    }
    named
}

fn derived(tree: &LineageTree, known: &HashMap<Uuid, Dataset>) -> Vec<Value> {
    let children = tree.children.iter().flatten();
    children
        .flat_map(|(_, trees)| trees)
        .map(|child| {
            let mut row = relative(child.dataset, known);
            if child.children.as_ref().is_some_and(|next| !next.is_empty()) {
                row.insert("derived".into(), derived(child, known).into());
            }
            Value::from(row)
        })
        .collect()
}

/// A source or derived dataset; the index may know no more of it than its id.
fn relative(id: Uuid, known: &HashMap<Uuid, Dataset>) -> Row {
    known.get(&id).map_or_else(
        || {
            let mut row = Row::new();
            row.insert("id".into(), json!(id));
            row.insert("status".into(), "not in this index".into());
            row
        },
        describe,
    )
}
