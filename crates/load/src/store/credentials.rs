//! Where AWS credentials come from, and getting them anew before they end.
//!
//! Keys, profiles and roles are ours; containers, web identities and the
//! machine's own service are `object_store`'s. Nothing is frozen: a profile is
//! read again, and a role taken on again, when what they gave has run out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{CredentialProvider, RetryConfig};

use super::call::Call;
use super::environment::Environment;
use super::options::{AssumeRole, S3Keys, Secret};
use super::profile::Profile;
use super::renew::Renewed;
use super::transport::{Transport, read_body};

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// Keys that were given.
    Keys(S3Keys),
    /// A profile in the files of AWS.
    Profile(String),
    /// A role, taken on with other credentials.
    Role(Box<Source>, AssumeRole),
    /// The container, a web identity or the machine.
    Machine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Keys(keys) => write!(f, "access key {}", keys.key_id),
            Source::Profile(name) => write!(f, "profile `{name}`"),
            Source::Role(_, role) => write!(f, "role {}", role.arn),
            Source::Machine => write!(f, "the machine's own credentials"),
        }
    }
}

/// Credentials of one source, renewed as they end.
pub(super) struct AwsCredentials {
    source: Source,
    environment: Environment,
    region: String,
    sts_endpoint: Option<String>,
    transport: Arc<Transport>,
    retry: RetryConfig,
    held: Renewed<Arc<AwsCredential>>,
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AwsCredentials").field(&self.source).finish()
    }
}

type Obtained = Result<(Arc<AwsCredential>, Option<SystemTime>), String>;

impl AwsCredentials {
    pub(super) fn new(
        source: Source,
        environment: Environment,
        region: Option<String>,
        transport: Arc<Transport>,
        retry: RetryConfig,
    ) -> Self {
        AwsCredentials {
            source,
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            sts_endpoint: environment.get("AWS_ENDPOINT_URL_STS"),
            environment,
            transport,
            retry,
            held: Renewed::default(),
        }
    }

    /// With another place where roles are taken on.
    pub(super) fn with_sts_endpoint(mut self, endpoint: Option<String>) -> Self {
        self.sts_endpoint = endpoint.or(self.sts_endpoint);
        self
    }

    /// Makes the next request get credentials anew, where that can change
    /// anything; gives back whether it can.
    pub(super) async fn renew(&self) -> bool {
        self.held.clear().await;
        !matches!(self.source, Source::Keys(_))
    }

    fn obtain<'a>(&'a self, source: &'a Source, seen: BTreeSet<String>) -> BoxFuture<'a, Obtained> {
        async move {
            match source {
                Source::Keys(keys) => Ok((credential(keys), None)),
                Source::Role(base, role) => {
                    let (base, _) = self.obtain(base, seen).await?;
                    self.assume(&base, role).await
                }
                Source::Machine => {
                    let provider = self.machine().map_err(|error| error.to_string())?;
                    let credential = provider.get_credential().await;
                    // Kept and renewed by the provider of `object_store`, which
                    // does not tell until when; asked again soon.
                    let soon = SystemTime::now() + std::time::Duration::from_secs(300);
                    let credential = credential.map_err(|error| error.to_string())?;
                    Ok((credential, Some(soon)))
                }
                Source::Profile(name) => self.profile(name, seen).await,
            }
        }
        .boxed()
    }

    async fn profile(&self, name: &str, mut seen: BTreeSet<String>) -> Obtained {
        if !seen.insert(name.to_owned()) {
            return Err(format!(
                "the source_profile of profile `{name}` leads in a circle"
            ));
        }
        let profile = Profile::read(name, &self.environment)?
            .ok_or_else(|| format!("no profile `{name}` in the files of AWS"))?;
        if let Some(role) = &profile.role {
            if let Some(file) = &profile.web_identity_token_file {
                return self.assume_with_token(role, file).await;
            }
            let base = match (
                &profile.source_profile,
                profile.credential_source.as_deref(),
            ) {
                // A profile may be its own source, of keys.
                (Some(source), _) if source == name => match &profile.keys {
                    Some(keys) => Source::Keys(keys.clone()),
                    None => return Err(format!("profile `{name}` has no keys for its role")),
                },
                (Some(source), _) => Source::Profile(source.clone()),
                (None, Some("Environment")) => Source::Keys(
                    environment_keys(&self.environment)
                        .ok_or("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")?,
                ),
                (None, Some(_)) => Source::Machine,
                (None, None) => {
                    return Err(format!(
                        "profile `{name}` has a role and neither source_profile nor credential_source"
                    ));
                }
            };
            let (base, _) = self.obtain(&base, seen).await?;
            return self.assume(&base, role).await;
        }
        if let Some(keys) = &profile.keys {
            return Ok((credential(keys), None));
        }
        if let Some(command) = profile.process {
            return run(name, command).await;
        }
        if profile.is_sso {
            return Err(format!(
                "profile `{name}` logs in by a browser, which is not done here; add \
                 `credential_process = aws configure export-credentials --profile {name} --format \
                 process` to another profile and use that"
            ));
        }
        Err(format!("profile `{name}` has no credentials"))
    }

    /// The chain of `object_store`: web identity, container, machine.
    fn machine(&self) -> object_store::Result<object_store::aws::AwsCredentialProvider> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name("none")
            .with_region(&self.region)
            .with_retry(self.retry.clone())
            .with_http_connector(self.transport.connector());
        for (name, key) in [
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                AmazonS3ConfigKey::WebIdentityTokenFile,
            ),
            ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
            ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
            ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
            (
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
            ),
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                AmazonS3ConfigKey::ContainerCredentialsFullUri,
            ),
            (
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
            ),
            ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
        ] {
            if let Some(value) = self.environment.get(name) {
                builder = builder.with_config(key, value);
            }
        }
        Ok(Arc::clone(builder.build()?.credentials()))
    }

    async fn assume(&self, base: &AwsCredential, role: &AssumeRole) -> Obtained {
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", role.arn.as_str()),
            (
                "RoleSessionName",
                role.session_name.as_deref().unwrap_or("datacube"),
            ),
        ];
        if let Some(id) = &role.external_id {
            form.push(("ExternalId", id));
        }
        self.sts(&form, Some(base), &role.arn).await
    }

    async fn assume_with_token(&self, role: &AssumeRole, file: &str) -> Obtained {
        let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role.arn.as_str()),
            (
                "RoleSessionName",
                role.session_name.as_deref().unwrap_or("datacube"),
            ),
            ("WebIdentityToken", token.trim()),
        ];
        self.sts(&form, None, &role.arn).await
    }

    /// Asks AWS's service of tokens.
    async fn sts(
        &self,
        form: &[(&str, &str)],
        signed_by: Option<&AwsCredential>,
        arn: &str,
    ) -> Obtained {
        let fail = |what: String| format!("taking on {arn}: {what}");
        let endpoint = self
            .sts_endpoint
            .clone()
            .unwrap_or_else(|| format!("https://sts.{}.amazonaws.com", self.region));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request: HttpRequest =
            http::Request::post(format!("{}/", endpoint.trim_end_matches('/')))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(HttpRequestBody::from(body))
                .map_err(|error| fail(error.to_string()))?;
        if let Some(credential) = signed_by {
            AwsAuthorizer::new(credential, "sts", &self.region)
                .try_authorize(&mut request, None)
                .map_err(|error| fail(error.to_string()))?;
        }
        let call = Arc::new(Call::default());
        let asked = async {
            let answer = self.transport.client().execute(request).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let status = answer.status();
            let bytes = read_body(answer.into_body(), 1 << 20)
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>((status, String::from_utf8_lossy(&bytes).into_owned()))
        };
        let (status, text) = Arc::clone(&call).scope(asked).await.map_err(fail)?;
        if !status.is_success() {
            let refusal = call.refusal().unwrap_or_default();
            let code = refusal.code.unwrap_or_default();
            let message = refusal.message.unwrap_or_default();
            return Err(fail(format!("{status} {code}: {message}")));
        }
        credential_of_xml(&text).map_err(fail)
    }
}

#[async_trait]
impl CredentialProvider for AwsCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let obtain = || Call::apart(self.obtain(&self.source, BTreeSet::new()));
        match self.held.get(obtain).await {
            Ok(credential) => Ok(Arc::clone(&credential)),
            Err(problem) => Err(object_store::Error::Unauthenticated {
                path: String::new(),
                source: NoCredentials(problem).into(),
            }),
        }
    }
}

/// Why there are no credentials.
#[derive(Debug)]
pub(super) struct NoCredentials(pub(super) String);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoCredentials {}

/// The keys of the environment.
pub(super) fn environment_keys(environment: &Environment) -> Option<S3Keys> {
    Some(S3Keys {
        key_id: environment.get("AWS_ACCESS_KEY_ID")?,
        secret: Secret::new(environment.get("AWS_SECRET_ACCESS_KEY")?),
        token: environment
            .first(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
            .map(Secret::new),
    })
}

fn credential(keys: &S3Keys) -> Arc<AwsCredential> {
    Arc::new(AwsCredential {
        key_id: keys.key_id.clone(),
        secret_key: keys.secret.reveal().to_owned(),
        token: keys.token.as_ref().map(|token| token.reveal().to_owned()),
    })
}

/// The credentials in an answer of the service of tokens.
fn credential_of_xml(text: &str) -> Obtained {
    let document =
        roxmltree::Document::parse(text).map_err(|_| "the answer is not XML".to_owned())?;
    let value = |name: &str| {
        let node = document
            .descendants()
            .find(|node| node.tag_name().name() == name)
            .and_then(|node| node.text());
        node.map(|text| text.trim().to_owned())
            .ok_or_else(|| format!("the answer has no {name}"))
    };
    let credential = AwsCredential {
        key_id: value("AccessKeyId")?,
        secret_key: value("SecretAccessKey")?,
        token: Some(value("SessionToken")?),
    };
    Ok((Arc::new(credential), time(&value("Expiration")?)))
}

/// Runs the program that a profile names.
async fn run(profile: &str, command: String) -> Obtained {
    let fail = |what: String| format!("the credential_process of profile `{profile}` {what}");
    let ran = tokio::task::spawn_blocking(move || {
        // As the tools of AWS do, by the shell.
        std::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .output()
    });
    let output = match ran.await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(fail(format!("cannot be run: {error}"))),
        Err(error) => return Err(fail(format!("cannot be run: {error}"))),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default();
        return Err(fail(format!("failed ({}): {said}", output.status)));
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Printed {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
        expiration: Option<String>,
    }
    // What is wrong with the text might quote it, and with it a secret.
    let printed: Printed = serde_json::from_slice(&output.stdout)
        .map_err(|_| fail("printed no credentials in JSON".to_owned()))?;
    let credential = AwsCredential {
        key_id: printed.access_key_id,
        secret_key: printed.secret_access_key,
        token: printed.session_token,
    };
    Ok((
        Arc::new(credential),
        printed.expiration.as_deref().and_then(time),
    ))
}

/// An instant in ISO 8601.
pub(super) fn time(text: &str) -> Option<SystemTime> {
    Some(text.trim().parse::<jiff::Timestamp>().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::options::StoreOptions;

    fn provider(source: Source, variables: &[(&str, &str)]) -> AwsCredentials {
        let transport = Transport::new(&StoreOptions::default(), Arc::default()).unwrap();
        AwsCredentials::new(
            source,
            Environment::of(variables),
            None,
            Arc::new(transport),
            RetryConfig::default(),
        )
    }

    #[tokio::test]
    async fn a_profile_is_read_again_when_it_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let write = |key: &str| {
            let text = format!("[lab]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
            std::fs::write(&file, text).unwrap();
        };
        write("one");
        let path = file.to_str().unwrap();
        let lab = provider(
            Source::Profile("lab".into()),
            &[("AWS_SHARED_CREDENTIALS_FILE", path)],
        );
        assert_eq!(lab.get_credential().await.unwrap().key_id, "one");
        write("two");
        assert_eq!(lab.get_credential().await.unwrap().key_id, "one");
        assert!(lab.renew().await);
        assert_eq!(lab.get_credential().await.unwrap().key_id, "two");
    }

    #[tokio::test]
    async fn a_program_gives_credentials_and_says_until_when() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        std::fs::write(
            &config,
            "[profile p]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"k\", \
             \"SecretAccessKey\": \"s\", \"Expiration\": \"2020-01-01T00:00:00Z\"}'\n\
             [profile broken]\ncredential_process = echo hush\n\
             [profile circle]\nrole_arn = a\nsource_profile = round\n\
             [profile round]\nrole_arn = b\nsource_profile = circle\n\
             [profile web]\nsso_session = s\n",
        )
        .unwrap();
        let variables = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
        let of = |name: &str| provider(Source::Profile(name.into()), &variables);
        assert_eq!(of("p").get_credential().await.unwrap().key_id, "k");
        for (name, part) in [
            ("broken", "printed no credentials in JSON"),
            ("circle", "leads in a circle"),
            ("web", "aws configure export-credentials"),
            ("nobody", "no profile `nobody`"),
        ] {
            let error = of(name).get_credential().await.unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn the_answer_of_the_service_of_tokens_is_read() {
        let text = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
            <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
            <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
            </AssumeRoleResponse>";
        let (credential, ends) = credential_of_xml(text).unwrap();
        assert_eq!(
            (credential.key_id.as_str(), credential.token.as_deref()),
            ("ASIA", Some("t"))
        );
        assert!(ends.unwrap() > SystemTime::now());
        assert!(
            credential_of_xml("<a/>")
                .unwrap_err()
                .contains("AccessKeyId")
        );
    }
}
