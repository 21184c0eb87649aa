//! Endpoints of Instagram.

use std::fmt;

use ig_metrics::Label as _;

/// Endpoint of Instagram; named in logs and metrics, where no URL may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    /// Exchanges a code for a short-lived token.
    CodeExchange,
    /// Exchanges a short-lived token for a long-lived one.
    TokenExtension,
    /// Exchanges a long-lived token for a fresh one.
    TokenRenewal,
    /// `/me`.
    Profile,
    /// `/me/subscribed_apps`.
    Subscription,
}

ig_metrics::label!(Endpoint, "endpoint", {
    CodeExchange => "code_exchange",
    TokenExtension => "token_extension",
    TokenRenewal => "token_renewal",
    Profile => "profile",
    Subscription => "subscription",
});

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.value())
    }
}
