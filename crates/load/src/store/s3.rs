//! From what was said about S3 to a store of one bucket.
//!
//! The order is that of the tools of AWS: what the caller gave, then the
//! environment, then the profile, then the machine.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, resolve_bucket_region};
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::call::{AccessFacts, Service};
use super::credentials::{AwsCredentials, Source, environment_keys};
use super::environment::Environment;
use super::options::{S3Access, Signing};
use super::profile::Profile;
use super::transport::Transport;
use crate::error::{Error, Result};

/// Variables that say that a container or a web identity has credentials.
const MACHINE: [&str; 3] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// How S3 is reached, decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct S3Plan {
    /// `None` for requests without a signature.
    pub(super) source: Option<Source>,
    pub(super) requester_pays: bool,
    /// The region that was named.
    pub(super) region: Option<String>,
    /// Whether the caller named it, so that it stands.
    pub(super) is_region_fixed: bool,
    pub(super) endpoint: Option<String>,
    pub(super) path_style: bool,
    /// Where roles are taken on.
    pub(super) sts_endpoint: Option<String>,
}

/// Decides how S3 is reached.
pub(super) fn plan(access: &S3Access, environment: &Environment) -> Result<S3Plan> {
    let named = access
        .profile
        .clone()
        .or_else(|| environment.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
    let name = named.as_deref().unwrap_or("default");
    let profile = Profile::read(name, environment)
        .map_err(|problem| Error::invalid(format!("credentials of AWS: {problem}")))?;
    if profile.is_none() && named.is_some() {
        return Err(Error::invalid(format!(
            "no profile `{name}` in the files of AWS (~/.aws/config, ~/.aws/credentials)"
        )));
    }
    for endpoint in [&access.endpoint, &access.sts_endpoint]
        .into_iter()
        .flatten()
    {
        check_endpoint(endpoint).map_err(|problem| {
            Error::invalid(format!(
                "the endpoint `{}` {problem}; give a scheme and a host, such as \
                 https://minio.example.org",
                super::address::shown(endpoint)
            ))
        })?;
    }
    let requester_pays = access
        .requester_pays
        .or_else(|| environment.requester_pays())
        .unwrap_or(false);
    let signing = access
        .signing
        .unwrap_or_else(|| match environment.flag("AWS_NO_SIGN_REQUEST") {
            Some(true) => Signing::Never,
            Some(false) => Signing::Always,
            None => Signing::Auto,
        });
    if signing == Signing::Never && access.requester_pays == Some(true) {
        return Err(Error::invalid(
            "requester pays and unsigned requests were asked for together; AWS has to know who \
             pays, so sign the requests",
        ));
    }
    let source = match signing {
        Signing::Never => None,
        _ => {
            let found = source(access, environment, name, profile.as_ref());
            found.or_else(|| {
                (signing == Signing::Always || requester_pays).then_some(Source::Machine)
            })
        }
    };
    let source = source.map(|source| match &access.role {
        Some(role) => Source::Role(Box::new(source), role.clone()),
        None => source,
    });
    let endpoint = access
        .endpoint
        .clone()
        .or_else(|| environment.s3_endpoint())
        .or_else(|| profile.as_ref()?.endpoint.clone());
    let region = access
        .region
        .clone()
        .or_else(|| environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
        .or_else(|| profile.as_ref()?.region.clone());
    let path_style = access
        .path_style
        .or_else(|| {
            environment
                .flag("AWS_VIRTUAL_HOSTING")
                .map(|hosted| !hosted)
        })
        .unwrap_or(true);
    Ok(S3Plan {
        source,
        requester_pays,
        region,
        is_region_fixed: access.region.is_some(),
        endpoint,
        path_style,
        sts_endpoint: access.sts_endpoint.clone(),
    })
}

/// Where credentials are, if there are any besides the machine's own.
fn source(
    access: &S3Access,
    environment: &Environment,
    name: &str,
    profile: Option<&Profile>,
) -> Option<Source> {
    if let Some(keys) = &access.keys {
        return Some(Source::Keys(keys.clone()));
    }
    // A profile that the caller names stands before the environment.
    if access.profile.is_some() {
        return Some(Source::Profile(name.to_owned()));
    }
    if let Some(keys) = environment_keys(environment) {
        return Some(Source::Keys(keys));
    }
    if profile.is_some_and(Profile::has_credentials) {
        return Some(Source::Profile(name.to_owned()));
    }
    if environment.has_any(&MACHINE) {
        return Some(Source::Machine);
    }
    access.role.is_some().then_some(Source::Machine)
}

/// A store, with what an error of it has to say.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) facts: AccessFacts,
    /// What can be renewed when it is refused.
    pub(super) credentials: Option<Arc<AwsCredentials>>,
}

/// Opens a bucket; `region`, where it is known, is the bucket's own.
pub(super) async fn open(
    bucket: &str,
    plan: &S3Plan,
    region: Option<String>,
    environment: &Environment,
    transport: &Arc<Transport>,
    retry: &RetryConfig,
) -> object_store::Result<Opened> {
    let region = match region.or_else(|| plan.region.clone()) {
        Some(region) => Some(region),
        // A service elsewhere has no regions to speak of.
        None if plan.endpoint.is_some() => None,
        None => Some(resolve_bucket_region(bucket, &ClientOptions::default()).await?),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_request_payer(plan.requester_pays)
        .with_skip_signature(plan.source.is_none())
        .with_retry(retry.clone())
        .with_allow_http(true)
        .with_http_connector(transport.connector());
    if let Some(region) = &region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &plan.endpoint {
        let endpoint = if plan.path_style {
            endpoint.clone()
        } else {
            hosted(endpoint, bucket)
        };
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    builder = builder.with_virtual_hosted_style_request(!plan.path_style);
    let credentials = plan.source.clone().map(|source| {
        let credentials = AwsCredentials::new(
            source,
            environment.clone(),
            region.clone(),
            Arc::clone(transport),
            retry.clone(),
        );
        Arc::new(credentials.with_sts_endpoint(plan.sts_endpoint.clone()))
    });
    if let Some(credentials) = &credentials {
        builder = builder.with_credentials(Arc::clone(credentials) as _);
    }
    let facts = AccessFacts {
        service: Service::S3,
        bucket: bucket.to_owned(),
        is_signed: plan.source.is_some(),
        requester_pays: plan.requester_pays,
        region,
        credentials: plan
            .source
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
    };
    Ok(Opened {
        store: Arc::new(builder.build()?),
        facts,
        credentials,
    })
}

/// What is wrong with an endpoint, told before anything is asked of it.
fn check_endpoint(endpoint: &str) -> std::result::Result<(), &'static str> {
    let Ok(url) = url::Url::parse(endpoint) else {
        return Err("is no URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not of http or https");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has more than a scheme, a host and a path");
    }
    Ok(())
}

/// `https://bucket.host` of `https://host`.
fn hosted(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => format!("https://{bucket}.{endpoint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::options::AssumeRole;

    /// The plan, with `~/.aws/config` holding `config`.
    fn planned(access: &S3Access, config: &str, variables: &[(&str, &str)]) -> Result<S3Plan> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        let mut all = vec![("HOME", home.path().to_str().unwrap())];
        all.extend(variables);
        plan(access, &Environment::of(&all))
    }

    #[test]
    fn endpoints_are_looked_at_before_they_are_used() {
        let check = |endpoint: &str, problem: Option<&str>| {
            assert_eq!(check_endpoint(endpoint).err(), problem, "{endpoint}");
        };
        check("https://minio.example.org", None);
        check("http://127.0.0.1:9000/s3", None);
        check("minio.example.org", Some("is no URL"));
        check("minio:9000", Some("is not of http or https"));
        check("s3://bucket", Some("is not of http or https"));
        check(
            "https://h/?x=1",
            Some("has more than a scheme, a host and a path"),
        );
        let access = S3Access::default().with_endpoint("minio.example.org");
        let text = plan(&access, &Environment::default())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("`minio.example.org` is no URL; give a scheme"),
            "{text}"
        );
    }

    #[test]
    fn who_signs() {
        const KEYS: [(&str, &str); 2] =
            [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "s")];
        const CONFIG: &str = "[default]\naws_access_key_id=D\naws_secret_access_key=s\n\
            [profile lab]\naws_access_key_id=L\naws_secret_access_key=s\n";
        let any = S3Access::default();
        let check =
            |access: &S3Access, config: &str, variables: &[(&str, &str)], expected: &str| {
                let plan = planned(access, config, variables).unwrap();
                let found = plan
                    .source
                    .map_or("nobody".to_owned(), |source| source.to_string());
                assert_eq!(found, expected, "{access:?} {variables:?}");
            };
        check(&any, "", &[], "nobody");
        check(&any, CONFIG, &[], "profile `default`");
        check(&any, CONFIG, &KEYS, "access key E");
        check(&any, CONFIG, &[("AWS_PROFILE", "lab")], "profile `lab`");
        check(
            &any.clone().with_profile("lab"),
            CONFIG,
            &KEYS,
            "profile `lab`",
        );
        check(
            &any.clone().with_keys("G", "s"),
            CONFIG,
            &KEYS,
            "access key G",
        );
        check(&any, CONFIG, &[("AWS_NO_SIGN_REQUEST", "YES")], "nobody");
        check(&S3Access::unsigned(), CONFIG, &KEYS, "nobody");
        check(
            &S3Access::requester_pays(),
            "",
            &[],
            "the machine's own credentials",
        );
        check(
            &any,
            "",
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://c")],
            "the machine's own credentials",
        );
        check(
            &any.clone().with_role(AssumeRole::new("arn:r")),
            CONFIG,
            &KEYS,
            "role arn:r",
        );
    }

    #[test]
    fn region_endpoint_and_payer() {
        const CONFIG: &str = "[default]\nregion = eu-west-1\nendpoint_url = https://lab\n";
        let plan = planned(
            &S3Access::default(),
            CONFIG,
            &[
                ("AWS_REQUEST_PAYER", "requester"),
                ("AWS_REGION", "us-west-2"),
            ],
        )
        .unwrap();
        assert_eq!(plan.region.as_deref(), Some("us-west-2"));
        assert_eq!(plan.endpoint.as_deref(), Some("https://lab"));
        assert!(plan.requester_pays && plan.path_style && !plan.is_region_fixed);

        let access = S3Access::default()
            .with_region("ap-southeast-2")
            .with_requester_pays(false);
        let plan = planned(&access, CONFIG, &[("AWS_REQUEST_PAYER", "requester")]).unwrap();
        assert!(plan.is_region_fixed && !plan.requester_pays);
        let auto = S3Access::default().with_region("auto");
        assert_eq!(auto.region, None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let both = S3Access::requester_pays().with_signing(Signing::Never);
        let error = planned(&both, "", &[]).unwrap_err().to_string();
        assert!(error.contains("has to know who pays"), "{error}");
        let absent = S3Access::default().with_profile("nobody");
        let error = planned(&absent, "", &[]).unwrap_err().to_string();
        assert!(error.contains("no profile `nobody`"), "{error}");
    }

    #[test]
    fn buckets_in_host_names() {
        assert_eq!(
            hosted("http://127.0.0.1:9000", "b"),
            "http://b.127.0.0.1:9000"
        );
    }
}
