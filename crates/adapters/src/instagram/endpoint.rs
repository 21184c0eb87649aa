//! What Instagram is asked.

use std::fmt;

use ig_metrics::Label as _;

/// What Instagram is asked; named in logs and metrics, where no URL may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

ig_metrics::label!(Endpoint, "endpoint", {
    CodeExchange => "code_exchange",
    TokenExtension => "token_extension",
    TokenRenewal => "token_renewal",
    Profile => "profile",
});

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.value())
    }
}
