//! An Instagram with a mood: for all accounts, or for some.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    Clock as _, CodeExchange, GraphFacts, Instagram, InstagramError, InstagramErrorKind,
};
use ig_domain::{
    AuthorizationCode, GrantedScopes, LongLivedToken, Profile, ReauthorizationReason, RedirectUri,
    RequestedScopes, ShortLivedToken, StateToken, TokenLifetime, TokenText, WebhookFields,
};
use time::OffsetDateTime;

use crate::FakeClock;
use crate::builders::{long_lived, parsed, profile};

/// Lifetime of a token.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(60 * 24);

/// Instagram as a whole. Clones share it.
#[derive(Clone)]
pub struct MoodyInstagram {
    clock: FakeClock,
    /// Time that a call takes.
    call_time: Duration,
    state: Arc<Mutex<State>>,
    in_flight: Arc<AtomicUsize>,
    most_in_flight: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<String, Token>,
    issued: u32,
    mood: Mood,
    /// Refusals of single accounts.
    refused: HashMap<u32, InstagramError>,
    /// Fields by account.
    subscribed: HashMap<u32, BTreeSet<String>>,
    /// Failure of all calls about subscriptions.
    subscription_failure: Option<InstagramError>,
    calls: Vec<Call>,
}

struct Token {
    number: u32,
    issue_time: OffsetDateTime,
    expire_time: OffsetDateTime,
}

/// Mood of Instagram towards all accounts, or those of some numbers.
#[derive(Clone, Debug, Default)]
pub enum Mood {
    /// It answers.
    #[default]
    Well,
    /// It fails for everybody.
    Fails(InstagramError),
    /// It fails for these accounts.
    FailsFor(HashSet<u32>, InstagramError),
}

/// Kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// The renewal of a token.
    Renewal,
    /// The reading of a profile.
    Reading,
    /// The reading of a subscription.
    Subscription,
    /// The setting of a subscription.
    Subscribe,
    /// The end of a subscription.
    Unsubscribe,
}

/// A call that came.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Moment at which it came.
    pub time: OffsetDateTime,
    /// Its kind.
    pub kind: CallKind,
    /// Number of the account.
    pub number: u32,
}

/// A failure of this kind, with Instagram's numbers for it.
#[must_use]
pub fn failure(
    kind: InstagramErrorKind,
    code: Option<i64>,
    subcode: Option<i64>,
) -> InstagramError {
    InstagramError { kind, facts: GraphFacts { code, subcode, fbtrace_id: None } }
}

/// A refusal of the token under code 190, with this subcode.
#[must_use]
pub fn dead(subcode: Option<i64>) -> InstagramError {
    let reason = match subcode {
        Some(463) => ReauthorizationReason::TokenExpired,
        Some(460) => ReauthorizationReason::PasswordChanged,
        Some(459 | 464) => ReauthorizationReason::Checkpoint,
        _ => ReauthorizationReason::TokenRevoked,
    };
    failure(InstagramErrorKind::TokenRejected(reason), Some(190), subcode)
}

impl MoodyInstagram {
    /// One that answers, each call after `call_time`.
    #[must_use]
    pub fn new(clock: FakeClock, call_time: Duration) -> Self {
        Self {
            clock,
            call_time,
            state: Arc::default(),
            in_flight: Arc::default(),
            most_in_flight: Arc::default(),
        }
    }

    /// Knows `token` as that of account `number`.
    pub fn know(
        &self,
        token: &str,
        number: u32,
        issue_time: OffsetDateTime,
        expire_time: OffsetDateTime,
    ) {
        self.lock().tokens.insert(token.to_owned(), Token { number, issue_time, expire_time });
    }

    /// Sets the mood from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Refuses account `number` from now on, or no more.
    pub fn refuse(&self, number: u32, refusal: Option<InstagramError>) {
        let mut state = self.lock();
        match refusal {
            Some(refusal) => state.refused.insert(number, refusal),
            None => state.refused.remove(&number),
        };
    }

    /// Fails all calls about subscriptions from now on, or no more.
    pub fn fail_subscriptions(&self, failure: Option<InstagramError>) {
        self.lock().subscription_failure = failure;
    }

    /// Fields that account `number` is subscribed to; empty for none.
    #[must_use]
    pub fn subscribed(&self, number: u32) -> Vec<String> {
        self.lock().subscribed.get(&number).into_iter().flatten().cloned().collect()
    }

    /// Ends the subscription of account `number`, as Instagram does by itself.
    pub fn lose_subscription(&self, number: u32) {
        self.lock().subscribed.remove(&number);
    }

    /// The calls since they were taken last.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Maximum number of calls that were under way at once, since it was taken last.
    #[must_use]
    pub fn take_most_in_flight(&self) -> usize {
        self.most_in_flight.swap(0, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn issue(&self, state: &mut State, number: u32) -> LongLivedToken {
        state.issued += 1;
        let text = format!("IGAA-{number}-{}", state.issued);
        let now = self.clock.now();
        let expire_time = now + TOKEN_LIFETIME;
        state.tokens.insert(text.clone(), Token { number, issue_time: now, expire_time });
        long_lived(&text)
    }

    /// One call with a token; returns the number of its account.
    async fn call<T>(
        &self,
        kind: CallKind,
        token: &TokenText,
        answer: impl FnOnce(&Self, &mut State, u32) -> T,
    ) -> Result<T, InstagramError> {
        let under_way = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(under_way, Ordering::SeqCst);
        let came = self.note(kind, token);
        tokio::time::sleep(self.call_time).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let number = came?;
        Ok(answer(self, &mut self.lock(), number))
    }

    fn note(&self, kind: CallKind, token: &TokenText) -> Result<u32, InstagramError> {
        let (now, mut state) = (self.clock.now(), self.lock());
        let Token { number, issue_time, expire_time } = state.tokens.get(token.expose()).unwrap();
        let (number, age, is_expired) = (*number, now - *issue_time, *expire_time <= now);
        assert!(
            kind != CallKind::Renewal || age >= Duration::from_hours(24),
            "account {number} is renewed at an age of {age}"
        );
        state.calls.push(Call { time: now, kind, number });
        let of_all = match &state.mood {
            Mood::Fails(error) => Some(error),
            Mood::FailsFor(numbers, error) if numbers.contains(&number) => Some(error),
            Mood::FailsFor(..) | Mood::Well => None,
        };
        let of_subscriptions = match kind {
            CallKind::Renewal | CallKind::Reading => None,
            _ => state.subscription_failure.as_ref(),
        };
        match of_all.or_else(|| state.refused.get(&number)).or(of_subscriptions) {
            Some(error) => Err(error.clone()),
            None if is_expired => Err(dead(Some(463))),
            None => Ok(number),
        }
    }
}

fn lifetime() -> TokenLifetime {
    TokenLifetime::from_seconds(TOKEN_LIFETIME.as_secs()).unwrap()
}

#[async_trait]
impl Instagram for MoodyInstagram {
    fn authorization_url(
        &self,
        _redirect_uri: &RedirectUri,
        _scopes: &RequestedScopes,
        _state: &StateToken,
        _force_reauth: bool,
    ) -> String {
        String::new()
    }

    /// A code is the number of an account.
    async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        _redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        let number: u32 = code.expose().parse().unwrap();
        self.lock().refused.remove(&number);
        Ok(CodeExchange {
            token: ShortLivedToken::new(parsed(&format!("IGAA-short-{number}"))),
            user_id: None,
            granted_scopes: GrantedScopes::Unknown,
        })
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let number = token.text().expose().trim_start_matches("IGAA-short-").parse().unwrap();
        Ok((self.issue(&mut self.lock(), number), lifetime()))
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let renewal = self.call(CallKind::Renewal, token.text(), Self::issue);
        Ok((renewal.await?, lifetime()))
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        if let Some(number) = token.expose().strip_prefix("IGAA-short-") {
            return Ok(profile(number.parse().unwrap()));
        }
        self.call(CallKind::Reading, token, |_, _, number| profile(number)).await
    }

    async fn subscription(&self, token: &TokenText) -> Result<BTreeSet<String>, InstagramError> {
        let fields = |_: &Self, state: &mut State, number| {
            state.subscribed.get(&number).cloned().unwrap_or_default()
        };
        self.call(CallKind::Subscription, token, fields).await
    }

    async fn subscribe(
        &self,
        token: &TokenText,
        fields: &WebhookFields,
    ) -> Result<(), InstagramError> {
        let fields = fields.iter().map(str::to_owned).collect();
        let subscribe = |_: &Self, state: &mut State, number| {
            state.subscribed.insert(number, fields);
        };
        self.call(CallKind::Subscribe, token, subscribe).await
    }

    async fn unsubscribe(&self, token: &TokenText) -> Result<(), InstagramError> {
        let end = |_: &Self, state: &mut State, number| {
            state.subscribed.remove(&number);
        };
        self.call(CallKind::Unsubscribe, token, end).await
    }
}
