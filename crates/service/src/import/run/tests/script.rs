//! An Instagram that answers by a script, and takes its time for renewals.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{CodeExchange, Instagram, InstagramError, InstagramErrorKind};
use ig_domain::{
    AuthorizationCode, LongLivedToken, Profile, RedirectUri, RequestedScopes, ShortLivedToken,
    StateToken, TokenLifetime, TokenText, WebhookFields,
};
use ig_test_support::builders::profile;
use tokio::time::sleep;

/// The token `IGAA7` is that of account 7.
pub(super) struct Script {
    /// Failure of the reading for account `number`, which is read well where there is none.
    pub(super) failure: fn(u32) -> Option<InstagramErrorKind>,
    /// Time that the renewal for account `number` takes. It fails then, so that the token stays.
    pub(super) renewal: fn(u32) -> Duration,
    /// Number of readings.
    pub(super) readings: AtomicUsize,
}

impl Default for Script {
    fn default() -> Self {
        Self { failure: |_| None, renewal: |_| Duration::ZERO, readings: AtomicUsize::new(0) }
    }
}

fn number(token: &TokenText) -> u32 {
    token.expose().trim_start_matches("IGAA").parse().unwrap()
}

#[async_trait]
impl Instagram for Script {
    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        self.readings.fetch_add(1, Ordering::Relaxed);
        let number = number(token);
        (self.failure)(number).map_or_else(|| Ok(profile(number)), |kind| Err(kind.into()))
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        sleep((self.renewal)(number(token.text()))).await;
        Err(InstagramErrorKind::Unavailable.into())
    }

    fn authorization_url(
        &self,
        _redirect_uri: &RedirectUri,
        _scopes: &RequestedScopes,
        _state: &StateToken,
        _force_reauth: bool,
    ) -> String {
        panic!("an import asks nobody to consent")
    }

    async fn exchange_code(
        &self,
        _code: &AuthorizationCode,
        _redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        panic!("an import has no code")
    }

    async fn extend_token(
        &self,
        _token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        panic!("an import has no short-lived token")
    }

    async fn subscription(&self, _token: &TokenText) -> Result<BTreeSet<String>, InstagramError> {
        panic!("an import leaves subscriptions to the keeper")
    }

    async fn subscribe(
        &self,
        _token: &TokenText,
        _fields: &WebhookFields,
    ) -> Result<(), InstagramError> {
        panic!("an import leaves subscriptions to the keeper")
    }

    async fn unsubscribe(&self, _token: &TokenText) -> Result<(), InstagramError> {
        panic!("an import leaves subscriptions to the keeper")
    }
}
