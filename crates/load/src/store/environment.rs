//! The variables of the environment that say how stores are reached, as the
//! tools of the clouds and as GDAL name them.

use std::collections::BTreeMap;
use std::fmt;

/// The environment of the process, or what a test makes of it.
#[derive(Clone, Default)]
pub(super) struct Environment {
    /// Instead of the process's own.
    only: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// These variables and no others.
    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let only = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment {
            only: Some(only.collect()),
        }
    }

    /// A variable; an empty one is not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.only {
            Some(only) => only.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The first of these that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether any of these is set.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        self.first(names).is_some()
    }

    /// A yes or no, as GDAL and the tools of AWS write it.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Some(true),
            "no" | "false" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// Whether the reader pays: `AWS_REQUEST_PAYER=requester`.
    pub(super) fn requester_pays(&self) -> Option<bool> {
        match self.get("AWS_REQUEST_PAYER")?.to_ascii_lowercase().as_str() {
            "requester" => Some(true),
            _ => self.flag("AWS_REQUEST_PAYER"),
        }
    }

    /// Where S3 is, with its scheme.
    pub(super) fn s3_endpoint(&self) -> Option<String> {
        if let Some(url) = self.first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
        {
            return Some(url);
        }
        // GDAL's is a host, and its default is no other place.
        let host = self.get("AWS_S3_ENDPOINT")?;
        if host.contains("://") {
            return Some(host);
        }
        let is_plain = self.flag("AWS_HTTPS") == Some(false);
        let scheme = if is_plain { "http" } else { "https" };
        Some(format!("{scheme}://{host}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_gdal_and_of_aws_mean_the_same() {
        let gdal = Environment::of(&[
            ("AWS_S3_ENDPOINT", "127.0.0.1:9000"),
            ("AWS_HTTPS", "NO"),
            ("AWS_REQUEST_PAYER", "requester"),
            ("AWS_VIRTUAL_HOSTING", "FALSE"),
            ("EMPTY", ""),
        ]);
        assert_eq!(gdal.s3_endpoint().as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(gdal.requester_pays(), Some(true));
        assert_eq!(gdal.flag("AWS_VIRTUAL_HOSTING"), Some(false));
        assert!(!gdal.has_any(&["EMPTY", "ABSENT"]));
        let aws = Environment::of(&[
            ("AWS_ENDPOINT_URL", "https://minio"),
            ("AWS_S3_ENDPOINT", "other"),
        ]);
        assert_eq!(aws.s3_endpoint().as_deref(), Some("https://minio"));
        assert_eq!(aws.requester_pays(), None);
    }
}
