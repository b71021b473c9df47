//! Precedence: which environment is meant, and what each of its options is.
//!
//! A pure function of the caller's options, the environment variables and a
//! way to read files, so that every rule is a row in a test.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use datacube_index::without_password;
use indexmap::IndexMap;

use super::{ConfigDocument, ConfigOptions, default_index_path};
use crate::{Error, Result};

/// Where the resolved index came from; for `system check` and error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The caller named it (`--index`).
    Argument,
    /// ODC's configuration; the text says which file or variable.
    Config(String),
    /// Nothing is configured: the embedded file of this user.
    Default,
}

/// An index URL with the settings that go with it.
#[derive(Clone, PartialEq)]
pub struct Resolved {
    /// `sqlite:PATH`, `memory:` or `postgresql://...`, with the password if it
    /// has one; what is shown goes through [`datacube_index::without_password`].
    pub index_url: String,
    /// Where that came from.
    pub origin: Origin,
    /// The environment that was used; `None` with an explicit index.
    pub environment: Option<String>,
    /// The other settings of the environment.
    pub settings: Settings,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("index_url", &without_password(&self.index_url))
            .field("origin", &self.origin)
            .field("environment", &self.environment)
            .field("settings", &self.settings)
            .finish()
    }
}

/// The options of an environment that concern loading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Default of `LoadOptions::skip_broken_datasets`.
    pub skip_broken_datasets: bool,
    /// Default of `LoadOptions::limit`.
    pub dc_load_limit: Option<usize>,
}

type Variables = HashMap<String, String>;
type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Option<String>>;

/// ODC's usual files, in the order in which they are tried.
fn usual_files(variables: &Variables) -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("datacube.conf")];
    if let Some(home) = variables.get("HOME") {
        files.push(Path::new(home).join(".datacube.conf"));
    }
    files.push(PathBuf::from("/etc/default/datacube.conf"));
    files.push(PathBuf::from("/etc/datacube.conf"));
    files
}

struct Loaded {
    document: ConfigDocument,
    place: Option<String>,
    /// Text given in the process: variables do not override what it names.
    is_raw: bool,
}

fn load_document(
    options: &ConfigOptions,
    variables: &Variables,
    read: ReadFile<'_>,
) -> Result<Loaded> {
    let parse = |text: &str, place: String, is_raw| {
        ConfigDocument::parse(text, &place).map(|document| Loaded {
            document,
            place: Some(place),
            is_raw,
        })
    };
    if let Some(text) = &options.text {
        if !options.files.is_empty() {
            return Err(Error::Config {
                place: "the options".into(),
                problem: "a configuration text and configuration files exclude each other".into(),
            });
        }
        return parse(text, "the configuration text".into(), true);
    }
    let first_readable = |files: &[PathBuf]| -> Result<Option<Loaded>> {
        for file in files {
            if let Some(text) = read(file)? {
                return parse(&text, file.display().to_string(), false).map(Some);
            }
        }
        Ok(None)
    };
    let not_found = |place: &str, files: &[PathBuf]| Error::Config {
        place: place.into(),
        problem: format!(
            "no such file: {}",
            files
                .iter()
                .map(|f| f.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    if !options.files.is_empty() {
        return first_readable(&options.files)?
            .ok_or_else(|| not_found("--config", &options.files));
    }
    if let Some(text) = variables.get("ODC_CONFIG") {
        return parse(text, "ODC_CONFIG".into(), true);
    }
    for name in ["ODC_CONFIG_PATH", "DATACUBE_CONFIG_PATH"] {
        if let Some(paths) = variables.get(name) {
            let files: Vec<_> = paths
                .split(':')
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect();
            return first_readable(&files)?.ok_or_else(|| not_found(name, &files));
        }
    }
    let found = first_readable(&usual_files(variables))?;
    Ok(found.unwrap_or(Loaded {
        document: ConfigDocument::default(),
        place: None,
        is_raw: false,
    }))
}

/// The environment to use and whether it was picked by default.
fn choose_environment(
    options: &ConfigOptions,
    variables: &Variables,
    document: &ConfigDocument,
) -> (String, bool) {
    let asked = options
        .environment
        .as_ref()
        .or_else(|| variables.get("ODC_ENVIRONMENT"))
        .or_else(|| variables.get("DATACUBE_ENVIRONMENT"));
    if let Some(name) = asked {
        return (name.clone(), false);
    }
    let name = ["default", "datacube"]
        .into_iter()
        .find(|name| document.environments.contains_key(*name))
        .unwrap_or("default");
    (name.to_owned(), true)
}

/// The names under which an environment's variables are looked up: itself and its aliases.
fn alias_chain(name: &str, document: &ConfigDocument, place: &str) -> Result<Vec<String>> {
    let mut chain = vec![name.to_owned()];
    while let Some(alias) = chain
        .last()
        .and_then(|last| document.environments.get(last))
        .and_then(|options| options.get("alias"))
    {
        let fail = |problem| Error::Config {
            place: place.to_owned(),
            problem,
        };
        if chain.contains(alias) {
            return Err(fail(format!("the alias `{alias}` leads back to itself")));
        }
        if !document.environments.contains_key(alias) {
            return Err(fail(format!("the alias `{alias}` names no environment")));
        }
        chain.push(alias.clone());
    }
    Ok(chain)
}

/// Deprecated variables that only the environment picked by default honours.
fn legacy_variable(option: &str) -> Option<&'static str> {
    Some(match option {
        "db_hostname" => "DB_HOSTNAME",
        "db_port" => "DB_PORT",
        "db_username" => "DB_USERNAME",
        "db_password" => "DB_PASSWORD",
        "db_database" => "DB_DATABASE",
        "db_url" => "DATACUBE_DB_URL",
        _ => return None,
    })
}

pub(super) fn resolve(
    options: &ConfigOptions,
    variables: &Variables,
    read: ReadFile<'_>,
) -> Result<Resolved> {
    if let Some(index_url) = &options.index {
        return Ok(Resolved {
            index_url: index_url.clone(),
            origin: Origin::Argument,
            environment: None,
            settings: Settings::default(),
        });
    }
    let loaded = load_document(options, variables, read)?;
    let place = loaded
        .place
        .clone()
        .unwrap_or_else(|| "the environment variables".into());
    let (environment, by_default) = choose_environment(options, variables, &loaded.document);
    let chain = alias_chain(&environment, &loaded.document, &place)?;
    let section = chain
        .last()
        .and_then(|name| loaded.document.environments.get(name));
    let may_override = !(loaded.is_raw && loaded.document.environments.contains_key(&environment));

    let lookup = |option: &str| -> Option<String> {
        let from_variables = || {
            let upper = option.to_ascii_uppercase();
            chain
                .iter()
                .find_map(|name| {
                    variables.get(&format!("ODC_{}_{upper}", name.to_ascii_uppercase()))
                })
                .or_else(|| {
                    legacy_variable(option)
                        .filter(|_| by_default)
                        .and_then(|name| variables.get(name))
                })
                .or_else(|| variables.get(&format!("ODC_ALL_{upper}")))
        };
        may_override
            .then(from_variables)
            .flatten()
            .or_else(|| section.and_then(|section| section.get(option)))
            .filter(|value| !value.is_empty())
            .cloned()
    };

    let index_url = configured_url(&lookup, &place)?;
    if index_url.is_none() && section.is_none() && !by_default {
        let known: Vec<_> = loaded
            .document
            .environments
            .keys()
            .map(String::as_str)
            .collect();
        let there_are = if known.is_empty() {
            "no environment is configured; add it there, or give an index URL such as \
             sqlite:index.db or postgresql://host/database"
                .to_owned()
        } else {
            format!("there is {}", known.join(", "))
        };
        return Err(Error::Config {
            place,
            problem: format!("no environment `{environment}`; {there_are}"),
        });
    }
    let settings = read_settings(&lookup, &place)?;
    let (index_url, origin) = match index_url {
        Some(url) => (
            url,
            Origin::Config(format!("{place}, environment {environment}")),
        ),
        None => (
            format!("sqlite:{}", default_index_path()?.display()),
            Origin::Default,
        ),
    };
    Ok(Resolved {
        index_url,
        origin,
        environment: Some(environment),
        settings,
    })
}

fn read_settings(lookup: &dyn Fn(&str) -> Option<String>, place: &str) -> Result<Settings> {
    let fail = |problem| Error::Config {
        place: place.to_owned(),
        problem,
    };
    let skip_broken_datasets = match lookup("skip_broken_datasets") {
        None => false,
        Some(text) => parse_bool(&text).ok_or_else(|| {
            fail(format!(
                "skip_broken_datasets is `{text}`; expected true or false"
            ))
        })?,
    };
    let dc_load_limit = lookup("dc_load_limit")
        .map(|text| {
            text.parse().map_err(|_| {
                fail(format!(
                    "dc_load_limit is `{text}`; expected a whole number"
                ))
            })
        })
        .transpose()?;
    Ok(Settings {
        skip_broken_datasets,
        dc_load_limit,
    })
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Some(true),
        "0" | "n" | "no" | "f" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// The index that the options name; `None` when they name none at all.
fn configured_url(lookup: &dyn Fn(&str) -> Option<String>, place: &str) -> Result<Option<String>> {
    let mut driver = None;
    match lookup("index_driver").as_deref() {
        Some("memory") => return Ok(Some("memory:".into())),
        Some("null") => {
            return Err(Error::Config {
                place: place.to_owned(),
                problem: "index_driver `null` has no counterpart here; use `memory`".into(),
            });
        }
        None | Some("sqlite") => {}
        // The three names of the legacy schema.
        Some("default" | "postgres" | "legacy") => driver = Some("agdc"),
        Some("postgis") => driver = Some("postgis"),
        Some(other) => {
            return Err(Error::Config {
                place: place.to_owned(),
                problem: format!(
                    "index_driver `{other}` is unknown; it can be sqlite, memory, postgis, \
                     postgres, legacy or default"
                ),
            });
        }
    }
    if let Some(url) = lookup("db_url") {
        return Ok(Some(with_driver(url, driver)));
    }
    let parts: IndexMap<&str, Option<String>> = [
        "db_hostname",
        "db_port",
        "db_username",
        "db_password",
        "db_database",
    ]
    .into_iter()
    .map(|option| (option, lookup(option)))
    .collect();
    if parts.values().all(Option::is_none) && lookup("index_driver").is_none() {
        return Ok(None);
    }
    let mut url =
        url::Url::parse("postgresql://localhost/datacube").expect("a literal that is a URL");
    let set = |problem: &str| Error::Config {
        place: place.to_owned(),
        problem: problem.into(),
    };
    if let Some(host) = &parts["db_hostname"] {
        url.set_host(Some(host))
            .map_err(|_| set("db_hostname is not a host name"))?;
    }
    if let Some(port) = &parts["db_port"] {
        let port = port
            .parse()
            .map_err(|_| set("db_port is not a port number"))?;
        url.set_port(Some(port))
            .map_err(|()| set("db_port cannot be set"))?;
    }
    // A `%` stays as it is otherwise, and would begin something encoded.
    let encoded = |text: &str| text.replace('%', "%25");
    if let Some(user) = &parts["db_username"] {
        url.set_username(&encoded(user))
            .map_err(|()| set("db_username cannot be set"))?;
    }
    if let Some(password) = &parts["db_password"] {
        url.set_password(Some(&encoded(password)))
            .map_err(|()| set("db_password cannot be set"))?;
    }
    if let Some(database) = &parts["db_database"] {
        url.set_path(&encoded(database));
    }
    Ok(Some(with_driver(url.into(), driver)))
}

/// The URL of a PostgreSQL database with the driver named in it, unless it
/// names one.
fn with_driver(url: String, driver: Option<&str>) -> String {
    let Some(driver) = driver.filter(|_| url.starts_with("postgres")) else {
        return url;
    };
    match url.split_once('?') {
        None => format!("{url}?driver={driver}"),
        Some((_, options)) if options.split('&').any(|o| o.starts_with("driver=")) => url,
        Some((_, "")) => format!("{url}driver={driver}"),
        Some(_) => format!("{url}&driver={driver}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        name: &'static str,
        variables: &'static [(&'static str, &'static str)],
        files: &'static [(&'static str, &'static str)],
        options: ConfigOptions,
        expected: &'static str,
    }

    fn run(case: &Case) -> Result<Resolved> {
        let variables = case
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        resolve(&case.options, &variables, &|path| {
            Ok(case
                .files
                .iter()
                .find(|(name, _)| Path::new(name) == path)
                .map(|(_, text)| (*text).to_owned()))
        })
    }

    const HOME: (&str, &str) = ("HOME", "/home/u");
    const FILE: (&str, &str) = (
        "/home/u/.datacube.conf",
        "[default]\ndb_hostname: db\ndb_database: cube\n\n[local]\ndb_url: sqlite:/data/i.sqlite\n\
         \n[dev]\nalias: local\n",
    );

    #[test]
    fn precedence() {
        let environment = |name: &str| ConfigOptions {
            environment: Some(name.into()),
            ..ConfigOptions::default()
        };
        let cases = [
            Case {
                name: "the argument wins",
                variables: &[HOME, ("ODC_DEFAULT_DB_URL", "sqlite:/other")],
                files: &[FILE],
                options: ConfigOptions {
                    index: Some("sqlite:/a".into()),
                    ..Default::default()
                },
                expected: "sqlite:/a",
            },
            Case {
                name: "default section",
                variables: &[HOME],
                files: &[FILE],
                options: ConfigOptions::default(),
                expected: "postgresql://db/cube",
            },
            Case {
                name: "a named section",
                variables: &[HOME],
                files: &[FILE],
                options: environment("local"),
                expected: "sqlite:/data/i.sqlite",
            },
            Case {
                name: "an alias",
                variables: &[HOME],
                files: &[FILE],
                options: environment("dev"),
                expected: "sqlite:/data/i.sqlite",
            },
            Case {
                name: "the working folder before the home folder",
                variables: &[HOME],
                files: &[FILE, ("datacube.conf", "default: {db_url: 'sqlite:/here'}")],
                options: ConfigOptions::default(),
                expected: "sqlite:/here",
            },
            Case {
                name: "ODC_ENVIRONMENT",
                variables: &[HOME, ("ODC_ENVIRONMENT", "local")],
                files: &[FILE],
                options: ConfigOptions::default(),
                expected: "sqlite:/data/i.sqlite",
            },
            Case {
                name: "a variable over the file",
                variables: &[HOME, ("ODC_DEFAULT_DB_HOSTNAME", "other")],
                files: &[FILE],
                options: ConfigOptions::default(),
                expected: "postgresql://other/cube",
            },
            Case {
                name: "a variable of the alias's target",
                variables: &[HOME, ("ODC_LOCAL_DB_URL", "sqlite:/v")],
                files: &[FILE],
                options: environment("dev"),
                expected: "sqlite:/v",
            },
            Case {
                name: "legacy variables only by default",
                variables: &[HOME, ("DB_HOSTNAME", "old")],
                files: &[FILE],
                options: ConfigOptions::default(),
                expected: "postgresql://old/cube",
            },
            Case {
                name: "ODC_ALL under the environment's own",
                variables: &[
                    HOME,
                    ("ODC_ALL_DB_URL", "sqlite:/all"),
                    ("ODC_DEFAULT_DB_URL", "sqlite:/own"),
                ],
                files: &[],
                options: ConfigOptions::default(),
                expected: "sqlite:/own",
            },
            Case {
                name: "a password with all that means something elsewhere",
                variables: &[HOME],
                files: &[(
                    "/home/u/.datacube.conf",
                    "[default]\ndb_hostname: db\ndb_username: u\ndb_password: a\\nb%41\"c'@/:?#;x\n",
                )],
                options: ConfigOptions::default(),
                expected: "postgresql://u:a%5Cnb%2541%22c'%40%2F%3A%3F%23%3Bx@db/datacube",
            },
            Case {
                name: "raw text is not overridden",
                variables: &[HOME, ("ODC_DEFAULT_DB_URL", "sqlite:/v")],
                files: &[],
                options: ConfigOptions {
                    text: Some("default: {db_url: 'sqlite:/raw'}".into()),
                    ..Default::default()
                },
                expected: "sqlite:/raw",
            },
            Case {
                name: "a dynamic environment",
                variables: &[HOME, ("ODC_TEST_DB_URL", "sqlite:/dynamic")],
                files: &[FILE],
                options: environment("test"),
                expected: "sqlite:/dynamic",
            },
        ];
        for case in &cases {
            let resolved = run(case).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert_eq!(resolved.index_url, case.expected, "{}", case.name);
        }
    }

    #[test]
    fn a_driver_names_the_tables() {
        let check = |options: &str, expected: &str| {
            let case = Case {
                name: "a driver",
                variables: &[HOME],
                files: &[],
                options: ConfigOptions {
                    text: Some(format!("default: {{{options}}}")),
                    ..Default::default()
                },
                expected: "",
            };
            let resolved = run(&case).expect(options);
            assert_eq!(resolved.index_url, expected, "{options}");
        };
        for driver in ["default", "postgres", "legacy"] {
            check(
                &format!("index_driver: {driver}, db_database: cube"),
                "postgresql://localhost/cube?driver=agdc",
            );
        }
        check(
            "index_driver: postgis, db_url: 'postgresql+psycopg2://db/cube?host=/x'",
            "postgresql+psycopg2://db/cube?host=/x&driver=postgis",
        );
        check(
            "index_driver: postgres, db_url: 'postgresql://db/cube?driver=postgis'",
            "postgresql://db/cube?driver=postgis",
        );
        // What the database has decides.
        check("db_database: cube", "postgresql://localhost/cube");
        check("index_driver: legacy, db_url: 'sqlite:/a'", "sqlite:/a");
    }

    #[test]
    fn nothing_configured_is_the_embedded_file() {
        let case = Case {
            name: "nothing",
            variables: &[HOME],
            files: &[],
            options: ConfigOptions::default(),
            expected: "",
        };
        let resolved = run(&case).expect("a default");
        assert_eq!(resolved.origin, Origin::Default);
        assert!(
            resolved.index_url.ends_with("datacube/index.sqlite"),
            "{}",
            resolved.index_url
        );
    }

    #[test]
    fn an_unknown_environment_lists_what_there_is() {
        let case = Case {
            name: "unknown",
            variables: &[HOME],
            files: &[FILE],
            options: ConfigOptions {
                environment: Some("prod".into()),
                ..Default::default()
            },
            expected: "",
        };
        let message = run(&case).unwrap_err().to_string();
        assert!(message.contains("no environment `prod`"), "{message}");
        assert!(message.contains("default, local, dev"), "{message}");
    }
}
