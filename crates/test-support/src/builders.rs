//! Values for tests, each valid and told apart by a number.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ig_application::{Ports, StorePorts};
use ig_domain::ports::Instagram;
use ig_domain::{
    AccountId, AccountType, AuditEntry, AuditId, Consent, Direction, GrantedScopes,
    InstagramAccount, LinkEnd, LongLivedToken, PendingLink, Presentation, PresentedBy, Profile,
    ReceivedUpdate, Recipient, RequestedScopes, Scope, SessionBinding, StateToken, TokenGrant,
    TokenLifetime, WebhookField, WebhookId, WebhookPayload, WebhookUpdate,
};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::{FakeClock, FakeTimer, MemoryStore, RecordedMetrics, SequentialIds};

/// The moment at which tests begin.
pub const START: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

/// The value that `parse` reads from a text that a test knows to be valid.
///
/// # Panics
///
/// When the text is not valid.
#[must_use]
pub fn parsed<T: std::str::FromStr>(text: &str) -> T {
    let Ok(value) = text.parse() else { panic!("{text:?} is no {}", std::any::type_name::<T>()) };
    value
}

/// The ports of this store, Instagram and clock.
#[must_use]
pub fn ports(store: &MemoryStore, instagram: impl Instagram + 'static, clock: FakeClock) -> Ports {
    Ports {
        store: StorePorts::of(Arc::new(store.clone())),
        instagram: Arc::new(instagram),
        clock: Arc::new(clock),
        timer: Arc::new(FakeTimer::new()),
        ids: Arc::new(SequentialIds::default()),
        metrics: Arc::new(RecordedMetrics::default()),
        health: Arc::default(),
    }
}

/// The profile of business account `number`, with ids that no double can hold.
#[must_use]
pub fn profile(number: u32) -> Profile {
    Profile {
        professional_account_id: parsed(&format!("1784140000000{number:04}")),
        app_scoped_user_id: Some(parsed(&format!("2610000000001{number:04}"))),
        username: parsed(&format!("account_{number}")),
        name: Some(format!("Account {number} — é")),
        profile_picture_url: Some(format!("https://cdn.example/{number}.jpg")),
        account_type: AccountType::Business,
        followers_count: Some(i64::from(number)),
        follows_count: Some(2),
        media_count: Some(3),
    }
}

/// A long-lived token with this text.
#[must_use]
pub fn long_lived(text: &str) -> LongLivedToken {
    LongLivedToken::new(parsed(text))
}

/// A grant of 60 days, received at `now`.
///
/// # Panics
///
/// Never: 60 days are a valid lifetime; or when `text` is no token.
#[must_use]
pub fn grant(text: &str, now: OffsetDateTime) -> TokenGrant {
    let Some(lifetime) = TokenLifetime::from_seconds(5_183_999) else {
        panic!("60 days are valid")
    };
    TokenGrant::received(long_lived(text), lifetime, now)
}

/// A consent to the basic permission, at `now`.
#[must_use]
pub fn consent(now: OffsetDateTime) -> Consent {
    Consent {
        receive_time: now,
        user_id: None,
        granted_scopes: GrantedScopes::Known(BTreeSet::from([Scope::basic()])),
    }
}

/// Account `number` of `owner`, linked at `now` with a token of that moment.
#[must_use]
pub fn account(number: u32, owner: &str, now: OffsetDateTime) -> InstagramAccount {
    InstagramAccount::link(
        AccountId::from_uuid(Uuid::from_u64_pair(0x0199_0000_0000_7000, u64::from(number))),
        parsed(owner),
        (profile(number), now),
        &consent(now),
        &grant("IGAA-first", now),
    )
}

/// The audit entry of a hand-out of the token of `account`, so many microseconds after [`START`].
#[must_use]
pub fn audit_entry(account: &InstagramAccount, after: u64) -> AuditEntry {
    let id = AuditId::from_uuid(Uuid::from_u64_pair(0x0199_0000_0000_7000, after));
    let recipient = Recipient {
        caller: parsed("publisher"),
        purpose: parsed("publish"),
        request_id: parsed("req-7"),
    };
    AuditEntry::of(id, recipient, account, START + Duration::from_micros(after))
}

/// A link that began at `now` under `state`, with an hour to go.
#[must_use]
pub fn pending_link(state: &str, owner: &str, now: OffsetDateTime) -> PendingLink {
    PendingLink {
        state: parsed::<StateToken>(state).hash(),
        owner: parsed(owner),
        session_binding: SessionBinding::default().hash(),
        redirect_uri: parsed("https://example.com/callback"),
        end: LinkEnd::Caller,
        scopes: RequestedScopes::usual(),
        account: None,
        create_time: now,
        expire_time: now + Duration::from_hours(1),
        spent_by: None,
    }
}

/// Data that a caller presents to finish the link that began under `state`.
#[must_use]
pub fn presentation(code: &str, state: &str, owner: &str) -> Presentation {
    Presentation {
        code: parsed(code),
        state: parsed(state),
        owner: parsed(owner),
        session_binding: SessionBinding::default(),
        by: PresentedBy::Caller,
    }
}

/// Update `number` that came to `account`: a message, with a payload of this size.
///
/// # Panics
///
/// When the payload is empty or too large.
#[must_use]
pub fn received(account: &InstagramAccount, number: u32, size: usize) -> ReceivedUpdate {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let Some(payload) = WebhookPayload::new(&"x".repeat(size)) else { panic!("no such payload") };
    ReceivedUpdate {
        account: account.professional_account_id.clone(),
        update: WebhookUpdate {
            id: WebhookId::from_bytes(id),
            field: WebhookField::of_name("messages"),
            direction: Some(Direction::Inbound),
            peer_id: Some(parsed("90001")),
            time: START,
            payload_size: i64::try_from(size).unwrap_or(i64::MAX),
        },
        payload: Some(payload),
    }
}
