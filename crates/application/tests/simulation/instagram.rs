//! Instagram as the simulation knows it: codes that work once, tokens with their lineage, lies and losses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{Clock as _, CodeExchange, Instagram, InstagramError, InstagramErrorKind};
use ig_domain::{
    AuthorizationCode, GrantedScopes, LongLivedToken, Profile, ReauthorizationReason, RedirectUri,
    RequestedScopes, ShortLivedToken, StateToken, TokenLifetime, TokenText, WebhookFields,
};
use ig_test_support::builders::{long_lived, parsed, profile};
use time::OffsetDateTime;

use crate::crash_points::{CrashPoint, Side};
use crate::replica::{Replica, Serves};
use crate::rules::Tick;
use crate::sickness::{Sickness, THROTTLING, throttled};
use crate::world::State;

/// State of the simulated Instagram.
#[derive(Default)]
pub(crate) struct InstagramModel {
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// Refusal of all calls, or of those for one person; `None` while Instagram is well.
    pub(crate) sickness: Option<Sickness>,
    count: u32,
}

/// A code and its history.
pub(crate) struct Code {
    pub(crate) person: u32,
    pub(crate) expire_time: OffsetDateTime,
    used: bool,
    sent: Sent,
}

/// Knowledge of our side about a code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// It was never sent, or it is known that it was not taken.
    No,
    /// It was sent, and it is not known that it was not taken.
    Perhaps,
}

/// A token and its origin.
pub(crate) struct Token {
    pub(crate) person: u32,
    /// The token that it was renewed from.
    pub(crate) parent: Option<String>,
    expire_time: OffsetDateTime,
    dead: bool,
    refusals: u32,
    /// The first refusal since our side was told last that it works.
    refused_since: Tick,
    /// The first refusal of two with no answer in between that told our side that it works; `None` where there were
    /// never two.
    pub(crate) refused_twice: Option<Tick>,
}

const SHORT: Duration = Duration::from_hours(1);
const LONG: Duration = Duration::from_hours(60 * 24);

impl InstagramModel {
    /// A person consents: a code.
    pub(crate) fn consent(&mut self, person: u32, now: OffsetDateTime) -> String {
        self.count += 1;
        let code = format!("code-{}", self.count);
        let expire_time = now + Duration::from_hours(1);
        let row = Code { person, expire_time, used: false, sent: Sent::No };
        self.codes.insert(code.clone(), row);
        code
    }

    /// A person's password changes: all tokens issued so far die.
    pub(crate) fn revoke(&mut self, person: u32) {
        let tokens = self.tokens.values_mut().filter(|token| token.person == person);
        tokens.for_each(|token| token.dead = true);
    }

    /// A person removes the app: all tokens and codes issued so far die.
    pub(crate) fn remove_app(&mut self, person: u32) {
        self.revoke(person);
        let codes = self.codes.values_mut().filter(|code| code.person == person);
        codes.for_each(|code| code.used = true);
    }

    /// A token of an older system, which was issued at `now`, and its expiry.
    pub(crate) fn issue_elsewhere(
        &mut self,
        person: u32,
        now: OffsetDateTime,
    ) -> (String, OffsetDateTime) {
        (self.issue("long", person, None, now), now + LONG)
    }

    fn issue(
        &mut self,
        kind: &str,
        person: u32,
        parent: Option<&str>,
        now: OffsetDateTime,
    ) -> String {
        self.count += 1;
        let text = format!("{kind}-{}", self.count);
        let life = if kind == "short" { SHORT } else { LONG };
        let token = Token {
            person,
            parent: parent.map(str::to_owned),
            expire_time: now + life,
            dead: false,
            refusals: 0,
            refused_since: 0,
            refused_twice: None,
        };
        self.tokens.insert(text.clone(), token);
        text
    }

    /// The person that the token belongs to, or the refusal.
    fn judge(&mut self, text: &str, lie: bool, call: Call) -> Result<u32, InstagramError> {
        let token = self.tokens.get_mut(text).expect("only issued tokens are presented");
        let sick = self.sickness.as_ref().and_then(|sickness| sickness.rejection(token.person));
        if token.dead || token.expire_time <= call.now || lie || sick.is_some() {
            if token.refusals == 0 {
                token.refused_since = call.tick;
            }
            token.refusals += 1;
            if token.refusals >= 2 {
                token.refused_twice.get_or_insert(token.refused_since);
            }
            let reason = sick.unwrap_or(ReauthorizationReason::PasswordChanged);
            return Err(InstagramErrorKind::TokenRejected(reason).into());
        }
        if call.answered {
            token.refusals = 0;
        }
        Ok(token.person)
    }

    /// Whether Instagram takes the token at `now`.
    pub(crate) fn accepts(&self, text: &str, now: OffsetDateTime) -> bool {
        self.tokens.get(text).is_some_and(|token| !token.dead && token.expire_time > now)
    }

    fn person_of(&self, token: &str) -> u32 {
        self.tokens.get(token).expect("only issued tokens are presented").person
    }
}

/// A call, as it reaches Instagram.
#[derive(Clone, Copy)]
struct Call {
    now: OffsetDateTime,
    tick: Tick,
    /// Whether Instagram's answer reaches our side, so that our side knows it.
    answered: bool,
}

/// Course of a call to Instagram.
enum Way {
    Well,
    /// Answered, or known not to be sent: nothing was done.
    Refused(InstagramError),
    /// No answer; our side cannot know whether it was done.
    Silence {
        done: bool,
    },
    /// Done, and the answer makes no sense.
    Gibberish,
}

impl Replica {
    fn way(&self, person: u32) -> Way {
        let refusal = |state: &State| state.instagram.sickness.as_ref()?.refusal(person);
        if let Some(refusal) = refusal(&self.world.state()) {
            return Way::Refused(refusal);
        }
        if !self.world.trouble(3) {
            return Way::Well;
        }
        match self.world.roll(8) {
            0 => Way::Refused(InstagramErrorKind::NotSent.into()),
            1 => Way::Refused(InstagramErrorKind::Unavailable.into()),
            2 => Way::Refused(throttled(THROTTLING[self.world.roll(THROTTLING.len())])),
            3 => Way::Refused(InstagramErrorKind::AppMisconfigured.into()),
            4 => Way::Refused(InstagramErrorKind::Unexpected.into()),
            5 => Way::Silence { done: true },
            6 => Way::Silence { done: false },
            _ => Way::Gibberish,
        }
    }

    /// A keeper renews a token that is due, and no other one.
    fn check_due(&self, token: &TokenText) {
        let accounts = self.world.store.accounts();
        let mut accounts = accounts.iter();
        let account =
            accounts.find(|(_, stored)| stored.text().is(token)).map(|(account, _)| account);
        let early = account.is_some_and(|account| account.renewal_time() > self.world.clock.now());
        if self.serves == Serves::Keeper && early {
            self.world.violate("a keeper renews a token that is not due");
        }
    }

    /// Marks the knowledge of our side about a code, and returns the former mark. A code past its hour cannot be taken
    /// any more, so our side may have forgotten what it knew.
    fn mark(&self, code: &str, sent: Sent) -> Sent {
        let now = self.world.clock.now();
        let mut state = self.world.state();
        let code = state.instagram.codes.get_mut(code).expect("a code of the history");
        let former = std::mem::replace(&mut code.sent, sent);
        if code.expire_time <= now { Sent::No } else { former }
    }

    async fn call<T>(
        &self,
        point: CrashPoint,
        person: u32,
        work: impl FnOnce(&mut State, Call) -> Result<T, InstagramError> + Send,
    ) -> Result<T, InstagramError> {
        let (way, now) = (self.way(person), self.world.clock.now());
        let answer = {
            let state = &mut *self.world.state();
            let tick = state.rules.tick();
            let call = Call { now, tick, answered: matches!(way, Way::Well) };
            if !call.answered {
                state.rules.excuse(self.number);
            }
            match way {
                Way::Well => work(state, call),
                Way::Refused(refusal) => Err(refusal),
                Way::Silence { done: false } => Err(InstagramErrorKind::NoAnswer.into()),
                Way::Silence { done: true } => {
                    work(state, call).and_then(|_| Err(InstagramErrorKind::NoAnswer.into()))
                }
                Way::Gibberish => {
                    work(state, call).and_then(|_| Err(InstagramErrorKind::Unreadable.into()))
                }
            }
        };
        self.world.note(|| {
            let said = answer.as_ref().err().map_or("well".to_owned(), ToString::to_string);
            format!("  {point:?}: {said}")
        });
        self.world.pass(point, Side::After).await;
        answer
    }

    /// Calls Instagram with a token, unless it asked to wait: then no call may be made but by a link.
    async fn call_with<T>(
        &self,
        point: CrashPoint,
        token: &TokenText,
        work: impl FnOnce(&mut State, Call, u32) -> Result<T, InstagramError> + Send,
    ) -> Result<T, InstagramError> {
        let text = token.expose();
        // Whose a token is that is imported is known to nobody before.
        let is_imported = self.world.state().imports.has(text);
        let account = self.world.account_with(text).filter(|_| !is_imported);
        if self.pauses().are_on(account, self.world.clock.now()) && text.starts_with("long-") {
            self.world.violate("Instagram was asked though it throttles");
        }
        self.world.pass(point, Side::Before).await;
        let lie = self.world.trouble(12);
        let person = self.world.state().instagram.person_of(text);
        let answer = self.call(point, person, move |state, call| {
            let person = state.instagram.judge(text, lie, call)?;
            work(state, call, person)
        });
        let answer = answer.await;
        if let Err(error) = &answer
            && text.starts_with("long-")
        {
            self.pauses().hear(account, error, self.world.clock.now());
        }
        answer
    }

    async fn lengthen(
        &self,
        point: CrashPoint,
        token: &TokenText,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let text = token.expose();
        let renews = point == CrashPoint::RenewToken;
        let issued = self.call_with(point, token, |state, call, person| {
            let parent = renews.then_some(text);
            let account = self.world.account_with(text);
            // Whoever imports a token at the same time as others knows nothing of them.
            let is_imported = state.imports.has(text);
            if renews && !state.rules.may_renew(self.number, text, account) && !is_imported {
                state.violate(format!("{text} was renewed twice without need"));
            }
            Ok(state.instagram.issue("long", person, parent, call.now))
        });
        let lifetime = TokenLifetime::from_seconds(LONG.as_secs()).expect("60 days");
        Ok((long_lived(&issued.await?), lifetime))
    }
}

#[async_trait]
impl Instagram for Replica {
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
        _redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        self.world.pass(CrashPoint::ExchangeCode, Side::Before).await;
        let text = code.expose();
        let former = self.mark(text, Sent::Perhaps);
        let person = self.world.state().instagram.codes[text].person;
        let is_forgotten = self.world.state().removals.take_erased(&code.hash());
        if former == Sent::Perhaps && !is_forgotten {
            self.world.violate(format!("{text} was sent again though Instagram may have taken it"));
        }
        let exchanged = self.call(CrashPoint::ExchangeCode, person, move |state, call| {
            let code = state.instagram.codes.get_mut(text).expect("a code of the history");
            if code.used || code.expire_time <= call.now {
                return Err(InstagramErrorKind::CodeRejected.into());
            }
            code.used = true;
            Ok((person, state.instagram.issue("short", person, None, call.now)))
        });
        match exchanged.await {
            Ok((person, token)) => Ok(CodeExchange {
                token: ShortLivedToken::new(parsed(&token)),
                user_id: profile(person).app_scoped_user_id,
                granted_scopes: GrantedScopes::Unknown,
            }),
            Err(refusal) => {
                let unknown = [InstagramErrorKind::NoAnswer, InstagramErrorKind::Unreadable];
                if !unknown.contains(&refusal.kind) {
                    self.mark(text, Sent::No);
                }
                Err(refusal)
            }
        }
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.lengthen(CrashPoint::ExtendToken, token.text()).await
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.check_due(token.text());
        self.lengthen(CrashPoint::RenewToken, token.text()).await
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        let read = self.call_with(CrashPoint::ReadProfile, token, |_, _, person| Ok(person));
        let person = read.await?;
        self.world.state().rules.testify(person);
        Ok(profile(person))
    }

    async fn subscription(&self, _token: &TokenText) -> Result<BTreeSet<String>, InstagramError> {
        Err(InstagramErrorKind::Unexpected.into())
    }

    /// Histories subscribe nobody.
    async fn subscribe(
        &self,
        _token: &TokenText,
        _fields: &WebhookFields,
    ) -> Result<(), InstagramError> {
        Err(InstagramErrorKind::Unexpected.into())
    }

    async fn unsubscribe(&self, _token: &TokenText) -> Result<(), InstagramError> {
        Err(InstagramErrorKind::Unexpected.into())
    }
}
