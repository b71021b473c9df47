//! What a store says when it fails, in words that tell what to do.

use std::fmt;
use std::io;

use super::call::{AccessFacts, Call, Outcome, Refusal, Service};
use super::credentials::NoCredentials;
use super::transport::chain;
use crate::error::Error;

/// What a server said.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

/// How to say that the reader pays.
const PAYING: &str = "S3Access::requester_pays() in configure_s3_access, --request-payer, or \
     AWS_REQUEST_PAYER=requester in the environment";

/// The error of a read of `uri` that is over.
pub(super) fn explain(uri: &str, is_local: bool, error: object_store::Error, call: &Call) -> Error {
    match call.last() {
        Outcome::Refused(refusal) => refused(uri, &refusal, call, error),
        Outcome::Broken(problem) => Error::Store {
            uri: uri.to_owned(),
            transient: true,
            source: Said(format!("{problem}{}", after(call))).into(),
        },
        Outcome::NoHost { host, problem } => Error::Store {
            uri: uri.to_owned(),
            transient: false,
            source: Said(format!(
                "there is no host `{host}` ({problem}{}); check the address or the endpoint, and \
                 that this machine reaches a name server",
                after(call)
            ))
            .into(),
        },
        Outcome::Fine => of_store(uri, is_local, error),
    }
}

/// `, after 3 attempts`, where there was more than one.
fn after(call: &Call) -> String {
    match call.attempts() {
        0 | 1 => String::new(),
        n => format!(", after {n} attempts"),
    }
}

fn refused(uri: &str, refusal: &Refusal, call: &Call, error: object_store::Error) -> Error {
    let uri = uri.to_owned();
    let access = call.access().unwrap_or_default();
    let said = said(refusal);
    let store = |transient: bool, text: String| Error::Store {
        uri: uri.clone(),
        transient,
        source: Said(text).into(),
    };
    match refusal.status {
        404 if matches!(
            refusal.code.as_deref(),
            Some("NoSuchBucket" | "ContainerNotFound")
        ) =>
        {
            Error::invalid_for(
                &uri,
                format!(
                    "{said}: there is no bucket or container `{}`; check its name, and the \
                     endpoint if it is not of the cloud's own service",
                    access.bucket
                ),
            )
        }
        404 => Error::NotFound { uri },
        _ if refusal.is_wrong_region() => {
            let asked = access.region.as_deref().unwrap_or("us-east-1");
            let there = match &refusal.region {
                Some(region) => format!("it is in {region}"),
                None => "it is in another".to_owned(),
            };
            Error::invalid_for(
                &uri,
                format!(
                    "{said}: bucket `{}` was asked for in region {asked}, and {there}; set the \
                     region (AWS_REGION, S3Access::with_region), or leave it out to have it found",
                    access.bucket
                ),
            )
        }
        // S3 refuses tokens that ran out with 400.
        400 | 401 | 403 if refusal.status != 400 || refusal.is_expired() => Error::Denied {
            advice: advice(&uri, refusal, &access),
            uri,
            source: Said(format!("{said}{}", after(call))).into(),
        },
        408 | 429 | 500..=599 => store(
            true,
            format!(
                "{said}{}; the server is busy or ails, try again later{}",
                after(call),
                if matches!(refusal.status, 429 | 503) {
                    " or with fewer requests at once"
                } else {
                    ""
                }
            ),
        ),
        304 | 412 => of_store(&uri, false, error),
        _ => store(false, format!("{said}{}", after(call))),
    }
}

/// `403 AccessDenied: Access Denied`.
fn said(refusal: &Refusal) -> String {
    let mut text = refusal.status.to_string();
    if let Some(code) = &refusal.code {
        text = format!("{text} {code}");
    }
    if let Some(message) = &refusal.message {
        let message: String = message.chars().take(200).collect();
        text = format!("{text}: {}", message.trim_end_matches('.'));
    }
    format!("{} answers {text}", refusal.host)
}

fn advice(uri: &str, refusal: &Refusal, access: &AccessFacts) -> String {
    let code = refusal.code.as_deref().unwrap_or_default();
    match access.service {
        Service::Web => web_advice(uri, &refusal.host, access),
        Service::Google => "check GOOGLE_APPLICATION_CREDENTIALS, or set GS_NO_SIGN_REQUEST=YES \
             for public data"
            .to_owned(),
        Service::Azure => "check AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, which may \
             have run out; data of the Planetary Computer are signed by \
             patch_url(\"planetary_computer\") on their https:// addresses"
            .to_owned(),
        Service::S3 => match code {
            "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" | "RequestExpired" => format!(
                "the session of {} has run out; log in again or get new keys, then try again",
                access.credentials
            ),
            "InvalidAccessKeyId" => format!(
                "the service does not know {}; check the keys and the endpoint",
                access.credentials
            ),
            "SignatureDoesNotMatch" => format!(
                "the secret key is not that of {}; check the keys",
                access.credentials
            ),
            "RequestTimeTooSkewed" => {
                "the clock of this machine is wrong by more than 15 minutes; set it".to_owned()
            }
            _ if access.requester_pays => format!(
                "the reader pays already; check that {} may read bucket `{}`",
                access.credentials, access.bucket
            ),
            _ if access.is_signed => format!(
                "check that {} may read bucket `{}`; if the bucket wants requester pays, set \
                 requester pays: {PAYING}",
                access.credentials, access.bucket
            ),
            _ => format!(
                "the request was not signed: give credentials (AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, a profile in ~/.aws, S3Access), and if the bucket wants \
                 requester pays, set requester pays: {PAYING}"
            ),
        },
    }
}

fn web_advice(uri: &str, host: &str, access: &AccessFacts) -> String {
    if !access.credentials.is_empty() {
        return format!(
            "signed anew by `{}` and refused still; check that its tokens are for these data",
            access.credentials
        );
    }
    if uri.contains("=...") {
        return "the signed address has run out or is not valid; get a new one, or have \
                addresses signed as they are read, with patch_url"
            .to_owned();
    }
    if host.ends_with("blob.core.windows.net") {
        return "sign addresses with patch_url(\"planetary_computer\") if the data are the \
                Planetary Computer's, or set AZURE_STORAGE_SAS_TOKEN"
            .to_owned();
    }
    if host.ends_with("amazonaws.com") {
        return "the request was not signed; write s3://BUCKET/KEY for signed requests and for \
                requester pays"
            .to_owned();
    }
    "the server wants a login or a signed address".to_owned()
}

/// An error that no server answered with.
fn of_store(uri: &str, is_local: bool, error: object_store::Error) -> Error {
    use object_store::Error as Cause;
    let io_kind = io_kind_of(&error);
    let uri = uri.to_owned();
    match error {
        Cause::NotFound { .. } => Error::NotFound { uri },
        Cause::Unauthenticated { source, .. } if source.is::<NoCredentials>() => Error::Denied {
            uri,
            advice: "no AWS credentials could be had: set AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY, or a profile (AWS_PROFILE, S3Access::with_profile), \
                     or read without signing if the data are public (S3Access::unsigned(), \
                     --no-sign-request, AWS_NO_SIGN_REQUEST=YES)"
                .to_owned(),
            source,
        },
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Error::Denied {
            uri,
            advice: "check the credentials and whether the store wants requester pays".to_owned(),
            source: Said(chain(&error)).into(),
        },
        _ if io_kind == Some(io::ErrorKind::PermissionDenied) => Error::Denied {
            uri,
            advice: "check who may read the file".to_owned(),
            source: Said(chain(&error)).into(),
        },
        Cause::InvalidPath { source } => Error::invalid_for(&uri, format!("{source}")),
        // The server answers a part of the file with all of it.
        Cause::NotSupported { .. } if !is_local => Error::unsupported_in(
            &uri,
            "a server that does not serve parts of files (HTTP ranges)",
            "servers that answer ranges with 206; or download the file first",
        ),
        _ => {
            // A remote store that fails in no particular way may well work
            // the next time; a local disk fails for a reason.
            let transient = match io_kind {
                Some(kind) => is_transient_io(kind),
                None => !is_local && matches!(error, Cause::Generic { .. }) && !is_ours(&error),
            };
            Error::Store {
                uri,
                transient,
                source: Said(chain(&error)).into(),
            }
        }
    }
}

/// Whether an error of a store is one of ours, about options.
fn is_ours(error: &object_store::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Error>())
}

/// The kind of the IO error at the root of `error`, if there is one.
fn io_kind_of(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

fn is_transient_io(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted,
        NetworkUnreachable, ResourceBusy, TimedOut, UnexpectedEof, WouldBlock,
    };
    matches!(
        kind,
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | Interrupted
            | NetworkUnreachable
            | ResourceBusy
            | TimedOut
            | UnexpectedEof
            | WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: Service, signed: bool, pays: bool, status: u16, code: &str) -> Error {
        let call = Call::default();
        call.begin();
        call.set_access(AccessFacts {
            service,
            bucket: "b".into(),
            is_signed: signed,
            requester_pays: pays,
            region: Some("us-east-1".into()),
            credentials: if signed {
                "profile `p`".into()
            } else {
                String::new()
            },
        });
        call.end(Outcome::Refused(Refusal {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
            region: (status == 301).then(|| "eu-west-1".to_owned()),
            host: "h".into(),
            message: None,
        }));
        let generic = object_store::Error::Generic {
            store: "S3",
            source: "x".into(),
        };
        explain("s3://b/k", false, generic, &call)
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        use Service::{S3, Web};
        for (error, part, transient) in [
            (
                told(S3, true, false, 403, "AccessDenied"),
                "set requester pays: S3Access",
                false,
            ),
            (
                told(S3, false, false, 403, "AccessDenied"),
                "was not signed: give cred",
                false,
            ),
            (
                told(S3, true, true, 403, "AccessDenied"),
                "the reader pays already",
                false,
            ),
            (
                told(S3, true, false, 400, "ExpiredToken"),
                "session of profile `p` has run",
                false,
            ),
            (
                told(S3, true, false, 403, "SignatureDoesNotMatch"),
                "the secret key is not",
                false,
            ),
            (
                told(S3, true, false, 404, "NoSuchBucket"),
                "no bucket or container `b`",
                false,
            ),
            (
                told(S3, true, false, 404, "NoSuchKey"),
                "no such file or object",
                false,
            ),
            (
                told(S3, true, false, 301, "PermanentRedirect"),
                "and it is in eu-west-1",
                false,
            ),
            (
                told(S3, true, false, 503, "SlowDown"),
                "503 SlowDown; the server is busy",
                true,
            ),
            (told(Web, false, false, 500, ""), "try again later", true),
            (
                told(Web, false, false, 401, ""),
                "wants a login or a signed address",
                false,
            ),
            (told(Web, false, false, 400, ""), "h answers 400", false),
        ] {
            let text = error.to_string();
            assert!(
                text.starts_with("s3://b/k: ") && text.contains(part),
                "{text}"
            );
            assert_eq!(error.is_transient(), transient, "{text}");
        }
    }
}
