//! An account as it was read, which many answers share.

use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;
use ig_domain::{AccountStatus, InstagramAccount};

/// An account as it was read, with room for its encoded form: what stays in memory is encoded once.
#[derive(Debug)]
pub struct ReadAccount {
    account: InstagramAccount,
    /// As callers see it with this status.
    encoded: OnceLock<(AccountStatus, Bytes)>,
}

impl ReadAccount {
    /// The account as callers see it with `status`, as `encode` makes it. The first status that is asked for is kept, and
    /// is mostly the only one.
    pub fn encoded(&self, status: AccountStatus, encode: impl FnOnce() -> Bytes) -> Bytes {
        if let Some((kept, bytes)) = self.encoded.get() {
            return if *kept == status { bytes.clone() } else { encode() };
        }
        let bytes = encode();
        // Where another call has kept its own meanwhile, that stays.
        let _ = self.encoded.set((status, bytes.clone()));
        bytes
    }
}

impl From<InstagramAccount> for ReadAccount {
    fn from(account: InstagramAccount) -> Self {
        Self { account, encoded: OnceLock::new() }
    }
}

impl Deref for ReadAccount {
    type Target = InstagramAccount;

    fn deref(&self) -> &InstagramAccount {
        &self.account
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ReauthorizationReason;
    use ig_test_support::builders::{START, account};

    use super::*;

    #[test]
    fn an_account_is_encoded_once_and_again_for_each_look_at_another_status() {
        let read = ReadAccount::from(account(1, "shop/7", START));
        let expired = AccountStatus::ReauthorizationRequired(ReauthorizationReason::TokenExpired);
        let mut calls = 0;
        let mut encoded = |status, text: &'static str| {
            read.encoded(status, || {
                calls += 1;
                Bytes::from_static(text.as_bytes())
            })
        };
        assert_eq!(encoded(AccountStatus::Active, "active"), "active");
        assert_eq!(encoded(AccountStatus::Active, "not asked for"), "active");
        assert_eq!(encoded(expired, "expired"), "expired");
        assert_eq!(encoded(expired, "expired again"), "expired again");
        assert_eq!(encoded(AccountStatus::Active, "not asked for"), "active");
        assert_eq!(calls, 3);
    }
}
