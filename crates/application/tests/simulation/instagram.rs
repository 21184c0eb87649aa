//! Instagram as the simulation knows it: codes that work once, tokens with their lineage, lies and losses.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    Clock as _, CodeExchange, GraphFacts, Instagram, InstagramError, InstagramErrorKind,
};
use ig_domain::{
    AuthorizationCode, GrantedScopes, LongLivedToken, Profile, ReauthorizationReason, RedirectUri,
    RequestedScopes, ShortLivedToken, StateToken, TokenLifetime, TokenText,
};
use ig_test_support::builders::{long_lived, parsed, profile};
use time::OffsetDateTime;

use crate::ports::Replica;
use crate::world::point;

/// State of the simulated Instagram.
#[derive(Default)]
pub(crate) struct InstagramModel {
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) tokens: BTreeMap<String, Token>,
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
    person: u32,
    /// The token that it was renewed from.
    pub(crate) parent: Option<String>,
    expire_time: OffsetDateTime,
    dead: bool,
    refusals: u32,
    /// Whether it was refused twice, with no answer in between that told our side that it works.
    pub(crate) refused_twice: bool,
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
            refused_twice: false,
        };
        self.tokens.insert(text.clone(), token);
        text
    }

    /// The person that the token belongs to, or the refusal.
    fn judge(&mut self, text: &str, lie: bool, call: Call) -> Result<u32, InstagramError> {
        let token = self.tokens.get_mut(text).expect("only issued tokens are presented");
        if token.dead || token.expire_time <= call.now || lie {
            token.refusals += 1;
            token.refused_twice |= token.refusals >= 2;
            let reason = ReauthorizationReason::PasswordChanged;
            return Err(error(InstagramErrorKind::TokenRejected(reason)));
        }
        if call.answered {
            token.refusals = 0;
        }
        Ok(token.person)
    }
}

/// A call, as it reaches Instagram.
#[derive(Clone, Copy)]
struct Call {
    now: OffsetDateTime,
    /// Whether Instagram's answer reaches our side, so that our side knows it.
    answered: bool,
}

fn error(kind: InstagramErrorKind) -> InstagramError {
    InstagramError { kind, facts: GraphFacts::default() }
}

/// Course of a call to Instagram.
enum Way {
    Well,
    /// Answered, or known not to be sent: nothing was done.
    Refused(InstagramErrorKind),
    /// No answer; our side cannot know whether it was done.
    Silence {
        done: bool,
    },
    /// Done, and the answer makes no sense.
    Gibberish,
}

impl Replica {
    fn way(&self) -> Way {
        if !self.0.trouble(3) {
            return Way::Well;
        }
        let retry_after = Duration::from_mins(1);
        match self.0.roll(8) {
            0 => Way::Refused(InstagramErrorKind::NotSent),
            1 => Way::Refused(InstagramErrorKind::Unavailable),
            2 => Way::Refused(InstagramErrorKind::RateLimited { retry_after }),
            3 => Way::Refused(InstagramErrorKind::AppMisconfigured),
            4 => Way::Refused(InstagramErrorKind::Unexpected),
            5 => Way::Silence { done: true },
            6 => Way::Silence { done: false },
            _ => Way::Gibberish,
        }
    }

    /// Marks the knowledge of our side about a code, and returns the former mark. A code past its hour cannot be taken
    /// any more, so our side may have forgotten what it knew.
    fn mark(&self, code: &str, sent: Sent) -> Sent {
        let now = self.0.clock.now();
        let mut state = self.0.state();
        let code = state.instagram.codes.get_mut(code).expect("a code of the history");
        let former = std::mem::replace(&mut code.sent, sent);
        if code.expire_time <= now { Sent::No } else { former }
    }

    async fn call<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut InstagramModel, Call) -> Result<T, InstagramError> + Send,
    ) -> Result<T, InstagramError> {
        let way = self.way();
        let call = Call { now: self.0.clock.now(), answered: matches!(way, Way::Well) };
        let answer = {
            let instagram = &mut self.0.state().instagram;
            match way {
                Way::Well => work(instagram, call),
                Way::Refused(kind) => Err(error(kind)),
                Way::Silence { done: false } => Err(error(InstagramErrorKind::NoAnswer)),
                Way::Silence { done: true } => {
                    work(instagram, call).and_then(|_| Err(error(InstagramErrorKind::NoAnswer)))
                }
                Way::Gibberish => {
                    work(instagram, call).and_then(|_| Err(error(InstagramErrorKind::Unreadable)))
                }
            }
        };
        self.0.note(|| {
            let said = answer.as_ref().err().map_or("well".to_owned(), ToString::to_string);
            format!("  {name}: {said}")
        });
        point().await;
        answer
    }

    async fn lengthen(
        &self,
        name: &str,
        token: &TokenText,
        renewal: bool,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        point().await;
        let lie = self.0.trouble(12);
        let text = token.expose().to_owned();
        let issued = self.call(name, move |instagram, call| {
            let person = instagram.judge(&text, lie, call)?;
            let parent = renewal.then_some(text.as_str());
            Ok(instagram.issue("long", person, parent, call.now))
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
        point().await;
        let text = code.expose().to_owned();
        let former = self.mark(&text, Sent::Perhaps);
        if former == Sent::Perhaps {
            self.0.violate(format!("{text} was sent again though Instagram may have taken it"));
        }
        let spent = text.clone();
        let exchanged = self.call("exchange code", move |instagram, call| {
            let code = instagram.codes.get_mut(&spent).expect("a code of the history");
            if code.used || code.expire_time <= call.now {
                return Err(error(InstagramErrorKind::CodeRejected));
            }
            code.used = true;
            let person = code.person;
            Ok((person, instagram.issue("short", person, None, call.now)))
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
                    self.mark(&text, Sent::No);
                }
                Err(refusal)
            }
        }
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.lengthen("extend token", token.text(), false).await
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.lengthen("renew token", token.text(), true).await
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        point().await;
        let lie = self.0.trouble(12);
        let text = token.expose().to_owned();
        let person =
            self.call("read profile", move |instagram, call| instagram.judge(&text, lie, call));
        Ok(profile(person.await?))
    }
}
