//! `datacube system`: create, check, describe, copy and clear the index.

use std::process::ExitCode;

use anyhow::{Result, bail};
use datacube::index::{
    CloneLineage, CloneOptions, Error as IndexError, InitOptions, InitOutcome, without_password,
};
use datacube::{Datacube, Error, Origin, Resolved, resolve_config};
use serde_json::{Value, json};

use super::{config_options, exit_code, open};
use crate::args::{CloneArgs, Format, GlobalArgs, InitArgs, SystemCommand};
use crate::output::{self, Consent, Progress, Row, Rows, bold, confirm, counted};

pub(crate) fn run(global: &GlobalArgs, command: &SystemCommand) -> Result<ExitCode> {
    match command {
        SystemCommand::Init(args) => init(global, args),
        SystemCommand::Check => check(global),
        SystemCommand::Info { format } => info(global, *format),
        SystemCommand::Clone(args) => clone(global, args),
        SystemCommand::Clear { dry_run, yes } => {
            clear(global, dry_run.dry_run, Consent::of(yes.yes, false))
        }
    }
}

fn init(global: &GlobalArgs, args: &InitArgs) -> Result<ExitCode> {
    if args.dry_run.dry_run {
        output::line(match open_as_it_is(global)?.check() {
            Ok(_) => "The index is there and up to date.".to_owned(),
            Err(Error::Index(IndexError::NotInitialised { .. })) => {
                "Would create the index.".to_owned()
            }
            Err(Error::Index(IndexError::SchemaTooOld {
                found, expected, ..
            })) => {
                format!("Would update the index from schema version {found} to {expected}.")
            }
            Err(error) => return Err(error.into()),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line("Initialising database...")?;
    let options = InitOptions::default()
        .default_types(!args.no_default_types)
        .users(!args.no_init_users);
    let (_, outcome) = Datacube::create_with(config_options(global), &options)?;
    output::line(bold(match outcome {
        InitOutcome::Created => "Created.",
        InitOutcome::Updated => "Updated.",
        _ => "Already up to date.",
    }))?;
    output::line("Done.")?;
    Ok(ExitCode::SUCCESS)
}

/// The index, made by nobody: also one that nobody named.
fn open_as_it_is(global: &GlobalArgs) -> Result<Datacube> {
    let mut options = config_options(global);
    let resolved = resolve_config(&options)?;
    options.index = Some(resolved.index_url);
    Ok(Datacube::open_with(options)?)
}

fn origin(resolved: &Resolved) -> String {
    match &resolved.origin {
        Origin::Argument => "--index".to_owned(),
        Origin::Config(place) => place.clone(),
        Origin::Default => "default: nothing is configured".to_owned(),
    }
}

fn check(global: &GlobalArgs) -> Result<ExitCode> {
    let resolved = resolve_config(&config_options(global))?;
    let settings = &resolved.settings;
    let field = |name: &str, value: &str| output::line(format!("{name:<22}{}", bold(value)));
    let limit = settings
        .dc_load_limit
        .map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let opened = open_as_it_is(global);
    let info = opened.and_then(|dc| Ok((dc.check()?, dc)));
    field("Version:", env!("CARGO_PKG_VERSION"))?;
    if let Ok((info, _)) = &info {
        field("Index Driver:", info.driver)?;
    }
    field("Database URL:", &without_password(&resolved.index_url))?;
    field("Found by:", &origin(&resolved))?;
    field(
        "Skip broken datasets:",
        if settings.skip_broken_datasets {
            "True"
        } else {
            "False"
        },
    )?;
    field("Datacube load limit:", &limit)?;
    if let Ok((info, _)) = &info {
        field("Products:", &info.n_products.to_string())?;
        field("Datasets:", &info.n_datasets.to_string())?;
        field("Writable:", if info.writable { "yes" } else { "no" })?;
    }
    output::line("")?;
    match info {
        Ok((_, dc)) => {
            output::line(format!("Valid connection:\t{}", bold("YES")))?;
            if let Some(role) = own_role(&dc, &resolved.index_url) {
                output::line(format!("You have {} privileges.", bold(&role)))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::line(format!("Valid connection:\t{}", bold("NO")))?;
            Err(error)
        }
    }
}

/// The role of the one who is connected, where the index has roles.
fn own_role(dc: &Datacube, url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let users = dc.users().ok()?;
    let by_query = url.query_pairs().find(|(key, _)| key == "user");
    let name = match url.username() {
        "" => by_query?.1.into_owned(),
        name => name.to_owned(),
    };
    // Roles come from the least on; one user may have several.
    let own = users.iter().rfind(|user| user.name == name)?;
    Some(own.role.to_uppercase())
}

fn info(global: &GlobalArgs, format: Format) -> Result<ExitCode> {
    let dc = open(global)?;
    let info = dc.check()?;
    let resolved = dc.configuration();
    let types = dc.metadata_types()?;
    let types: Vec<&str> = types.iter().map(|item| item.name()).collect();
    let crses: Vec<String> = dc
        .spatial_indexes()?
        .iter()
        .map(ToString::to_string)
        .collect();
    let row: Row = [
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("driver", json!(info.driver)),
        ("url", json!(info.url)),
        ("found_by", json!(origin(resolved))),
        ("environment", json!(resolved.environment)),
        ("schema_version", json!(info.schema_version)),
        ("writable", json!(info.writable)),
        ("products", json!(info.n_products)),
        ("datasets", json!(info.n_datasets)),
        ("metadata_types", json!(types)),
        ("spatial_indexes", json!(crses)),
        (
            "skip_broken_datasets",
            json!(resolved.settings.skip_broken_datasets),
        ),
        ("dc_load_limit", json!(resolved.settings.dc_load_limit)),
    ]
    .into_iter()
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .collect();
    match format {
        // One thing reads better downwards.
        Format::Table => {
            let mut rows = Rows::new(format, ["name", "value"]);
            for (name, value) in row {
                let value = match value {
                    Value::Array(items) => {
                        let items = items.iter().filter_map(Value::as_str);
                        items.collect::<Vec<_>>().join(", ").into()
                    }
                    other => other,
                };
                rows.push(
                    &[("name".into(), name.into()), ("value".into(), value)]
                        .into_iter()
                        .collect(),
                )?;
            }
            rows.finish()?;
        }
        // One object, not a list of one.
        Format::Json => output::documents(&[row.into()], crate::args::DocumentFormat::Json)?,
        _ => {
            let columns: Vec<String> = row.keys().cloned().collect();
            let mut rows = Rows::new(format, columns);
            rows.push(&row)?;
            rows.finish()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn clone(global: &GlobalArgs, args: &CloneArgs) -> Result<ExitCode> {
    let lineage = match (args.skip_lineage, args.lineage_only) {
        (true, true) => bail!("Cannot set both lineage-only and skip-lineage"),
        (true, false) => CloneLineage::Skip,
        (false, true) => CloneLineage::Only,
        (false, false) => CloneLineage::With,
    };
    let options = CloneOptions::default()
        .batch_size(usize::try_from(args.batch_size)?)
        .lineage(lineage)
        .archived(args.archived)
        .dry_run(args.dry_run.dry_run);
    let mut source = config_options(global);
    // Names of environments have no colon, URLs have.
    let (index, environment) = match args.source.contains(':') {
        true => (Some(args.source.clone()), None),
        false => (None, Some(args.source.clone())),
    };
    source.index = index;
    source.environment = environment;
    let dc = open(global)?;
    let progress = Progress::counting("Cloning datasets");
    let bar = progress.counter();
    let report = dc.clone_from_index(source, &options, move |report| {
        bar.set_position(report.datasets + report.datasets_skipped + report.relations);
    })?;
    drop(progress);
    let verb = if args.dry_run.dry_run {
        "Would clone"
    } else {
        "Cloned"
    };
    for (count, noun) in [
        (report.spatial_indexes, "spatial index"),
        (report.metadata_types, "metadata type"),
        (report.products, "product"),
        (report.datasets, "dataset"),
        (report.relations, "lineage relation"),
    ] {
        let counted = counted(count, noun).replace("indexs", "indexes");
        output::line(format!("{verb} {counted}"))?;
    }
    if report.datasets_skipped > 0 {
        output::line(format!(
            "{} already there",
            counted(report.datasets_skipped, "dataset")
        ))?;
    }
    let n_failed = report.failed.len() + report.products_left_out.len();
    if !report.metadata_types_left_out.is_empty() {
        output::line(format!(
            "Left out metadata types that this index cannot hold: {}",
            report.metadata_types_left_out.join(", ")
        ))?;
    }
    for name in &report.products_left_out {
        let error = anyhow::anyhow!(
            "product `{name}` is of a metadata type that this index cannot hold; it was left out \
             with its datasets"
        );
        output::report_error(&error, false);
    }
    for (id, error) in report.failed {
        let error = anyhow::Error::from(error).context(format!("dataset {id}"));
        output::report_error(&error, false);
    }
    Ok(exit_code(n_failed))
}

fn clear(global: &GlobalArgs, dry_run: bool, consent: Consent) -> Result<ExitCode> {
    let dc = open_as_it_is(global)?;
    let info = dc.check()?;
    let held = format!(
        "{} and {}",
        counted(info.n_products, "product"),
        counted(info.n_datasets, "dataset")
    );
    if dry_run {
        output::line(format!("Would remove {held} from {}", info.url))?;
        return Ok(ExitCode::SUCCESS);
    }
    let warning = format!("The index at {} with {held} will be removed", info.url);
    if !confirm(&warning, consent)? {
        return Ok(exit_code(1));
    }
    dc.clear()?;
    output::line(format!("Removed {held} from {}", info.url))?;
    Ok(ExitCode::SUCCESS)
}
