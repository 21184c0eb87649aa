//! Outcome of a call over gRPC, in a form that a table can state.

use std::collections::BTreeMap;

use ig_proto::v1::{AccountType, InstagramAccount, LinkResponse, RefreshResponse, TokenOutcome};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::answers::{APP_SCOPED_ID, LONG_SECONDS, PROFESSIONAL_ID};

/// Outcome of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// `Link` answered this account.
    Linked(Account),
    /// `Refresh` answered this account.
    Refreshed(TokenOutcome, Account),
    /// The call was refused.
    Refused(Refusal),
}

/// All of an account that comes from Instagram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) professional_id: String,
    pub(crate) app_scoped_id: String,
    pub(crate) username: String,
    pub(crate) name: Option<String>,
    pub(crate) picture: Option<String>,
    pub(crate) kind: AccountType,
    /// Followers, follows, media.
    pub(crate) counts: [Option<i64>; 3],
    /// Permissions that were granted; `None` where Instagram did not say.
    pub(crate) granted: Option<Vec<String>>,
    /// Permissions that were asked for and not granted. Known at `Link` only.
    pub(crate) missing: Vec<String>,
    /// From the token's issue to its end.
    pub(crate) life_seconds: i64,
}

/// Refusal of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// The metadata, and the bad fields under `field`.
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) retry: Retry,
}

/// Time after which the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Nothing is said.
    Unsaid,
    /// Within a minute.
    Soon,
    /// After so many seconds, as Instagram says.
    After(u64),
}

impl Account {
    /// The account that the usual answers make.
    pub(crate) fn usual() -> Self {
        Self {
            professional_id: PROFESSIONAL_ID.to_owned(),
            app_scoped_id: APP_SCOPED_ID.to_owned(),
            username: "lotte.bakes".to_owned(),
            name: Some("Lotte Bakes".to_owned()),
            picture: Some("https://cdn.example/lotte.jpg?oh=1&oe=2".to_owned()),
            kind: AccountType::Business,
            counts: [Some(4821), Some(137), Some(96)],
            granted: Some(vec![
                "instagram_business_basic".to_owned(),
                "instagram_business_content_publish".to_owned(),
            ]),
            missing: Vec::new(),
            life_seconds: LONG_SECONDS,
        }
    }

    fn of(account: &InstagramAccount, missing: &[String]) -> Self {
        let moment = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
        let granted = account.granted_scopes.clone();
        Self {
            professional_id: account.professional_account_id.clone(),
            app_scoped_id: account.app_scoped_user_id.clone(),
            username: account.username.clone(),
            name: account.name.clone(),
            picture: account.profile_picture_url.clone(),
            kind: account.account_type(),
            counts: [account.followers_count, account.follows_count, account.media_count],
            granted: account.granted_scopes_known.then_some(granted),
            missing: missing.to_vec(),
            life_seconds: moment(account.token_expire_time) - moment(account.token_issue_time),
        }
    }
}

impl Outcome {
    /// A refusal without facts, after which nothing is said about another try.
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused(Refusal {
            reason: reason.to_owned(),
            facts: BTreeMap::new(),
            retry: Retry::Unsaid,
        })
    }

    /// Whether Instagram throttles the call.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.reason == "RATE_LIMITED")
    }

    /// The refusal with one more fact.
    pub(crate) fn fact(mut self, key: &str, value: &str) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.facts.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// The refusal with what it says about another try.
    pub(crate) fn retry(mut self, retry: Retry) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.retry = retry;
        }
        self
    }

    pub(crate) fn of_link(answer: &Result<LinkResponse, Status>) -> Self {
        match answer {
            Ok(answer) => {
                Self::Linked(Account::of(answer.account.as_ref().unwrap(), &answer.missing_scopes))
            }
            Err(status) => Self::of_status(status),
        }
    }

    pub(crate) fn of_refresh(answer: &Result<RefreshResponse, Status>) -> Self {
        match answer {
            Ok(answer) => {
                let account = Account::of(answer.account.as_ref().unwrap(), &[]);
                Self::Refreshed(answer.token_outcome(), account)
            }
            Err(status) => Self::of_status(status),
        }
    }

    fn of_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else { panic!("no ErrorInfo: {status:?}") };
        assert_eq!(info.domain, "instagram.accounts");
        let mut facts: BTreeMap<_, _> = info.metadata.clone().into_iter().collect();
        if info.reason == "REAUTHORIZATION_REQUIRED" {
            // The moment differs from run to run.
            assert!(facts.remove("expire_time").is_some(), "{facts:?}");
        }
        let bad = details.bad_request().map(|bad| &bad.field_violations).into_iter().flatten();
        let bad: Vec<_> = bad.map(|violation| violation.field.as_str()).collect();
        if !bad.is_empty() {
            facts.insert("field".to_owned(), bad.join(","));
        }
        let pause = details.retry_info().and_then(|retry| retry.retry_delay);
        let retry = match pause.map(|pause| pause.as_secs()) {
            None => Retry::Unsaid,
            Some(seconds) if info.reason == "RATE_LIMITED" => Retry::After(seconds),
            Some(seconds) => {
                assert!((1..=60).contains(&seconds), "{seconds} s");
                Retry::Soon
            }
        };
        Self::Refused(Refusal { reason: info.reason.clone(), facts, retry })
    }
}
