//! The files of AWS: `~/.aws/config` and `~/.aws/credentials`.

use std::path::PathBuf;

use ini::{Ini, ParseOption, Properties};

use super::environment::Environment;
use super::options::{AssumeRole, S3Keys, Secret};

/// What the files say of one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Profile {
    pub(super) keys: Option<S3Keys>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) role: Option<AssumeRole>,
    /// The profile whose credentials take on the role.
    pub(super) source_profile: Option<String>,
    /// `Environment`, `Ec2InstanceMetadata` or `EcsContainer`.
    pub(super) credential_source: Option<String>,
    /// A file with a token that takes on the role.
    pub(super) web_identity_token_file: Option<String>,
    /// A program that prints credentials.
    pub(super) process: Option<String>,
    /// Whether credentials come from a login in the browser.
    pub(super) is_sso: bool,
}

impl Profile {
    /// Whether it has credentials, or says where to get some.
    pub(super) fn has_credentials(&self) -> bool {
        self.keys.is_some() || self.role.is_some() || self.process.is_some() || self.is_sso
    }

    /// The profile of that name; `None` where the files do not have it.
    ///
    /// Files that are not there are empty.
    pub(super) fn read(name: &str, environment: &Environment) -> Result<Option<Profile>, String> {
        let credentials = load(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let config = load(environment, "AWS_CONFIG_FILE", "config")?;
        let in_config = match name {
            "default" => {
                section(&config, "default").or_else(|| section(&config, "profile default"))
            }
            name => section(&config, &format!("profile {name}")),
        };
        let in_credentials = section(&credentials, name);
        if in_config.is_none() && in_credentials.is_none() {
            return Ok(None);
        }
        let get = |key: &str| {
            let find = |properties: Option<&Properties>| {
                let value = properties?.get(key)?.trim();
                (!value.is_empty()).then(|| value.to_owned())
            };
            find(in_credentials).or_else(|| find(in_config))
        };
        let keys = match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some(key_id), Some(secret)) => Some(S3Keys {
                key_id,
                secret: Secret::new(secret),
                token: get("aws_session_token").map(Secret::new),
            }),
            (None, None) => None,
            _ => {
                return Err(format!(
                    "profile `{name}` has only one of aws_access_key_id and aws_secret_access_key"
                ));
            }
        };
        let role = get("role_arn").map(|arn| AssumeRole {
            arn,
            external_id: get("external_id"),
            session_name: get("role_session_name"),
        });
        Ok(Some(Profile {
            keys,
            region: get("region"),
            endpoint: get("endpoint_url"),
            role,
            source_profile: get("source_profile"),
            credential_source: get("credential_source"),
            web_identity_token_file: get("web_identity_token_file"),
            process: get("credential_process"),
            is_sso: get("sso_start_url").is_some() || get("sso_session").is_some(),
        }))
    }
}

fn section<'a>(file: &'a Ini, name: &str) -> Option<&'a Properties> {
    file.section(Some(name))
}

/// One of the two files.
fn load(environment: &Environment, variable: &str, name: &str) -> Result<Ini, String> {
    let path = match environment.get(variable) {
        Some(path) => PathBuf::from(path),
        None => match environment
            .get("HOME")
            .or_else(|| environment.get("USERPROFILE"))
        {
            Some(home) => PathBuf::from(home).join(".aws").join(name),
            None => return Ok(Ini::new()),
        },
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ini::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    // What the parser says may quote the line, and with it a secret.
    Ini::load_from_str_opt(&text, options).map_err(|error| {
        format!(
            "{}: line {} is no section, setting or comment",
            path.display(),
            error.line
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, config: &str, credentials: &str) -> Result<Option<Profile>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(dir.path().join(".aws/config"), config).unwrap();
        let elsewhere = dir.path().join("keys");
        std::fs::write(&elsewhere, credentials).unwrap();
        let environment = Environment::of(&[
            ("HOME", dir.path().to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", elsewhere.to_str().unwrap()),
        ]);
        Profile::read(name, &environment)
    }

    const CONFIG: &str = "[default]\nregion = us-west-2\ns3 =\n  addressing_style = path\n\
        [profile lab]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile=default\nexternal_id = x\n\
        endpoint_url = https://s3.lab\n[profile login]\nsso_session = s\n[sso-session s]\n";
    const KEYS: &str = "# mine\n[default]\naws_access_key_id = AKIA1\n\
        aws_secret_access_key = a/b+c\\\"d==\n";

    #[test]
    fn both_files_make_a_profile() {
        let default = read("default", CONFIG, KEYS).unwrap().unwrap();
        assert_eq!(default.region.as_deref(), Some("us-west-2"));
        let keys = default.keys.unwrap();
        assert_eq!(
            (keys.key_id.as_str(), keys.secret.reveal()),
            ("AKIA1", "a/b+c\\\"d==")
        );

        let lab = read("lab", CONFIG, KEYS).unwrap().unwrap();
        let role = lab.role.as_ref().unwrap();
        assert_eq!(role.arn, "arn:aws:iam::1:role/r");
        assert_eq!(role.external_id.as_deref(), Some("x"));
        assert_eq!(lab.source_profile.as_deref(), Some("default"));
        assert_eq!(lab.endpoint.as_deref(), Some("https://s3.lab"));
        assert!(lab.has_credentials() && lab.keys.is_none());

        assert!(read("login", CONFIG, KEYS).unwrap().unwrap().is_sso);
        assert_eq!(read("nobody", CONFIG, KEYS), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        let half = read("default", "", "[default]\naws_secret_access_key = hush\n").unwrap_err();
        assert!(
            half.contains("only one of") && !half.contains("hush"),
            "{half}"
        );
        let broken = read("default", "", "[default]\nhush\n").unwrap_err();
        assert!(
            broken.contains("line ") && !broken.contains("hush"),
            "{broken}"
        );
    }
}
