//! The shapes in which Instagram has been seen to answer, and which of them is served now.

use serde::{Deserialize, Serialize};

/// The answer shapes that are served now; each begins as its first.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Shapes {
    pub(crate) token: TokenShape,
    pub(crate) me: MeShape,
    pub(crate) usage: UsageShape,
    /// Share of the calls' limit that the usage headers tell; of the other limits they tell next to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage_percent: Option<u16>,
}

/// The answer to a code.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenShape {
    /// A number as `user_id`, a list of permissions.
    #[default]
    Flat,
    /// The same in `{"data":[…]}`.
    Wrapped,
    /// As documented: in `{"data":[…]}`, a text as `user_id`, permissions with commas.
    WrappedDocumented,
    /// A number as `user_id`, permissions with commas.
    FlatCommaString,
    /// An older one that says nothing of permissions.
    FlatWithoutPermissions,
}

/// The profile.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MeShape {
    /// As served.
    #[default]
    Flat,
    /// As documented, in `{"data":[…]}`.
    Wrapped,
}

/// The usage headers beside the profile.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UsageShape {
    /// `X-App-Usage` with `call_count`, `total_time`, `total_cputime`.
    #[default]
    Documented,
    /// `X-App-Usage` with `call_volume`, `cpu_time`.
    Live,
    /// `X-Business-Use-Case-Usage`.
    BusinessUseCase,
    /// No header.
    None,
}

/// A change by the control interface; what is not named stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShapesChange {
    token: Option<TokenShape>,
    me: Option<MeShape>,
    usage: Option<UsageShape>,
    usage_percent: Option<u16>,
}

impl Shapes {
    pub(crate) fn change(&mut self, change: &ShapesChange) {
        self.token = change.token.unwrap_or(self.token);
        self.me = change.me.unwrap_or(self.me);
        self.usage = change.usage.unwrap_or(self.usage);
        self.usage_percent = change.usage_percent.or(self.usage_percent);
    }
}
