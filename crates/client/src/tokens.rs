//! Tokens: a cache that keeps each for less than an hour, and asks once for all who want the same.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use ig_proto::v1;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tonic::Code;

use crate::client::AccountsClient;
use crate::refusal::{Reason, Refusal};

/// Maximum age at which a token is handed out. A caller keeps one for an hour at most: the last five minutes are for
/// the work that it was handed out for.
const MAX_AGE: Duration = Duration::from_mins(55);

/// Maximum number of accounts whose tokens are kept. Beyond it the one that was asked for the longest time ago goes.
const MAX_ACCOUNTS: u64 = 10_000;

/// Life of a token whose end the service does not know.
const UNKNOWN_LIFE: Duration = Duration::from_hours(1);

/// An access token, and what is known of it. Its `Debug` hides the token.
#[derive(Clone, Debug)]
pub struct AccessToken(Arc<Token>);

#[derive(Debug)]
struct Token {
    secret: SecretString,
    professional_account_id: String,
    expire_time: Option<SystemTime>,
    granted_scopes: Option<Vec<String>>,
    /// The account, and the life that was asked for.
    key: TokenKey,
    min_ttl: Duration,
    /// Whether the service was let ask Instagram about it first.
    is_checked: bool,
    /// Begin of the call by which it came.
    fetch_time: Instant,
    /// Life from then on, as far as it is known.
    life: Duration,
}

impl AccessToken {
    /// The token. Send it to Instagram and to nobody else, and log it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.secret.expose_secret()
    }

    /// Instagram's id of the professional account, which calls with the token name (`/{id}/media`).
    #[must_use]
    pub fn professional_account_id(&self) -> &str {
        &self.0.professional_account_id
    }

    /// The time at which the token expires. `None` where the service does not know it.
    #[must_use]
    pub fn expire_time(&self) -> Option<SystemTime> {
        self.0.expire_time
    }

    /// The permissions that the person granted, in alphabetical order. `None` where Instagram did not say.
    #[must_use]
    pub fn granted_scopes(&self) -> Option<&[String]> {
        self.0.granted_scopes.as_deref()
    }

    /// The token of an answer to a call that began at `fetch_time`. The service has found that it lives for at least
    /// `min_ttl`, whatever the clock of this machine says.
    fn read(
        answer: v1::FetchAccessTokenResponse,
        key: TokenKey,
        min_ttl: Duration,
        is_checked: bool,
        fetch_time: Instant,
    ) -> Self {
        let v1::FetchAccessTokenResponse {
            access_token,
            professional_account_id,
            expire_time,
            granted_scopes,
            granted_scopes_known,
        } = answer;
        let expire_time = expire_time.and_then(|time| SystemTime::try_from(time).ok());
        let life = expire_time.map_or(UNKNOWN_LIFE, life_until).max(min_ttl);
        Self(Arc::new(Token {
            secret: access_token.into(),
            professional_account_id,
            expire_time,
            granted_scopes: granted_scopes_known.then_some(granted_scopes),
            key,
            min_ttl,
            is_checked,
            fetch_time,
            life,
        }))
    }

    /// Whether it may be handed out to one who wants a token that lives for so long.
    fn serves(&self, min_ttl: Duration) -> bool {
        let age = self.0.fetch_time.elapsed();
        age < MAX_AGE && age.saturating_add(min_ttl) <= self.0.life
    }

    /// Whether Instagram has refused it, when it refused `refused`.
    fn is_same_as(&self, refused: &Self) -> bool {
        // Without a look by the service, the same text again is the same refusal again.
        let is_same_text = !self.0.is_checked && self.expose() == refused.expose();
        Arc::ptr_eq(&self.0, &refused.0) || is_same_text
    }
}

#[expect(clippy::disallowed_methods, reason = "an expiry is a moment of the calendar")]
fn life_until(expire_time: SystemTime) -> Duration {
    expire_time.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Account whose token is kept, and the owner under which it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TokenKey {
    account_id: String,
    owner: Option<String>,
}

/// A call for a token that is under way or has ended, with its result.
#[derive(Clone)]
struct Flight {
    /// Life of the token that is asked for.
    min_ttl: Duration,
    /// Whether it lets the service ask Instagram about the token first.
    refreshes: bool,
    /// The token that was there before, which serves until another one has come.
    former: Option<AccessToken>,
    result: Shared<BoxFuture<'static, Result<AccessToken, Refusal>>>,
}

impl Flight {
    /// The newest token there is for one who is not `refused`.
    fn token(&self, refused: Option<&AccessToken>) -> Option<&AccessToken> {
        let newest = match self.result.peek() {
            Some(Ok(token)) => Some(token),
            Some(Err(refusal)) if ends_tokens(refusal) => None,
            Some(Err(_)) | None => self.former.as_ref(),
        };
        newest.filter(|token| !refused.is_some_and(|refused| token.is_same_as(refused)))
    }

    /// Whether one who wants a token that lives for so long, and is not `refused`, may wait for this one.
    fn may_serve(&self, min_ttl: Duration, refused: Option<&AccessToken>) -> bool {
        let is_under_way = self.result.peek().is_none();
        is_under_way && self.min_ttl >= min_ttl && (self.refreshes || refused.is_none())
    }
}

/// Whether tokens that came before are not to be handed out any more: they are dead, or not the caller's.
fn ends_tokens(refusal: &Refusal) -> bool {
    match refusal.code() {
        Code::FailedPrecondition => {
            !matches!(refusal.reason(), Some(Reason::MinTtlUnmet | Reason::AppMisconfigured))
        }
        code => matches!(code, Code::NotFound | Code::PermissionDenied | Code::Unauthenticated),
    }
}

/// A cache of access tokens, of up to 10,000 accounts. Clones share it.
///
/// It hands out a token for up to 55 minutes after it was fetched, as long as the token lives for `min_ttl` more, and
/// then fetches anew. All who want the token of one account at the same time share one call; a call goes on when those
/// who wait for it give up. A refusal is handed to those who wait, and kept for nobody else: whom the token that was
/// there before serves goes on to get that one, unless the refusal says that it is dead or not the caller's any more.
#[derive(Clone)]
pub struct TokenCache {
    client: AccountsClient,
    purpose: Arc<str>,
    flights: Cache<TokenKey, Flight>,
}

impl TokenCache {
    /// An empty cache. The service's audit has `purpose` (at most 128 characters, without control characters) beside
    /// each token that this cache fetched: once, however often the cache hands it out.
    #[must_use]
    pub fn new(client: AccountsClient, purpose: impl Into<String>) -> Self {
        let flights = Cache::builder()
            .max_capacity(MAX_ACCOUNTS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MAX_AGE)
            .build();
        Self { client, purpose: Arc::from(purpose.into()), flights }
    }

    /// The token of this account, which lives for at least `min_ttl` (at most 50 days) from now on. `owner` is a fence:
    /// with it, another owner's account is not found.
    ///
    /// # Errors
    ///
    /// The refusal of `FetchAccessToken`, such as [`Reason::ReauthorizationRequired`] and [`Reason::MinTtlUnmet`].
    pub async fn token(
        &self,
        account_id: &str,
        owner: Option<&str>,
        min_ttl: Duration,
    ) -> Result<AccessToken, Refusal> {
        let key = TokenKey { account_id: account_id.to_owned(), owner: owner.map(str::to_owned) };
        self.obtain(key, min_ttl, None).await
    }

    /// To be called when Instagram refused a token (its error 190): forgets the token, lets the service find out by
    /// `Refresh` whether it is dead, and returns the newest one. All whose token was refused share these calls.
    ///
    /// A token that Instagram refuses again is dead, or refused for another reason: do not go on for ever.
    ///
    /// # Errors
    ///
    /// The refusal of `Refresh` or `FetchAccessToken`: after [`Reason::ReauthorizationRequired`] only the person can
    /// help, by a new consent.
    pub async fn refused(&self, token: &AccessToken) -> Result<AccessToken, Refusal> {
        self.obtain(token.0.key.clone(), token.0.min_ttl, Some(token)).await
    }

    async fn obtain(
        &self,
        key: TokenKey,
        min_ttl: Duration,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Refusal> {
        loop {
            let flight = self.flight(&key, min_ttl, refused);
            if let Some(token) = flight.token(refused).filter(|token| token.serves(min_ttl)) {
                return Ok(token.clone());
            }
            match flight.result.await {
                // The service has just said that it lives for so long, whatever the clock here says.
                Ok(token) if flight.min_ttl >= min_ttl || token.serves(min_ttl) => {
                    return Ok(token);
                }
                // It was another one's, who wanted a shorter life.
                Ok(_) => {}
                // It was another one's, who wanted a longer life.
                Err(refusal)
                    if flight.min_ttl > min_ttl
                        && refusal.reason() == Some(&Reason::MinTtlUnmet) => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// The call whose token serves, or is waited for; a new one where there is none.
    fn flight(&self, key: &TokenKey, min_ttl: Duration, refused: Option<&AccessToken>) -> Flight {
        let former = Cell::new(None);
        let is_useless = |flight: &Flight| {
            let token = flight.token(refused);
            let serves = token.is_some_and(|token| token.serves(min_ttl));
            former.set(token.cloned());
            !serves && !flight.may_serve(min_ttl, refused)
        };
        let begin = || self.fetch(key.clone(), min_ttl, refused.is_some(), former.take());
        self.flights.entry_by_ref(key).or_insert_with_if(begin, is_useless).into_value()
    }

    /// Begins a call in a task of its own.
    fn fetch(
        &self,
        key: TokenKey,
        min_ttl: Duration,
        refresh_first: bool,
        former: Option<AccessToken>,
    ) -> Flight {
        let (client, purpose) = (self.client.clone(), self.purpose.clone());
        let fetching = async move {
            let TokenKey { account_id, owner } = key.clone();
            if refresh_first {
                let (account_id, owner) = (account_id.clone(), owner.clone());
                client.refresh(v1::RefreshRequest { account_id, owner }).await?;
            }
            let fetch_time = Instant::now();
            let request = v1::FetchAccessTokenRequest {
                account_id,
                owner,
                // One that is too long for the message is above the 50 days of the service.
                min_ttl: Some(prost_types::Duration::try_from(min_ttl).unwrap_or(TOO_LONG)),
                purpose: purpose.as_ref().to_owned(),
            };
            let answer = client.fetch_access_token(request).await?;
            Ok(AccessToken::read(answer, key, min_ttl, refresh_first, fetch_time))
        };
        let result = fetching.boxed().shared();
        drop(tokio::spawn(result.clone()));
        Flight { min_ttl, refreshes: refresh_first, former, result }
    }
}

/// A life that the service refuses as too long.
const TOO_LONG: prost_types::Duration = prost_types::Duration { seconds: i64::MAX, nanos: 0 };

#[cfg(test)]
mod tests;
