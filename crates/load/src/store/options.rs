//! How stores are reached: what a caller may say, as values.
//!
//! What is left open is taken from the environment, as the tools of AWS and as
//! GDAL name it, and then from the files of AWS. Secrets are in no text that
//! these values print.

use std::fmt;
use std::time::Duration;

/// Whether requests are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// Where there are credentials: in the environment, in the files of AWS, or,
    /// for requester pays, of the machine.
    #[default]
    Auto,
    /// Always; where nothing else has credentials, the machine is asked for its own.
    Always,
    /// Never: the data are public.
    Never,
}

/// A text that no message shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// Keys of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Keys {
    /// The access key's id, which is no secret.
    pub key_id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The token of a session, for keys that pass.
    pub token: Option<Secret>,
}

/// A role that is taken on before reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssumeRole {
    /// `arn:aws:iam::123456789012:role/reader`.
    pub arn: String,
    /// What the owner of the role wants to be told, if anything.
    pub external_id: Option<String>,
    /// How the session is called in the owner's logs; default `datacube`.
    pub session_name: Option<String>,
}

impl AssumeRole {
    /// The role with that ARN.
    pub fn new(arn: impl Into<String>) -> Self {
        AssumeRole {
            arn: arn.into(),
            ..AssumeRole::default()
        }
    }
}

/// How S3 is reached.
///
/// ```
/// use datacube_load::S3Access;
/// let landsat = S3Access::requester_pays().with_region("us-west-2");
/// let sentinel_cogs = S3Access::unsigned();
/// let own = S3Access::default()
///     .with_profile("research")
///     .with_endpoint("https://minio.example.org");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Access {
    /// Whether requests are signed; default `AWS_NO_SIGN_REQUEST`, then where
    /// there are credentials.
    pub signing: Option<Signing>,
    /// Whether the reader pays; default `AWS_REQUEST_PAYER`, then no.
    pub requester_pays: Option<bool>,
    /// The profile in the files of AWS; default `AWS_PROFILE`, then `default`.
    pub profile: Option<String>,
    /// The region; default `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's,
    /// then the bucket's own. A region of the environment that is not the
    /// bucket's gives way to the bucket's; this one does not.
    pub region: Option<String>,
    /// Where the service is, when it is not AWS: `https://minio.example.org`.
    /// Default `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT`,
    /// GDAL's `AWS_S3_ENDPOINT`, then the profile's.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path (`true`) or in the host's name;
    /// default `AWS_VIRTUAL_HOSTING`, then in the path.
    pub path_style: Option<bool>,
    /// A role that is taken on; default the profile's `role_arn`.
    pub role: Option<AssumeRole>,
    /// Where roles are taken on; default `AWS_ENDPOINT_URL_STS`, then AWS's own.
    pub sts_endpoint: Option<String>,
    /// Keys; default those of the environment, the profile, the container or
    /// the machine.
    pub keys: Option<S3Keys>,
}

impl S3Access {
    /// The reader pays for requests, which are signed.
    pub fn requester_pays() -> Self {
        S3Access::default().with_requester_pays(true)
    }

    /// Nothing is signed: the data are public.
    pub fn unsigned() -> Self {
        S3Access::default().with_signing(Signing::Never)
    }

    /// Sets whether requests are signed.
    #[must_use]
    pub fn with_signing(mut self, signing: Signing) -> Self {
        self.signing = Some(signing);
        self
    }

    /// Sets whether the reader pays.
    #[must_use]
    pub fn with_requester_pays(mut self, requester_pays: bool) -> Self {
        self.requester_pays = Some(requester_pays);
        self
    }

    /// Takes the credentials, region and endpoint of a profile.
    #[must_use]
    pub fn with_profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Sets the region; `auto` finds it by itself.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        let region = region.into();
        self.region = (region != "auto").then_some(region);
        self
    }

    /// Sets where the service is.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets whether the bucket stands in the path.
    #[must_use]
    pub fn with_path_style(mut self, path_style: bool) -> Self {
        self.path_style = Some(path_style);
        self
    }

    /// Sets where roles are taken on.
    #[must_use]
    pub fn with_sts_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.sts_endpoint = Some(endpoint.into());
        self
    }

    /// Takes on a role.
    #[must_use]
    pub fn with_role(mut self, role: AssumeRole) -> Self {
        self.role = Some(role);
        self
    }

    /// Sets the keys.
    #[must_use]
    pub fn with_keys(mut self, key_id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.keys = Some(S3Keys {
            key_id: key_id.into(),
            secret: Secret::new(secret),
            token: None,
        });
        self
    }
}

/// How stores are reached, and how hard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// S3 and what speaks like it.
    pub s3: S3Access,
    /// Whether requests to Google's and Azure's stores are signed; default
    /// where the environment has credentials.
    pub signing: Signing,
    /// How often a request is tried again where that may help; default 6.
    /// Pauses double from 0.1 s to 10 s, with jitter.
    pub retries: usize,
    /// Time to connect; default 10 s.
    pub connect_timeout: Duration,
    /// Time until an answer begins, after which the request is made again;
    /// default 20 s.
    pub first_byte_timeout: Duration,
    /// Time without a byte in the middle of an answer; default 30 s.
    pub read_timeout: Duration,
    /// Requests to one host at the same time; default 64.
    pub requests_per_host: usize,
    /// Bytes that are asked for and have not come, of all stores; default 256 MiB.
    pub bytes_in_flight: u64,
    /// Whether masks and overviews beside rasters in stores (`scene.tif.msk`,
    /// `scene.tif.ovr`) are looked for, which takes up to two requests for each
    /// raster; default no, as GDAL with `GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR`,
    /// which odc-stac and datacube set. Beside files of this machine they always are.
    pub siblings: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            s3: S3Access::default(),
            signing: Signing::Auto,
            retries: 6,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(30),
            requests_per_host: 64,
            bytes_in_flight: 256 << 20,
            siblings: false,
        }
    }
}

impl StoreOptions {
    /// Sets how S3 is reached.
    #[must_use]
    pub fn with_s3(mut self, s3: S3Access) -> Self {
        self.s3 = s3;
        self
    }

    /// Sets whether requests to Google's and Azure's stores are signed.
    #[must_use]
    pub fn with_signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// Sets how often a request is tried again; 0 for never.
    #[must_use]
    pub fn with_retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the time until an answer begins.
    #[must_use]
    pub fn with_first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the time without a byte in the middle of an answer.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets how many requests one host gets at the same time.
    #[must_use]
    pub fn with_requests_per_host(mut self, requests: usize) -> Self {
        self.requests_per_host = requests.max(1);
        self
    }

    /// Sets whether files beside rasters in stores are looked for.
    #[must_use]
    pub fn with_siblings(mut self, siblings: bool) -> Self {
        self.siblings = siblings;
        self
    }

    /// Sets how many bytes may be asked for and not have come.
    #[must_use]
    pub fn with_bytes_in_flight(mut self, bytes: u64) -> Self {
        self.bytes_in_flight = bytes;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_no_text() {
        let access = S3Access::default().with_keys("AKIA1", "hush-hush");
        let options = StoreOptions::default().with_s3(access);
        let text = format!("{options:?}");
        assert!(text.contains("AKIA1") && !text.contains("hush"), "{text}");
    }
}
