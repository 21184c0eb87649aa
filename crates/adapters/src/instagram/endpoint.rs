//! What Instagram is asked.

use std::fmt;

/// What Instagram is asked; named in logs, where no URL may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A code for a short-lived token.
    CodeExchange,
    /// A short-lived token for a long-lived one.
    TokenExtension,
    /// A long-lived token for a fresh one.
    TokenRenewal,
    /// `/me`.
    Profile,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CodeExchange => "code_exchange",
            Self::TokenExtension => "token_extension",
            Self::TokenRenewal => "token_renewal",
            Self::Profile => "profile",
        })
    }
}
