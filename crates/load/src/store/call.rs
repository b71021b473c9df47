//! What happened to one read, attempt by attempt.
//!
//! Stores retry by themselves and tell only how it ended. The transport below
//! them notes each attempt here, so that an error can say how many there were,
//! what the server said the last time, and under which access it was asked. It
//! also carries a signed address down, past stores that would print it.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

tokio::task_local! {
    static CURRENT: Arc<Call>;
}

/// One read of one object, all its attempts.
#[derive(Debug, Default)]
pub(super) struct Call {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where requests go instead of where the store would send them.
    target: Option<Url>,
    attempts: usize,
    last: Outcome,
    access: Option<AccessFacts>,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default)]
pub(super) enum Outcome {
    /// No request was made, or it was answered as wished.
    #[default]
    Fine,
    /// The server answered that it will not.
    Refused(Refusal),
    /// No answer came, or not all of it.
    Broken(String),
    /// There is no such host, so that asking again is in vain.
    NoHost { host: String, problem: String },
}

/// What a server says that does not answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The code in the body of S3's and Azure's errors, such as `AccessDenied`.
    pub(super) code: Option<String>,
    /// What it says for people.
    pub(super) message: Option<String>,
    /// The region that the bucket is in, where the server says so.
    pub(super) region: Option<String>,
    pub(super) host: String,
}

/// Under which access an object was asked for; no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccessFacts {
    pub(super) service: Service,
    pub(super) bucket: String,
    pub(super) is_signed: bool,
    pub(super) requester_pays: bool,
    pub(super) region: Option<String>,
    /// Where credentials come from, in words.
    pub(super) credentials: String,
}

/// Whose store it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Service {
    #[default]
    Web,
    S3,
    Google,
    Azure,
}

impl Call {
    /// The call that this task is about, if it is about one.
    pub(super) fn current() -> Option<Arc<Call>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs `work` as part of this call.
    pub(super) async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Runs `work`, such as getting a token, as no part of any other call.
    pub(super) async fn apart<F: Future>(work: F) -> F::Output {
        CURRENT.scope(Arc::default(), work).await
    }

    pub(super) fn set_target(&self, target: Option<Url>) {
        self.state.lock().target = target;
    }

    pub(super) fn target(&self) -> Option<Url> {
        self.state.lock().target.clone()
    }

    /// An attempt begins; gives back whether it is not the first.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.attempts += 1;
        state.last = Outcome::Fine;
        state.attempts > 1
    }

    pub(super) fn end(&self, outcome: Outcome) {
        self.state.lock().last = outcome;
    }

    pub(super) fn attempts(&self) -> usize {
        self.state.lock().attempts
    }

    pub(super) fn last(&self) -> Outcome {
        self.state.lock().last.clone()
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.last() {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn set_access(&self, access: AccessFacts) {
        self.state.lock().access = Some(access);
    }

    pub(super) fn access(&self) -> Option<AccessFacts> {
        self.state.lock().access.clone()
    }
}

impl Refusal {
    /// Whether what proved who asks is no longer taken, so that renewing it
    /// could help.
    pub(super) fn is_expired(&self) -> bool {
        const CODES: [&str; 6] = [
            "ExpiredToken",
            "TokenRefreshRequired",
            "InvalidToken",
            "RequestExpired",
            "AuthenticationFailed",
            "InvalidAccessKeyId",
        ];
        self.status == 401
            || self
                .code
                .as_deref()
                .is_some_and(|code| CODES.contains(&code))
    }

    /// Whether the bucket is in another region than the one that was asked.
    pub(super) fn is_wrong_region(&self) -> bool {
        let says_so = self.code.as_deref().is_some_and(|code| {
            matches!(
                code,
                "PermanentRedirect"
                    | "TemporaryRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException"
            )
        });
        says_so || self.status == 301
    }

    /// Reads the body of an error as S3, Azure and Google's XML API write it.
    pub(super) fn read_body(&mut self, body: &str) {
        if let Ok(document) = roxmltree::Document::parse(body.trim_start_matches('\u{feff}').trim())
        {
            let text = |name: &str| {
                let node = document
                    .descendants()
                    .find(|node| node.tag_name().name() == name)?;
                node.text().map(|text| text.trim().to_owned())
            };
            self.code = self.code.take().or_else(|| text("Code"));
            self.message = text("Message");
            self.region = self.region.take().or_else(|| text("Region"));
            return;
        }
        let text = body.trim();
        if !text.is_empty() && !text.starts_with('<') {
            self.message = Some(text.chars().take(200).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_refusal_is_understood() {
        let mut refusal = Refusal {
            status: 403,
            ..Refusal::default()
        };
        refusal.read_body(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>ExpiredToken</Code>\
             <Message>The provided token has expired.</Message></Error>",
        );
        assert_eq!(refusal.code.as_deref(), Some("ExpiredToken"));
        assert!(refusal.is_expired() && !refusal.is_wrong_region());
        let mut plain = Refusal::default();
        plain.read_body("nothing here\n");
        assert_eq!(plain.message.as_deref(), Some("nothing here"));
        let mut page = Refusal::default();
        page.read_body("<!DOCTYPE html><html><br></html>");
        assert_eq!(page.message, None);
    }

    #[tokio::test]
    async fn attempts_are_counted_within_their_call_only() {
        let call = Arc::new(Call::default());
        let work = async {
            let inner = Call::current().unwrap();
            assert!(!inner.begin());
            Call::apart(async { assert!(!Call::current().unwrap().begin()) }).await;
            assert!(inner.begin());
        };
        Arc::clone(&call).scope(work).await;
        assert_eq!(call.attempts(), 2);
        assert!(Call::current().is_none());
    }
}
