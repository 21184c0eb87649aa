//! An account of the sandbox's Instagram, as the control interface shows and receives it.

use serde::{Deserialize, Serialize};

/// Maximum number of characters of a username.
const MAX_USERNAME_LENGTH: usize = 30;

/// Maximum number of characters of an account type.
const MAX_TYPE_LENGTH: usize = 32;

/// Maximum number of bytes of a name or of a picture's URL.
const MAX_TEXT_BYTES: usize = 2048;

/// An account, in the form in which the control interface shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) user_id: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[serde(rename = "account_type")]
    pub(crate) kind: String,
    pub(crate) followers_count: u64,
    pub(crate) follows_count: u64,
    pub(crate) media_count: u64,
    pub(crate) profile_picture_url: Option<String>,
}

impl Account {
    /// Whether Instagram Login turns the account away.
    pub(crate) fn is_personal(&self) -> bool {
        self.kind.eq_ignore_ascii_case("PERSONAL")
    }
}

/// An account as the control interface receives it; missing ids are kept or made up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    pub(crate) username: String,
    pub(crate) user_id: Option<String>,
    pub(crate) id: Option<String>,
    name: Option<String>,
    #[serde(default = "business", rename = "account_type")]
    kind: String,
    #[serde(default)]
    followers_count: u64,
    #[serde(default)]
    follows_count: u64,
    #[serde(default)]
    media_count: u64,
    profile_picture_url: Option<String>,
}

impl NewAccount {
    /// The account with the ids that it shall have.
    pub(crate) fn into_account(self, user_id: String, id: String) -> Account {
        Account {
            username: self.username,
            user_id,
            id,
            name: self.name,
            kind: self.kind,
            followers_count: self.followers_count,
            follows_count: self.follows_count,
            media_count: self.media_count,
            profile_picture_url: self.profile_picture_url,
        }
    }

    /// Tells the first member that is malformed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
        let fits = (1..=MAX_USERNAME_LENGTH).contains(&self.username.len());
        if !fits || !self.username.bytes().all(name_byte) {
            return Err(format!(
                "`username` is 1 to {MAX_USERNAME_LENGTH} of letters, digits, `.` and `_`"
            ));
        }
        for (field, id) in [("user_id", &self.user_id), ("id", &self.id)] {
            let fits =
                |id: &String| id.parse::<u64>().is_ok_and(|number| number.to_string() == *id);
            if !id.as_ref().is_none_or(fits) {
                return Err(format!("`{field}` is a text of digits that fits 64 bits"));
            }
        }
        let type_byte = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let fits = (1..=MAX_TYPE_LENGTH).contains(&self.kind.len());
        if !fits || !self.kind.bytes().all(type_byte) {
            return Err(format!("`account_type` is 1 to {MAX_TYPE_LENGTH} of letters and `_`"));
        }
        for (field, text) in
            [("name", &self.name), ("profile_picture_url", &self.profile_picture_url)]
        {
            if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                return Err(format!("`{field}` is {MAX_TEXT_BYTES} bytes at most"));
            }
        }
        Ok(())
    }
}

fn business() -> String {
    "BUSINESS".to_owned()
}
