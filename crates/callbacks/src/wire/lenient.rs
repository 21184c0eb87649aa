//! Values read without a demand on the rest: whatever is missing or of another type is none.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Value of a field; `None` where there is none, or `null`.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The fields of an object that we read, on whatever level.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) object: Raw<'a>,
    #[serde(borrow)]
    pub(super) entry: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) time: Raw<'a>,
    #[serde(borrow)]
    pub(super) messaging: Raw<'a>,
    #[serde(borrow)]
    pub(super) standby: Raw<'a>,
    #[serde(borrow)]
    pub(super) changes: Raw<'a>,
    #[serde(borrow)]
    pub(super) field: Raw<'a>,
    #[serde(borrow)]
    pub(super) value: Raw<'a>,
    #[serde(borrow)]
    pub(super) sender: Raw<'a>,
    #[serde(borrow)]
    pub(super) recipient: Raw<'a>,
    #[serde(borrow)]
    pub(super) from: Raw<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Raw<'a>,
    #[serde(borrow)]
    pub(super) message: Raw<'a>,
    #[serde(borrow)]
    pub(super) reaction: Raw<'a>,
    #[serde(borrow)]
    pub(super) postback: Raw<'a>,
    #[serde(borrow)]
    pub(super) read: Raw<'a>,
    #[serde(borrow)]
    pub(super) referral: Raw<'a>,
    #[serde(borrow)]
    pub(super) message_edit: Raw<'a>,
    #[serde(borrow)]
    pub(super) mid: Raw<'a>,
    #[serde(borrow)]
    pub(super) comment_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_echo: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_self: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_deleted: Raw<'a>,
    #[serde(borrow)]
    pub(super) action: Raw<'a>,
    #[serde(borrow)]
    pub(super) emoji: Raw<'a>,
    #[serde(borrow)]
    pub(super) num_edit: Raw<'a>,
    #[serde(borrow)]
    pub(super) self_ig_scoped_id: Raw<'a>,
}

/// The object; `None` where it is none. One that cannot be read whole, for a field that comes twice, has no fields.
pub(super) fn object(raw: &RawValue) -> Option<Fields<'_>> {
    let text = raw.get();
    text.starts_with('{').then(|| serde_json::from_str(text).unwrap_or_default())
}

/// The same of a value that may be missing, which has no fields then.
pub(super) fn fields(raw: Raw<'_>) -> Fields<'_> {
    raw.and_then(object).unwrap_or_default()
}

/// The items of an array; `None` where it is none.
pub(super) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// A text, or a whole number as it is written: ids are beyond what a float holds.
pub(super) fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(raw).ok().map(Cow::Owned),
        None => {
            let digits = raw.strip_prefix('-').unwrap_or(raw);
            let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_whole.then_some(Cow::Borrowed(raw))
        }
    }
}

/// The whole number in a number or a text.
pub(super) fn number(raw: Raw<'_>) -> Option<i64> {
    text(raw)?.parse().ok()
}

/// Whether it is `true`.
pub(super) fn flag(raw: Raw<'_>) -> bool {
    raw.is_some_and(|raw| raw.get() == "true")
}
