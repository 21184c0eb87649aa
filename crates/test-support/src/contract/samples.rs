//! Rows with every column filled, and the short ways to store them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use ig_domain::ports::{AccountKey, CompletedLink, StoreError};
use ig_domain::{
    AccountId, AccountType, CodeHash, Consent, GrantedScopes, InstagramAccount, LeaseHolder,
    LinkAttempt, LinkEnd, LinkEndKind, LongLivedToken, PendingLink, Phase, ReauthorizationReason,
    RefreshTrouble, RequestedScopes, Scope, SessionBindingHash, ShortLivedGrant, ShortLivedToken,
    StateHash, TroubleCause, VisitFailures, WebhookSubscription,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Ports;
use crate::builders::{self, START, long_lived, parsed};

/// Number of concurrent tries of the same.
pub(super) const MANY: u8 = 20;

/// The id of account `number`.
pub(super) fn id(number: u32) -> AccountId {
    builders::account(number, "", START).id
}

/// The code of attempt `number`.
pub(super) fn code(number: u8) -> CodeHash {
    CodeHash::from_bytes([number; 32])
}

/// The state of pending link `number`.
pub(super) fn state(number: u8) -> StateHash {
    StateHash::from_bytes([number; 32])
}

/// Holder `number`.
pub(super) fn holder(number: u8) -> LeaseHolder {
    LeaseHolder::from_uuid(Uuid::from_u128(u128::from(number)))
}

/// An account with nothing left out, and numbers that only 64 bits hold.
pub(super) fn full_account(number: u32) -> InstagramAccount {
    InstagramAccount {
        professional_account_id: parsed("17841405793187218"),
        app_scoped_user_id: Some(parsed("99999999999999999999")),
        exchange_user_id: Some(parsed("9007199254740993")),
        owner: parsed("лавка/7 🛍"),
        name: Some("Кафе «Луна» \u{1f319} 'quoted'; --".to_owned()),
        account_type: AccountType::Creator,
        followers_count: Some(i64::MAX),
        follows_count: Some(0),
        media_count: Some(9_007_199_254_740_993),
        granted_scopes: GrantedScopes::Known(scopes()),
        refused: Some(ReauthorizationReason::Checkpoint),
        consent_time: START - Duration::from_micros(1),
        token_issue_time: Some(START + Duration::from_micros(1)),
        token_expire_time: Some(START + Duration::from_micros(2)),
        link_time: START + Duration::from_micros(3),
        profile_time: START + Duration::from_micros(4),
        failures: VisitFailures {
            count: u32::MAX,
            retry_time: Some(START + Duration::from_micros(6)),
            trouble: Some(RefreshTrouble {
                cause: TroubleCause::AppMisconfigured,
                since_time: START + Duration::from_micros(7),
                attempts: u32::MAX - 1,
            }),
        },
        subscription: Some(WebhookSubscription {
            active: true,
            error: Some(TroubleCause::RateLimited),
            check_time: Some(START + Duration::from_micros(8)),
        }),
        update_time: START + Duration::from_micros(5),
        revision: 9_007_199_254_740_993,
        ..builders::account(number, "", START)
    }
}

/// An account with all left out that may be.
pub(super) fn bare_account(number: u32) -> InstagramAccount {
    InstagramAccount {
        app_scoped_user_id: None,
        exchange_user_id: None,
        name: None,
        profile_picture_url: None,
        account_type: AccountType::Unknown,
        followers_count: None,
        follows_count: None,
        media_count: None,
        granted_scopes: GrantedScopes::Unknown,
        refused: None,
        token_issue_time: None,
        token_expire_time: None,
        ..builders::account(number, "", START)
    }
}

/// Two scopes.
pub(super) fn scopes() -> BTreeSet<Scope> {
    BTreeSet::from([Scope::basic(), Scope::content_publish()])
}

/// Pending link `number`, unspent, with nothing else left out.
pub(super) fn pending_link(number: u8) -> PendingLink {
    PendingLink {
        state: state(number),
        owner: parsed("лавка/7"),
        session_binding: SessionBindingHash::from_bytes([number ^ 0xff; 32]),
        redirect_uri: parsed("https://example.com/callback?a=b%20c"),
        end: LinkEnd::ReturnUrl(parsed("https://example.com/linked?tenant=7")),
        scopes: RequestedScopes::usual(),
        account: Some(id(77)),
        create_time: START + Duration::from_micros(1),
        expire_time: START + Duration::from_hours(1),
        spent_by: None,
    }
}

/// Attempt `number` under state `number`.
pub(super) fn attempt(number: u8, phase: Phase) -> LinkAttempt {
    LinkAttempt {
        code: code(number),
        state: state(number),
        owner: parsed("лавка/7"),
        session_binding: SessionBindingHash::from_bytes([number ^ 0xff; 32]),
        redirect_uri: parsed("https://example.com/callback?a=b%20c"),
        end: LinkEndKind::ReturnUrl,
        scopes: RequestedScopes::usual(),
        account: Some(id(77)),
        create_time: START + Duration::from_micros(1),
        phase,
    }
}

/// Phase of an attempt whose code was exchanged at [`START`], with nothing left out.
pub(super) fn exchanged() -> Phase {
    Phase::Exchanged(ShortLivedGrant {
        token: ShortLivedToken::new(parsed("IGAA-short-lived")),
        consent: Consent {
            receive_time: START,
            user_id: Some(parsed("9007199254740993")),
            granted_scopes: GrantedScopes::Known(scopes()),
        },
    })
}

/// The end of a first link of `account`.
pub(super) fn first_link(account: &InstagramAccount, token: &str) -> CompletedLink {
    CompletedLink {
        displaced: None,
        account: account.clone(),
        former_revision: None,
        token: Some(long_lived(token)),
        missing_scopes: Vec::new(),
        end_time: START,
    }
}

impl Ports {
    /// Stores state `number` and creates its attempt in `phase`, held by holder `number`.
    pub(super) async fn begin(&self, number: u8, phase: Phase) {
        self.begin_attempt(number, &attempt(number, phase)).await;
    }

    /// Stores state `number` and creates its attempt, whose code was exchanged and had come this long after [`START`].
    pub(super) async fn begin_after(&self, number: u8, after: Duration) {
        let create_time = START + after;
        let attempt = LinkAttempt { create_time, ..attempt(number, exchanged()) };
        self.begin_attempt(number, &attempt).await;
    }

    async fn begin_attempt(&self, number: u8, attempt: &LinkAttempt) {
        self.pending_links.insert(&pending_link(number)).await.unwrap();
        self.link_attempts.create(attempt, holder(number)).await.unwrap();
    }

    /// Links `account` by attempt `number`.
    pub(super) async fn link(&self, number: u8, account: &InstagramAccount, token: &str) {
        self.begin(number, exchanged()).await;
        let link = first_link(account, token);
        self.link_attempts.complete(&code(number), holder(number), &link).await.unwrap();
    }

    /// The account with this id, and its token's text.
    pub(super) async fn stored(&self, id: AccountId) -> Option<(InstagramAccount, String)> {
        let found = self.accounts.find_with_token(id).await.unwrap();
        let plain = self.accounts.find(&AccountKey::Id(id)).await.unwrap();
        assert_eq!(found.as_ref().map(|(account, _)| account), plain.as_ref());
        found.map(|(account, token)| (account, token_text(&token.unwrap())))
    }

    /// The phase of attempt `number`; `None` where there is none.
    pub(super) async fn phase(&self, number: u8) -> Option<Phase> {
        self.link_attempts.find(&code(number)).await.unwrap().map(|attempt| attempt.phase)
    }
}

/// A token's text.
pub(super) fn token_text(token: &LongLivedToken) -> String {
    token.text().expose().to_owned()
}

/// Fails unless two phases are alike, tokens included.
pub(super) fn assert_same_phase(found: &Phase, expected: &Phase) {
    match (found, expected) {
        (Phase::Unsent, Phase::Unsent) | (Phase::Sent, Phase::Sent) => {}
        (Phase::Exchanged(found), Phase::Exchanged(expected)) => {
            assert_eq!(found.token.text().expose(), expected.token.text().expose());
            assert_eq!(found.consent, expected.consent);
        }
        (
            Phase::Ended { outcome: found, end_time: found_end },
            Phase::Ended { outcome: expected, end_time: expected_end },
        ) => assert_eq!((found, found_end), (expected, expected_end)),
        _ => panic!("found {found:?} instead of {expected:?}"),
    }
}

/// Fails unless the write was refused as a conflict.
#[expect(clippy::needless_pass_by_value, reason = "so that a write and its check are one line")]
pub(super) fn assert_conflict<T: Debug>(written: Result<T, StoreError>) {
    assert!(matches!(written, Err(StoreError::Conflict)), "{written:?}");
}

/// Fails unless the write was refused for a lost lease.
#[expect(clippy::needless_pass_by_value, reason = "so that a write and its check are one line")]
pub(super) fn assert_lease_lost<T: Debug>(written: Result<T, StoreError>) {
    assert!(matches!(written, Err(StoreError::LeaseLost)), "{written:?}");
}

/// Runs `work` for the numbers 1 to [`MANY`] at once, and returns the number of those that answered `true`.
pub(super) async fn count_at_once<F>(work: impl Fn(u8) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let all: JoinSet<bool> = (1..=MANY).map(work).collect();
    all.join_all().await.into_iter().filter(|yes| *yes).count()
}
