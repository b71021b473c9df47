//! `datacube spindex`: spatial indexes of a PostgreSQL index, one a CRS.

use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::geo::Crs;
use uuid::Uuid;

use super::exit_code;
use crate::args::{LinesFormat, SpindexCommand};
use crate::output::{self, Consent, Row, Rows, confirm, counted};

pub(crate) fn run(dc: &Datacube, command: &SpindexCommand) -> Result<ExitCode> {
    match command {
        SpindexCommand::Create {
            srids,
            update,
            dry_run,
            ..
        } => create(dc, srids, *update, dry_run.dry_run),
        SpindexCommand::List { format } => list(dc, *format),
        SpindexCommand::Update {
            srids,
            products,
            datasets,
            dry_run,
        } => update(dc, srids, products, datasets, *dry_run),
        SpindexCommand::Drop {
            srids,
            force,
            dry_run,
            yes,
            ..
        } => {
            let consent = Consent::of(yes.yes || *force, false);
            drop_indexes(dc, srids, dry_run.dry_run, consent)
        }
    }
}

/// A CRS with its EPSG code, from `EPSG:3577` or `3577`; others are told.
fn parse(srid: &str) -> Option<(Crs, u32)> {
    let parsed = match srid.parse::<u32>() {
        Ok(code) => Crs::from_epsg(code),
        Err(_) => Crs::parse(srid),
    };
    let Ok(crs) = parsed else {
        output::note(format!("{srid} cannot be converted to a valid CRS"));
        return None;
    };
    let code = crs.epsg();
    if code.is_none() {
        output::note(format!(
            "{srid} cannot be converted to a CRS with an EPSG number"
        ));
    }
    Some((crs, code?))
}

fn codes<'a>(codes: impl IntoIterator<Item = &'a u32>) -> String {
    let codes: Vec<String> = codes.into_iter().map(ToString::to_string).collect();
    codes.join(",")
}

fn create(dc: &Datacube, srids: &[String], update: bool, dry_run: bool) -> Result<ExitCode> {
    let existing = dc.spatial_indexes()?;
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    for srid in srids {
        let Some((crs, code)) = parse(srid) else {
            failed.push(srid.clone());
            continue;
        };
        if existing.contains(&crs) {
            output::line(format!("There is a spatial index for EPSG:{code} already"))?;
            made.push((crs, code));
        } else if dry_run {
            output::line(format!("Would create a spatial index for EPSG:{code}"))?;
        } else {
            match dc.create_spatial_index(&crs) {
                Ok(_) => made.push((crs, code)),
                Err(error) => {
                    output::report_error(&error.into(), false);
                    failed.push(srid.clone());
                }
            }
        }
    }
    if !failed.is_empty() {
        output::note(format!(
            "Could not create spatial indexes for: {}",
            failed.join(",")
        ));
    }
    if !dry_run && !made.is_empty() {
        let made_codes = codes(made.iter().map(|(_, code)| code));
        output::line(format!("Spatial indexes created for: {made_codes}"))?;
        if !update {
            output::line(
                "Newly created spatial indexes are unpopulated - run the 'spindex update' \
                 command before use.",
            )?;
        } else if failed.is_empty() {
            let crses: Vec<Crs> = made.into_iter().map(|(crs, _)| crs).collect();
            let count = dc.update_spatial_index(&crses, &[], &[])?;
            output::line(format!(
                "{count} extents checked and updated in spatial indexes"
            ))?;
        } else {
            output::note("Skipping update");
        }
    }
    Ok(exit_code(failed.len()))
}

fn list(dc: &Datacube, format: LinesFormat) -> Result<ExitCode> {
    let mut rows = format
        .rows()
        .map(|format| Rows::new(format, ["crs", "name"]));
    for crs in dc.spatial_indexes()? {
        let code = crs
            .epsg()
            .map_or_else(|| crs.to_string(), |code| format!("EPSG:{code}"));
        match &mut rows {
            Some(rows) => {
                let mut row = Row::new();
                row.insert("crs".into(), code.into());
                row.insert("name".into(), crs.name().to_string().into());
                rows.push(&row)?;
            }
            None => output::line(code)?,
        }
    }
    if let Some(rows) = rows {
        rows.finish()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Those of the CRSs that have an index, and how many do not.
fn existing(dc: &Datacube, srids: &[String]) -> Result<(Vec<(Crs, u32)>, usize)> {
    let indexes = dc.spatial_indexes()?;
    let mut found = Vec::new();
    let mut n_failed = 0;
    for srid in srids {
        match parse(srid) {
            Some((crs, code)) if indexes.contains(&crs) => found.push((crs, code)),
            Some(_) => {
                n_failed += 1;
                output::note(format!("No spatial index for crs {srid} exists: skipping"));
            }
            None => n_failed += 1,
        }
    }
    Ok((found, n_failed))
}

fn update(
    dc: &Datacube,
    srids: &[String],
    products: &[String],
    datasets: &[Uuid],
    dry_run: bool,
) -> Result<ExitCode> {
    let (found, n_failed) = existing(dc, srids)?;
    if found.is_empty() {
        output::line("Nothing to update!")?;
        return Ok(exit_code(n_failed));
    }
    if dry_run {
        let found = codes(found.iter().map(|(_, code)| code));
        output::line(format!("Would update spatial indexes for: {found}"))?;
        return Ok(exit_code(n_failed));
    }
    let n_indexes = u64::try_from(found.len())?;
    let crses: Vec<Crs> = found.into_iter().map(|(crs, _)| crs).collect();
    let count = dc.update_spatial_index(&crses, products, datasets)?;
    output::line(format!(
        "{count} extents checked and updated in {n_indexes} spatial indexes"
    ))?;
    Ok(exit_code(n_failed))
}

fn drop_indexes(
    dc: &Datacube,
    srids: &[String],
    dry_run: bool,
    consent: Consent,
) -> Result<ExitCode> {
    let (found, mut n_failed) = existing(dc, srids)?;
    if found.is_empty() {
        return Ok(exit_code(n_failed));
    }
    let named = codes(found.iter().map(|(_, code)| code));
    if dry_run {
        output::line(format!("Would drop spatial indexes for: {named}"))?;
        return Ok(exit_code(n_failed));
    }
    let count = counted(u64::try_from(found.len())?, "spatial index").replace("indexs", "indexes");
    let warning = format!("{count} will be dropped ({named}); making them again may take long");
    if !confirm(&warning, consent)? {
        return Ok(exit_code(1));
    }
    for (crs, code) in found {
        let done = dc.drop_spatial_index(&crs);
        let word = if done.is_ok() { "Done" } else { "Failed" };
        output::line(format!(
            "Deleting spatial index for CRS epsg:{code}: {word}"
        ))?;
        if let Err(error) = done {
            n_failed += 1;
            output::report_error(&error.into(), false);
        }
    }
    Ok(exit_code(n_failed))
}
