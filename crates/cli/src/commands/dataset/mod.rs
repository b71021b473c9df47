//! `datacube dataset`: the scenes that are indexed.

mod add;
mod archive;
mod count;
mod describe;
mod duplicates;
mod info;
mod purge;
mod search;
mod update;

use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::index::{ArchivedFilter, Query};
use uuid::Uuid;

use crate::args::{DatasetCommand, Status};
use crate::output;

pub(crate) use count::count_periods;
pub(crate) use describe::field_json;

pub(crate) fn run(dc: &Datacube, command: &DatasetCommand) -> Result<ExitCode> {
    match command {
        DatasetCommand::Add(args) => add::run(dc, args),
        DatasetCommand::Update(args) => update::run(dc, args),
        DatasetCommand::Info(args) => info::run(dc, args),
        DatasetCommand::Search(args) => search::run(dc, args),
        DatasetCommand::UriSearch(args) => search::by_uri(dc, args),
        DatasetCommand::Count(args) => count::run(dc, args),
        DatasetCommand::Archive(args) => archive::archive(dc, args),
        DatasetCommand::Restore(args) => archive::restore(dc, args),
        DatasetCommand::Purge(args) => purge::run(dc, args),
        DatasetCommand::FindDuplicates(args) => duplicates::run(dc, args),
    }
}

impl From<Status> for ArchivedFilter {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => ArchivedFilter::Active,
            Status::Archived => ArchivedFilter::Archived,
            Status::All => ArchivedFilter::Any,
        }
    }
}

pub(crate) fn parse_query(dc: &Datacube, expressions: &[String], status: Status) -> Result<Query> {
    let query = dc.parse_query(&expressions.join(" "))?;
    Ok(query.archived(status.into()))
}

/// The ids of all datasets that match, in the order of a search.
fn ids_of(dc: &Datacube, query: Query) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    dc.search_each(query, |dataset| {
        ids.push(dataset.id());
        anyhow::Ok(())
    })?;
    Ok(ids)
}

/// Tells the ids that the index does not hold; how many there are.
fn note_unknown<'a>(ids: impl IntoIterator<Item = &'a Uuid>) -> usize {
    ids.into_iter()
        .map(|id| output::note(format!("No dataset found with id: {id}")))
        .count()
}
