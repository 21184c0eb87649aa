//! Updates that Instagram sends by webhook: what is stored of one, and the key by which it is stored once.

mod reading;

use std::fmt;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::event::named;
use crate::{InstagramId, ProfessionalAccountId};

pub use reading::{UpdateFacts, UpdateKind};

/// Key of an update, by which it is stored once: SHA-256 of its account, its field and its own key, or of its payload
/// where it has none.
///
/// `Display` writes 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookId([u8; 32]);

impl WebhookId {
    /// Wraps an id that the store kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of these parts in their order. Each is hashed behind its length, so that no two lists of parts are alike.
    fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            hash.update(length.to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

named! {
    /// Direction of a message, a comment or the like, as its account sees it.
    Direction {
        /// Another person sent it to the account.
        Inbound = "INBOUND";
        /// The account sent it to another person.
        Echo = "ECHO";
        /// The account sent it to itself, or commented below its own media.
        OwnAccount = "SELF";
    }
}

/// Name of the webhook field that an update belongs to, such as `messages`; empty where the update has no such name.
///
/// At most [`MAX_LENGTH`](Self::MAX_LENGTH) of `a-z`, `0-9` and `_`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookField(String);

impl WebhookField {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 64;

    /// The field of this name; the empty one where it is no name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let valid = name.len() <= Self::MAX_LENGTH && name.bytes().all(allowed);
        Self(if valid { name.to_owned() } else { String::new() })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Payload of an update, byte for byte as Instagram sent it: JSON of 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) bytes.
///
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookPayload(String);

impl WebhookPayload {
    /// Maximum number of bytes.
    pub const MAX_LENGTH: usize = 128 * 1024;

    /// The payload of this text; `None` where it is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (1..=Self::MAX_LENGTH).contains(&text.len()).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookPayload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WebhookPayload({} bytes)", self.0.len())
    }
}

/// An update without its payload, as an event tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUpdate {
    /// Its key.
    pub id: WebhookId,
    /// Its field.
    pub field: WebhookField,
    /// Its direction; `None` where it has none.
    pub direction: Option<Direction>,
    /// The other person; `None` where there is none, or where Instagram did not say.
    pub peer_id: Option<InstagramId>,
    /// Moment at which it happened, by Instagram's clock; that of its receipt where Instagram named none.
    pub time: OffsetDateTime,
    /// Size of its payload in bytes as it came, also of one that was too large to be stored.
    pub payload_size: i64,
}

/// An update as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedUpdate {
    /// Instagram's id of the account that it belongs to.
    pub account: ProfessionalAccountId,
    /// The update.
    pub update: WebhookUpdate,
    /// Its payload; `None` where it was longer than [`WebhookPayload::MAX_LENGTH`].
    pub payload: Option<WebhookPayload>,
}

#[cfg(test)]
mod tests;
