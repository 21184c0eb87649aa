//! An Instagram that takes longer than a lease lasts: the holder that waits for it keeps the lease.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use ig_application::{LinkWork, RefreshWork, TokenOutcome};
use ig_domain::ports::{
    ATTEMPT_LEASE, CodeExchange, Instagram, InstagramError, LinkAttempts, MockInstagram,
    PendingLinks as _, RENEWAL_LEASE, RenewalLeases,
};
use ig_domain::{
    AuthorizationCode, GrantedScopes, LeaseHolder, LongLivedToken, Profile, RedirectUri,
    RequestedScopes, ShortLivedToken, StateToken, TokenLifetime, TokenText, WebhookFields,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, account, pending_link, presentation, profile};

use crate::instagram_script::{exchanges, extends, reads, renews};
use crate::{empty_store, ports, store_with};

const DAY: Duration = Duration::from_hours(24);

/// Answers after two lifetimes of a lease, in which another holder tries to claim it all the time.
struct Slow {
    answers: MockInstagram,
    store: MemoryStore,
}

impl Slow {
    async fn take_time(&self) {
        let another = LeaseHolder::from_uuid(*account(9, "", START).id.as_uuid());
        let code = presentation("code", "state", "").code.hash();
        for _ in 0..4 * ATTEMPT_LEASE.max(RENEWAL_LEASE).as_secs() {
            self.store.pass_lease_time(Duration::from_millis(500));
            tokio::task::yield_now().await;
            let renewal = RenewalLeases::claim(&self.store, account(1, "", START).id, another);
            let renewal_is_held = !renewal.await.unwrap();
            let attempt_is_held = LinkAttempts::find(&self.store, &code).await.unwrap().is_some()
                && LinkAttempts::claim(&self.store, &code, another).await.unwrap().is_none();
            RenewalLeases::release(&self.store, account(1, "", START).id, another).await.unwrap();
            assert!(renewal_is_held || attempt_is_held, "a lease was lost");
        }
    }
}

#[async_trait]
impl Instagram for Slow {
    fn authorization_url(
        &self,
        _redirect_uri: &RedirectUri,
        _scopes: &RequestedScopes,
        _state: &StateToken,
        _force_reauth: bool,
    ) -> String {
        String::new()
    }

    async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        self.take_time().await;
        self.answers.exchange_code(code, redirect_uri).await
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.take_time().await;
        self.answers.extend_token(token).await
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.take_time().await;
        self.answers.renew_token(token).await
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        self.take_time().await;
        self.answers.profile(token).await
    }

    async fn subscription(&self, token: &TokenText) -> Result<BTreeSet<String>, InstagramError> {
        self.answers.subscription(token).await
    }

    async fn subscribe(
        &self,
        token: &TokenText,
        fields: &WebhookFields,
    ) -> Result<(), InstagramError> {
        self.answers.subscribe(token, fields).await
    }

    async fn unsubscribe(&self, token: &TokenText) -> Result<(), InstagramError> {
        self.answers.unsubscribe(token).await
    }
}

#[tokio::test]
async fn a_refresh_keeps_its_lease() {
    let store = store_with(&account(1, "", START)).await;
    let mut answers = MockInstagram::new();
    renews(&mut answers, Ok(()));
    reads(&mut answers, vec![Ok(profile(1))]);
    let work = RefreshWork::new(&ports(&store, Slow { answers, store: store.clone() }, DAY));
    let refreshed = work.run(account(1, "", START).id).await.unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
}

#[tokio::test]
async fn a_link_keeps_its_lease() {
    let store = empty_store();
    store.insert(&pending_link("state", "", START)).await.unwrap();
    let mut answers = MockInstagram::new();
    exchanges(&mut answers, GrantedScopes::Unknown);
    extends(&mut answers);
    reads(&mut answers, vec![Ok(profile(1))]);
    let slow = Slow { answers, store: store.clone() };
    let work = LinkWork::new(&ports(&store, slow, Duration::ZERO));
    let linked = work.run(&presentation("code", "state", "")).await.unwrap();
    assert!(linked.created);
}
