//! Instagram's answers: every shape that is documented or was seen, read without losing a digit.
//!
//! Fields are raw JSON until they are asked for, so that a surprise in one that we can do without does not
//! cost the answer. Nothing passes through a floating-point number.

use std::collections::BTreeSet;

use ig_domain::ports::{CodeExchange, InstagramError, InstagramErrorKind};
use ig_domain::{
    AccountType, GrantedScopes, LongLivedToken, Profile, ShortLivedToken, TokenLifetime, TokenText,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// Maximum number of granted permissions. Ours: Instagram has half a dozen.
const MAX_SCOPES: usize = 100;
/// Maximum number of webhook fields, and of bytes of a field's name. Ours: Instagram has a dozen.
const MAX_FIELDS: usize = 100;
const MAX_FIELD_LENGTH: usize = 64;
/// Maximum length of a name in characters.
const MAX_NAME_LENGTH: usize = 1_000;
/// Maximum length of a link to a picture in bytes.
const MAX_PICTURE_URL_LENGTH: usize = 4_096;

/// An answer that becomes something of ours, or nothing.
pub(super) trait Readable: DeserializeOwned {
    /// Type of the answer's meaning.
    type Meaning;

    /// Meaning of the answer; `None` where it lacks what it must hold.
    fn meaning(self) -> Option<Self::Meaning>;

    /// Reads an answer that accepted the request: flat, or as the first item of `data`.
    ///
    /// # Errors
    ///
    /// `Unreadable`.
    fn read(answer: Value) -> Result<Self::Meaning, InstagramError> {
        let fields = unwrapped(answer);
        let answer = fields.and_then(|fields| serde_json::from_value::<Self>(fields).ok());
        answer.and_then(Self::meaning).ok_or_else(|| InstagramErrorKind::Unreadable.into())
    }
}

fn unwrapped(answer: Value) -> Option<Value> {
    let Value::Object(mut fields) = answer else { return None };
    match fields.remove("data") {
        Some(Value::Array(items)) => items.into_iter().next().filter(Value::is_object),
        _ => Some(Value::Object(fields)),
    }
}

/// Answer of the code exchange.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CodeAnswer {
    access_token: Value,
    user_id: Value,
    permissions: Value,
}

impl Readable for CodeAnswer {
    type Meaning = CodeExchange;

    fn meaning(self) -> Option<CodeExchange> {
        Some(CodeExchange {
            token: ShortLivedToken::new(token(&self.access_token)?),
            user_id: digits(&self.user_id).and_then(|digits| digits.parse().ok()),
            granted_scopes: granted(&self.permissions),
        })
    }
}

/// A long-lived token, new or renewed.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/reference/access_token>.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LongLivedAnswer {
    access_token: Value,
    expires_in: Value,
}

impl Readable for LongLivedAnswer {
    type Meaning = (LongLivedToken, TokenLifetime);

    fn meaning(self) -> Option<Self::Meaning> {
        let seconds = digits(&self.expires_in)?.parse().ok()?;
        let lifetime = TokenLifetime::from_seconds(seconds)?;
        Some((LongLivedToken::new(token(&self.access_token)?), lifetime))
    }
}

/// Declares the answer to a request that names the fields it asks for: each field is read and asked for by one name.
macro_rules! answer_with_fields {
    ($(#[$meta:meta])* $answer:ident { $first:ident, $($field:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $answer {
            $first: Value,
            $($field: Value),+
        }

        impl $answer {
            /// Names of the fields, separated by commas, as the request asks for them.
            pub(super) const FIELDS: &str = concat!(stringify!($first) $(, ",", stringify!($field))+);
        }
    };
}

answer_with_fields! {
    /// `/me`. `user_id` is never replaced by `id`: they are different numbers of the same person. `id` comes unasked,
    /// too; `user_id` does not.
    ///
    /// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/get-started>.
    ProfileAnswer {
        id,
        user_id,
        username,
        name,
        account_type,
        profile_picture_url,
        followers_count,
        follows_count,
        media_count,
    }
}

impl Readable for ProfileAnswer {
    type Meaning = Profile;

    fn meaning(self) -> Option<Profile> {
        Some(Profile {
            professional_account_id: digits(&self.user_id)?.parse().ok()?,
            app_scoped_user_id: digits(&self.id).and_then(|digits| digits.parse().ok()),
            username: self.username.as_str()?.parse().ok()?,
            name: self.name.as_str().and_then(printable),
            profile_picture_url: self.profile_picture_url.as_str().and_then(picture_url),
            account_type: account_type(self.account_type.as_str().unwrap_or_default()),
            followers_count: count(&self.followers_count),
            follows_count: count(&self.follows_count),
            media_count: count(&self.media_count),
        })
    }
}

/// Fields of `/me/subscribed_apps`, of all its entries; `None` where it is no list. Names that are no texts are left
/// out.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/webhooks>.
pub(super) fn subscribed_fields(answer: &Value) -> Option<BTreeSet<String>> {
    let entries = answer.get("data")?.as_array()?;
    let lists = entries.iter().filter_map(|entry| entry.get("subscribed_fields")?.as_array());
    let names =
        lists.flatten().filter_map(Value::as_str).filter(|name| name.len() <= MAX_FIELD_LENGTH);
    Some(names.take(MAX_FIELDS).map(str::to_owned).collect())
}

/// Reads an answer that says whether it did what was asked.
///
/// # Errors
///
/// `Unexpected` where it did not, `Unreadable` where it does not say.
pub(super) fn success(answer: &Value) -> Result<(), InstagramError> {
    match answer.get("success").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) => Err(InstagramErrorKind::Unexpected.into()),
        None => Err(InstagramErrorKind::Unreadable.into()),
    }
}

/// A whole number, also where it is sent as text; `None` where it is none or does not fit.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The digits of an id or a number of seconds, sent as text or as a number.
///
/// A number beyond 64 bits, or with a fraction or an exponent, is `None`: JSON keeps no digits of it.
fn digits(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

fn token(value: &Value) -> Option<TokenText> {
    value.as_str()?.parse().ok()
}

fn count(value: &Value) -> Option<i64> {
    value.as_i64().filter(|count| *count >= 0)
}

/// Granted permissions: a list, or one text with commas, which may be URL-encoded. Absent means that Instagram did not
/// say, empty that nothing was granted. Names that cannot be permissions are left out.
fn granted(permissions: &Value) -> GrantedScopes {
    let texts: Vec<&str> = match permissions {
        Value::String(list) => vec![list],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return GrantedScopes::Unknown,
    };
    let mut scopes = BTreeSet::new();
    for list in texts {
        // No name of a permission has a character that URL-encoding changes; separators have.
        let list = list.replace("%2C", ",").replace("%2c", ",").replace("%20", " ");
        let names = list.split([',', ' ', '+']).filter_map(|name| name.parse().ok());
        scopes.extend(names.take(MAX_SCOPES.saturating_sub(scopes.len())));
    }
    GrantedScopes::Known(scopes)
}

/// Documentation and reality differ in the case, and `CREATOR` has not been seen.
fn account_type(raw: &str) -> AccountType {
    match raw.trim().to_ascii_uppercase().as_str() {
        "BUSINESS" => AccountType::Business,
        "MEDIA_CREATOR" | "CREATOR" => AccountType::Creator,
        "PERSONAL" => AccountType::Personal,
        _ => AccountType::Unknown,
    }
}

/// A name without control characters, cut to its bound.
fn printable(raw: &str) -> Option<String> {
    let visible = raw.chars().filter(|character| !character.is_control());
    let name: String = visible.take(MAX_NAME_LENGTH).collect();
    (!name.is_empty()).then_some(name)
}

/// A link that a browser may follow to a picture; cut short it would lead nowhere, so it is kept whole or
/// not at all.
fn picture_url(raw: &str) -> Option<String> {
    let web = raw.starts_with("https://") || raw.starts_with("http://");
    let plain =
        raw.len() <= MAX_PICTURE_URL_LENGTH && raw.bytes().all(|byte| byte.is_ascii_graphic());
    (web && plain).then(|| raw.to_owned())
}
