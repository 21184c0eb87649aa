//! Calls to Instagram with an account's token, answered from memory while Instagram throttles them.

use ig_domain::ports::{InstagramError, InstagramErrorKind};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken, Profile, TokenGrant};

use crate::Ports;
use crate::throttle::ThrottleKey;

/// Renews the token of the account.
///
/// # Errors
///
/// As `renew_token` of Instagram.
pub(crate) async fn renew(
    ports: &Ports,
    id: AccountId,
    token: &LongLivedToken,
) -> Result<TokenGrant, InstagramError> {
    let renewal = unless_throttled(ports, id, || ports.instagram.renew_token(token));
    let (token, lifetime) = renewal.await?;
    Ok(TokenGrant::received(token, lifetime, ports.clock.now()))
}

/// Reads the profile, which must be this account's.
///
/// # Errors
///
/// As `profile` of Instagram.
pub(crate) async fn read(
    ports: &Ports,
    account: &InstagramAccount,
    token: &LongLivedToken,
) -> Result<Profile, InstagramError> {
    let reading = unless_throttled(ports, account.id, || ports.instagram.profile(token.text()));
    let profile = reading.await?;
    let own = profile.professional_account_id == account.professional_account_id;
    if own { Ok(profile) } else { Err(InstagramErrorKind::Unreadable.into()) }
}

/// Makes `call` for the account, unless Instagram asked to wait; remembers where it asks so.
///
/// # Errors
///
/// As `call`.
pub(crate) async fn unless_throttled<T, F>(
    ports: &Ports,
    account: impl Into<ThrottleKey> + Copy,
    call: impl FnOnce() -> F,
) -> Result<T, InstagramError>
where
    F: Future<Output = Result<T, InstagramError>>,
{
    let throttle = &ports.health.throttle;
    if let Some(throttled) = throttle.of(account, ports.clock.now()) {
        return Err(throttled);
    }
    call().await.inspect_err(|error| throttle.remember(account, error, ports.clock.now()))
}
