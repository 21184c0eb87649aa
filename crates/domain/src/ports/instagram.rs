//! Instagram: the calls to it, and the meaning of its failures.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    AppScopedUserId, AuthorizationCode, GrantedScopes, LongLivedToken, Profile,
    ReauthorizationReason, RedirectUri, RequestedScopes, ShortLivedToken, StateToken,
    TokenLifetime, TokenText, TroubleCause, WebhookFields,
};

/// Result of a code exchange.
#[derive(Clone, Debug)]
pub struct CodeExchange {
    /// The short-lived token.
    pub token: ShortLivedToken,
    /// The person's id, app-scoped in kind; `None` where Instagram left it out.
    pub user_id: Option<AppScopedUserId>,
    /// Scopes that the person granted.
    pub granted_scopes: GrantedScopes,
}

/// Error numbers of Instagram's answer, for its documentation and its support.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphFacts {
    /// `code`; `None` where the answer had none.
    pub code: Option<i64>,
    /// `error_subcode`; `None` where the answer had none.
    pub subcode: Option<i64>,
    /// `fbtrace_id`, at most 64 printable ASCII characters; `None` where the answer had none.
    pub fbtrace_id: Option<String>,
}

/// A call to Instagram failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct InstagramError {
    /// Meaning of the failure for us.
    pub kind: InstagramErrorKind,
    /// Instagram's own numbers for it.
    pub facts: GraphFacts,
}

impl InstagramError {
    /// Whether Instagram refused the token, which is to be believed only when said twice.
    #[must_use]
    pub fn rejects_token(&self) -> bool {
        matches!(self.kind, InstagramErrorKind::TokenRejected(_))
    }

    /// Part of our calls that Instagram throttles by its code; `None` where it throttles none, or does not say which.
    ///
    /// Source: <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>.
    #[must_use]
    pub fn throttle_scope(&self) -> Option<ThrottleScope> {
        match (self.kind, self.facts.code) {
            (InstagramErrorKind::RateLimited { .. }, Some(4 | 32 | 341 | 613)) => {
                Some(ThrottleScope::App)
            }
            (InstagramErrorKind::RateLimited { .. }, Some(17 | 368 | 80_002)) => {
                Some(ThrottleScope::Account)
            }
            _ => None,
        }
    }

    /// Time that Instagram asks to wait before the next call; zero where it asks for none.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self.kind {
            InstagramErrorKind::RateLimited { retry_after } => retry_after,
            _ => Duration::ZERO,
        }
    }
}

/// Part of our calls that Instagram throttles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleScope {
    /// All calls of the app.
    App,
    /// The calls for one account.
    Account,
}

impl From<InstagramErrorKind> for InstagramError {
    /// A failure that came without numbers from Instagram.
    fn from(kind: InstagramErrorKind) -> Self {
        Self { kind, facts: GraphFacts::default() }
    }
}

/// Meaning of a failed call to Instagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstagramErrorKind {
    /// Nothing left us: no connection, no name, no TLS.
    #[error("Instagram could not be reached")]
    NotSent,
    /// The request was sent, and no whole answer came back.
    #[error("Instagram did not answer")]
    NoAnswer,
    /// Instagram answered that it is itself unavailable. The transient kind: calls that only read are retried, and
    /// callers are asked to come again.
    #[error("Instagram is unavailable")]
    Unavailable,
    /// Instagram refused the token once, and did not when it was asked again.
    #[error("Instagram refused the token and did not confirm it")]
    Unconfirmed,
    /// Instagram throttles us.
    #[error("Instagram throttles our requests")]
    RateLimited {
        /// Time to wait before the next call.
        retry_after: Duration,
    },
    /// Instagram refused the token for this reason. To be believed only when said twice.
    #[error("Instagram refused the token")]
    TokenRejected(ReauthorizationReason),
    /// Instagram does not know the session of the token (452). This counts as a refusal only for a token that Instagram
    /// has just issued.
    #[error("Instagram does not know the token's session")]
    SessionUnknown,
    /// Instagram refused the code: used, expired, unknown.
    #[error("Instagram refused the authorization code")]
    CodeRejected,
    /// The redirect URI differs from that of the authorization, or the app secret is wrong: Instagram has one text for
    /// both.
    #[error(
        "Instagram says that the redirect URI differs; a wrong app secret gets the same answer"
    )]
    RedirectUriRejected,
    /// Instagram refuses the app: wrong app id or secret, missing tester role or access level, a restricted app.
    #[error("Instagram refuses the app: check app id, app secret, tester role and access level")]
    AppMisconfigured,
    /// Instagram accepted the request, and its answer lacks a required part.
    #[error("Instagram accepted the request and sent an answer that we cannot read")]
    Unreadable,
    /// Instagram refused the request for a reason that we do not know.
    #[error("Instagram refused the request for a reason that we do not know")]
    Unexpected,
}

impl From<InstagramErrorKind> for TroubleCause {
    /// The cause that a failed renewal or subscription of this kind is known by.
    fn from(kind: InstagramErrorKind) -> Self {
        match kind {
            InstagramErrorKind::NotSent
            | InstagramErrorKind::NoAnswer
            | InstagramErrorKind::Unavailable
            | InstagramErrorKind::Unconfirmed
            | InstagramErrorKind::TokenRejected(_) => Self::InstagramUnavailable,
            InstagramErrorKind::RateLimited { .. } => Self::RateLimited,
            InstagramErrorKind::AppMisconfigured => Self::AppMisconfigured,
            InstagramErrorKind::SessionUnknown
            | InstagramErrorKind::CodeRejected
            | InstagramErrorKind::RedirectUriRejected
            | InstagramErrorKind::Unreadable
            | InstagramErrorKind::Unexpected => Self::InstagramUnexpected,
        }
    }
}

/// Instagram, as this app sees it.
///
/// Every call ends within 10 seconds. Calls that only read, or that set what they say, are retried inside that time
/// where it may help; a code is never sent twice.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Instagram: Send + Sync {
    /// URL for a person's browser, which comes back to `redirect_uri` with a code and `state`. Makes no call.
    ///
    /// With `force_reauth` the person must log in even with a session at Instagram.
    fn authorization_url(
        &self,
        redirect_uri: &RedirectUri,
        scopes: &RequestedScopes,
        state: &StateToken,
        force_reauth: bool,
    ) -> String;

    /// Redeems a code. `redirect_uri` is the one of the authorization.
    ///
    /// # Errors
    ///
    /// All kinds. Only after `NoAnswer` and `Unreadable` may Instagram have taken the code.
    async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError>;

    /// Trades a short-lived token for a long-lived one.
    ///
    /// # Errors
    ///
    /// All kinds but `CodeRejected` and `RedirectUriRejected`.
    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError>;

    /// Renews a long-lived token; the answer may hold another text or the same.
    ///
    /// # Errors
    ///
    /// All kinds but `CodeRejected` and `RedirectUriRejected`.
    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError>;

    /// Reads the profile of the account that the token belongs to.
    ///
    /// # Errors
    ///
    /// All kinds but `CodeRejected` and `RedirectUriRejected`.
    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError>;

    /// Webhook fields that the account of the token is subscribed to; empty where it is subscribed to none.
    ///
    /// # Errors
    ///
    /// All kinds but `CodeRejected` and `RedirectUriRejected`.
    async fn subscription(&self, token: &TokenText) -> Result<BTreeSet<String>, InstagramError>;

    /// Subscribes the account of the token to these fields, and to no others. `fields` is not empty.
    ///
    /// # Errors
    ///
    /// All kinds but `CodeRejected` and `RedirectUriRejected`; `Unexpected` also where Instagram says that it did not
    /// succeed.
    async fn subscribe(
        &self,
        token: &TokenText,
        fields: &WebhookFields,
    ) -> Result<(), InstagramError>;

    /// Ends the subscription of the account of the token.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    async fn unsubscribe(&self, token: &TokenText) -> Result<(), InstagramError>;

    /// Highest figure of the usage that Instagram stated last, in per cent of a limit; `None` where it states none.
    /// Makes no call.
    fn usage_percent(&self) -> Option<u16> {
        None
    }
}
