//! Tokens on their way into a row and out of it, sealed for exactly that row.

use ig_domain::ports::{Cause, SealContext, StoreError, TokenCipher};
use ig_domain::{AccountId, CodeHash, LongLivedToken, ShortLivedToken, TokenText};
use secrecy::ExposeSecret;

use super::entity::account_token;
use super::error::{corrupt, translate_seal};
use crate::sealing::key_id;

/// Context that the token of an account is bound to.
pub(super) fn of_account(id: AccountId) -> SealContext {
    let row = id.as_uuid().as_bytes().to_vec();
    SealContext { table: "account_token", row, purpose: "long-lived token" }
}

/// Context that the token of an attempt is bound to.
pub(super) fn of_attempt(code: &CodeHash) -> SealContext {
    let row = code.as_bytes().to_vec();
    SealContext { table: "link_attempt", row, purpose: "short-lived token" }
}

/// The row of an account's token.
pub(super) fn seal_long_lived(
    cipher: &dyn TokenCipher,
    account: AccountId,
    token: &LongLivedToken,
) -> Result<account_token::Model, StoreError> {
    let sealed_token =
        cipher.seal(&of_account(account), token.text().expose()).map_err(translate_seal)?;
    let key_id = key_id(&sealed_token)
        .ok_or_else(|| StoreError::Internal(Cause::new("the cipher names no key")))?
        .to_owned();
    Ok(account_token::Model { account_id: *account.as_uuid(), sealed_token, key_id })
}

/// The token of an account's row.
pub(super) fn open_long_lived(
    cipher: &dyn TokenCipher,
    row: &account_token::Model,
) -> Result<LongLivedToken, StoreError> {
    let context = of_account(AccountId::from_uuid(row.account_id));
    open(cipher, &context, &row.sealed_token).map(LongLivedToken::new)
}

/// The sealed token of an attempt.
pub(super) fn seal_short_lived(
    cipher: &dyn TokenCipher,
    code: &CodeHash,
    token: &ShortLivedToken,
) -> Result<Vec<u8>, StoreError> {
    cipher.seal(&of_attempt(code), token.text().expose()).map_err(translate_seal)
}

/// The token of an attempt's row.
pub(super) fn open_short_lived(
    cipher: &dyn TokenCipher,
    code: &CodeHash,
    sealed: &[u8],
) -> Result<ShortLivedToken, StoreError> {
    open(cipher, &of_attempt(code), sealed).map(ShortLivedToken::new)
}

fn open(
    cipher: &dyn TokenCipher,
    context: &SealContext,
    sealed: &[u8],
) -> Result<TokenText, StoreError> {
    let opened = cipher.open(context, sealed).map_err(translate_seal)?;
    opened.expose_secret().parse().map_err(|error| corrupt("sealed_token", error))
}
