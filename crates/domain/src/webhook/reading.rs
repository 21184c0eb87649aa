//! The facts of an update on the wire, and the rules that turn them into one that is stored.

use time::OffsetDateTime;

use super::{Direction, ReceivedUpdate, WebhookField, WebhookId, WebhookPayload, WebhookUpdate};
use crate::{InstagramId, ProfessionalAccountId};

/// The first number that is no count of seconds since 1970 but one of milliseconds: as seconds it lies in the year
/// 5138, as milliseconds in 1973.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Facts that an update on the wire tells of itself, as texts and numbers that nobody has checked. All of them may be
/// missing.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of the wire, each on its own")]
pub struct UpdateFacts<'a> {
    /// Kind of the update.
    pub kind: UpdateKind,
    /// Whether it came in `standby`: another app answers for the account at the moment.
    pub is_standby: bool,
    /// Id of the sender.
    pub sender: Option<&'a str>,
    /// Id of the recipient.
    pub recipient: Option<&'a str>,
    /// Id in `from`.
    pub from: Option<&'a str>,
    /// Whether the account sent the message.
    pub is_echo: bool,
    /// Whether the account sent the message to itself.
    pub is_self: bool,
    /// Whether it tells of a message that was deleted.
    pub is_deleted: bool,
    /// Whether the account wrote the comment.
    pub is_own_comment: bool,
    /// The update's own key, such as `mid`.
    pub key: Option<&'a str>,
    /// Texts that tell apart updates of one key, such as the action of a reaction; in the order in which they are named.
    pub qualifiers: Vec<&'a str>,
    /// `timestamp` of the update.
    pub timestamp: Option<i64>,
}

/// Kind of an update on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateKind {
    /// A message, also a deleted or unsupported one.
    Message,
    /// A reaction to a message.
    Reaction,
    /// A postback, wherever it came.
    Postback,
    /// A message was read.
    Read,
    /// A referral without a message.
    Referral,
    /// An edited message.
    Edit,
    /// A comment of this field: on media, or on a live broadcast.
    Comment(WebhookField),
    /// Anything else, of this field; the empty one in `messaging`.
    Other(WebhookField),
}

impl Default for UpdateKind {
    fn default() -> Self {
        Self::Other(WebhookField::default())
    }
}

impl UpdateKind {
    fn field(&self) -> WebhookField {
        let name = match self {
            Self::Message => "messages",
            Self::Reaction => "message_reactions",
            Self::Postback => "messaging_postbacks",
            Self::Read => "messaging_seen",
            Self::Referral => "messaging_referral",
            Self::Edit => "message_edit",
            Self::Comment(field) | Self::Other(field) => return field.clone(),
        };
        WebhookField::of_name(name)
    }
}

impl UpdateFacts<'_> {
    fn field(&self) -> WebhookField {
        if self.is_standby { WebhookField::of_name("standby") } else { self.kind.field() }
    }

    fn direction(&self, account: &ProfessionalAccountId) -> Option<Direction> {
        use Direction::{Echo, Inbound, OwnAccount};
        match self.kind {
            UpdateKind::Message if self.is_self => Some(OwnAccount),
            UpdateKind::Message if self.is_echo || self.sender == Some(account.as_str()) => {
                Some(Echo)
            }
            UpdateKind::Comment(_) if self.is_own_comment => Some(OwnAccount),
            UpdateKind::Message
            | UpdateKind::Reaction
            | UpdateKind::Postback
            | UpdateKind::Read
            | UpdateKind::Comment(_) => Some(Inbound),
            UpdateKind::Referral | UpdateKind::Edit | UpdateKind::Other(_) => None,
        }
    }

    fn peer(&self, account: &ProfessionalAccountId) -> Option<InstagramId> {
        let peer = match (self.direction(account), &self.kind) {
            (Some(Direction::OwnAccount), _) => None,
            (Some(Direction::Echo), _) => self.recipient,
            (Some(Direction::Inbound), UpdateKind::Comment(_)) => self.from,
            (Some(Direction::Inbound), _) => self.sender,
            (None, _) => self.sender.or(self.from).filter(|id| *id != account.as_str()),
        };
        peer?.parse().ok()
    }

    fn id(
        &self,
        account: &ProfessionalAccountId,
        field: &WebhookField,
        entry_time: Option<i64>,
        payload: &str,
    ) -> WebhookId {
        let entry_time = entry_time.map(|time| time.to_string()).unwrap_or_default();
        let mut parts = vec!["webhook 1", account.as_str(), field.as_str()];
        match self.key.filter(|key| !key.is_empty()) {
            Some(key) => {
                parts.extend(["key", key]);
                let deleted = self.is_deleted && self.kind == UpdateKind::Message;
                parts.extend(deleted.then_some("deleted"));
                parts.extend(&self.qualifiers);
            }
            None => parts.extend(["value", &entry_time, payload]),
        }
        WebhookId::of(parts.into_iter().map(str::as_bytes))
    }
}

impl ReceivedUpdate {
    /// The update of `account` with these facts and this payload, in an entry of `entry_time`, received at `now`.
    #[must_use]
    pub fn of(
        account: ProfessionalAccountId,
        entry_time: Option<i64>,
        facts: &UpdateFacts<'_>,
        payload: &str,
        now: OffsetDateTime,
    ) -> Self {
        let field = facts.field();
        let update = WebhookUpdate {
            id: facts.id(&account, &field, entry_time, payload),
            direction: facts.direction(&account),
            peer_id: facts.peer(&account),
            time: [facts.timestamp, entry_time]
                .into_iter()
                .flatten()
                .find_map(instant)
                .unwrap_or(now),
            payload_size: i64::try_from(payload.len()).unwrap_or(i64::MAX),
            field,
        };
        Self { account, update, payload: WebhookPayload::new(payload) }
    }
}

/// The moment of Instagram's number of seconds or milliseconds since 1970; `None` where no calendar holds it.
fn instant(number: i64) -> Option<OffsetDateTime> {
    let milliseconds = match number {
        ..0 => return None,
        0..FIRST_MILLISECONDS => number * 1000,
        FIRST_MILLISECONDS.. => number,
    };
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}
