//! Answers of Instagram where a case says nothing else. Every id and token is invented.

use crate::support::stub::{Endpoint, Reply, Stub};

/// The short-lived token.
pub(crate) const SHORT: &str = "IGAAStubShortQ2hvY29sYXRl01";
/// The long-lived token.
pub(crate) const LONG: &str = "IGAAStubLongVmFuaWxsYQ02";
/// The token after a renewal.
pub(crate) const RENEWED: &str = "IGAAStubRenewedUGlzdGFjaGlv03";
/// `user_id` of `/me`; no double holds it.
pub(crate) const PROFESSIONAL_ID: &str = "17841409876500123";
/// `id` of `/me` and `user_id` of the code exchange; no double holds it.
pub(crate) const APP_SCOPED_ID: &str = "27100000000000691";
/// Seconds of life of the long-lived token.
pub(crate) const LONG_SECONDS: i64 = 5_183_944;
/// Seconds of life of the renewed one.
pub(crate) const RENEWED_SECONDS: i64 = 5_183_871;

/// The answers of one case, by endpoint; the last of each stays.
pub(crate) struct Answers {
    token: Vec<Reply>,
    exchange: Vec<Reply>,
    refresh: Vec<Reply>,
    me: Vec<Reply>,
}

impl Answers {
    /// All is well.
    pub(crate) fn usual() -> Self {
        Self {
            token: vec![usual(Endpoint::Token)],
            exchange: vec![usual(Endpoint::Exchange)],
            refresh: vec![usual(Endpoint::Refresh)],
            me: vec![usual(Endpoint::Me)],
        }
    }

    /// The same, but for `endpoint`.
    pub(crate) fn but(mut self, endpoint: Endpoint, replies: Vec<Reply>) -> Self {
        let slot = match endpoint {
            Endpoint::Token => &mut self.token,
            Endpoint::Exchange => &mut self.exchange,
            Endpoint::Refresh => &mut self.refresh,
            Endpoint::Me => &mut self.me,
        };
        *slot = replies;
        self
    }

    /// Has the stub give them.
    pub(crate) fn plan(&self, stub: &Stub) {
        stub.plan(Endpoint::Token, self.token.clone());
        stub.plan(Endpoint::Exchange, self.exchange.clone());
        stub.plan(Endpoint::Refresh, self.refresh.clone());
        stub.plan(Endpoint::Me, self.me.clone());
    }
}

/// Answer of the endpoint when all is well.
pub(crate) fn usual(endpoint: Endpoint) -> Reply {
    let body = match endpoint {
        Endpoint::Token => format!(
            r#"{{"access_token":"{SHORT}","user_id":{APP_SCOPED_ID},"permissions":["instagram_business_basic","instagram_business_content_publish"]}}"#
        ),
        Endpoint::Exchange => long_lived(LONG, &LONG_SECONDS.to_string()),
        Endpoint::Refresh => long_lived(RENEWED, &RENEWED_SECONDS.to_string()),
        Endpoint::Me => profile(),
    };
    Reply::json(200, &body)
}

/// A long-lived token and its life, in seconds as JSON.
pub(crate) fn long_lived(token: &str, expires_in: &str) -> String {
    format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in}}}"#)
}

/// The profile of the usual account.
pub(crate) fn profile() -> String {
    format!(
        r#"{{"user_id":"{PROFESSIONAL_ID}","username":"lotte.bakes","name":"Lotte Bakes","account_type":"BUSINESS","profile_picture_url":"https://cdn.example/lotte.jpg?oh=1&oe=2","followers_count":4821,"follows_count":137,"media_count":96,"id":"{APP_SCOPED_ID}"}}"#
    )
}
