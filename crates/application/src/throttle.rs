//! Throttling, remembered until the time that Instagram named.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ig_domain::ports::{InstagramError, InstagramErrorKind, ThrottleScope};
use ig_domain::{AccountId, ImportHash};
use time::OffsetDateTime;

/// Maximum number of throttled accounts that are remembered, imported ones among them. Ours: those beyond it are asked,
/// and throttled, anew.
const MAX_REMEMBERED_ACCOUNTS: usize = 10_000;

/// Memory of one process for the app's throttling and that of accounts.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Throttled>);

#[derive(Default)]
struct Throttled {
    app: Option<Pause>,
    accounts: HashMap<ThrottleKey, Pause>,
}

/// Account for which a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ThrottleKey {
    /// The account that is stored under this id, or will be.
    Account(AccountId),
    /// The account of a token that is to be imported, which is not known yet.
    Import(ImportHash),
}

impl From<AccountId> for ThrottleKey {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl From<ImportHash> for ThrottleKey {
    fn from(token: ImportHash) -> Self {
        Self::Import(token)
    }
}

/// A pause that Instagram asked for.
#[derive(Clone)]
struct Pause {
    end: OffsetDateTime,
    error: InstagramError,
}

impl Pause {
    /// Instagram's refusal with the time that is left at `now`; `None` where the pause is over.
    fn left(&self, now: OffsetDateTime) -> Option<InstagramError> {
        let left =
            std::time::Duration::try_from(self.end - now).ok().filter(|left| !left.is_zero());
        let kind = InstagramErrorKind::RateLimited { retry_after: left? };
        Some(InstagramError { kind, ..self.error.clone() })
    }
}

impl Throttle {
    /// Remembers `error`, the answer to a call for `account` at `now`, where it throttles the app or the account.
    pub(crate) fn remember(
        &self,
        account: impl Into<ThrottleKey>,
        error: &InstagramError,
        now: OffsetDateTime,
    ) {
        let Some(scope) = error.throttle_scope() else { return };
        let pause = Pause { end: now + error.retry_after(), error: error.clone() };
        let mut throttled = self.lock();
        match scope {
            ThrottleScope::App => {
                let longer = throttled.app.take().filter(|former| former.end > pause.end);
                throttled.app = Some(longer.unwrap_or(pause));
            }
            ThrottleScope::Account => {
                let accounts = &mut throttled.accounts;
                if accounts.len() >= MAX_REMEMBERED_ACCOUNTS {
                    accounts.retain(|_, former| former.end > now);
                }
                if accounts.len() < MAX_REMEMBERED_ACCOUNTS {
                    let key = account.into();
                    let longer = accounts.remove(&key).filter(|former| former.end > pause.end);
                    accounts.insert(key, longer.unwrap_or(pause));
                }
            }
        }
    }

    /// Instagram's refusal of all calls that is in force at `now`, with the time that is left.
    pub(crate) fn of_app(&self, now: OffsetDateTime) -> Option<InstagramError> {
        self.lock().app.as_ref()?.left(now)
    }

    /// The refusal of calls for `account` that is in force at `now`: of the app's or the account's the one that lasts
    /// longer.
    pub(crate) fn of(
        &self,
        account: impl Into<ThrottleKey>,
        now: OffsetDateTime,
    ) -> Option<InstagramError> {
        let throttled = self.lock();
        let pauses = throttled.app.iter().chain(throttled.accounts.get(&account.into()));
        pauses.max_by_key(|pause| pause.end)?.left(now)
    }

    fn lock(&self) -> MutexGuard<'_, Throttled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ig_domain::ports::GraphFacts;
    use ig_test_support::builders::{START, account};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn throttled(code: Option<i64>, minutes: u32) -> InstagramError {
        let kind = InstagramErrorKind::RateLimited { retry_after: MINUTE * minutes };
        InstagramError { kind, facts: GraphFacts { code, ..GraphFacts::default() } }
    }

    fn id(number: u32) -> AccountId {
        account(number, "", START).id
    }

    #[test]
    fn the_app_is_throttled_for_the_longest_time_named() {
        for code in [4, 32, 341, 613] {
            let throttle = Throttle::default();
            throttle.remember(id(1), &throttled(Some(code), 5), START);
            throttle.remember(id(2), &throttled(Some(code), 2), START + MINUTE);
            let left = throttle.of(id(3), START + MINUTE);
            assert_eq!(left, Some(throttled(Some(code), 4)), "code {code}");
            assert_eq!(throttle.of_app(START + MINUTE), left);
            assert_eq!(throttle.of(id(3), START + MINUTE * 5), None);
        }
    }

    #[test]
    fn an_account_that_is_throttled_throttles_no_other() {
        for code in [17, 368, 80_002] {
            let throttle = Throttle::default();
            throttle.remember(id(1), &throttled(Some(code), 5), START);
            assert_eq!(throttle.of(id(1), START), Some(throttled(Some(code), 5)), "code {code}");
            assert_eq!((throttle.of(id(2), START), throttle.of_app(START)), (None, None));
        }
    }

    #[test]
    fn other_failures_are_not_remembered() {
        let throttle = Throttle::default();
        throttle.remember(id(1), &throttled(None, 5), START);
        throttle.remember(id(1), &InstagramErrorKind::Unavailable.into(), START);
        assert_eq!(throttle.of(id(1), START), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..u32::try_from(MAX_REMEMBERED_ACCOUNTS).unwrap() + 10 {
            throttle.remember(id(number), &throttled(Some(17), 5), START);
        }
        assert_eq!(throttle.lock().accounts.len(), MAX_REMEMBERED_ACCOUNTS);
        throttle.remember(id(1), &throttled(Some(17), 5), START + MINUTE * 5);
        assert_eq!(throttle.lock().accounts.len(), 1, "what is over makes room");
    }
}
