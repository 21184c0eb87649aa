//! Webhook updates: what the control interface asks for, and the JSON that Instagram sends for it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::account::Account;
use crate::accounts::AccountIndex;
use crate::ascii_json::escape;
use crate::world::World;

/// The other person of a conversation, where none is named.
const DEFAULT_PEER: &str = "910000000000019";
/// The account itself as it stands in its own conversations: no professional and no app-scoped id.
const OWN_SCOPED_ID: &str = "910000000000023";
/// The post below which comments stand.
const MEDIA_ID: &str = "17887498072083520";
/// `entry.id` of the dashboard's test event.
const TEST_ENTRY_ID: &str = "0";
/// The dashboard's test event.
const TEST_VALUE: &str = r#"{"sender":{"id":"12334"},"recipient":{"id":"23245"},"timestamp":"1527459824","message":{"mid":"random_mid","text":"random_text"}}"#;
/// Maximum number of digits of an id.
const MAX_ID_LENGTH: usize = 20;

/// An update, as the control interface receives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpdate {
    username: Option<String>,
    entry_id: Option<String>,
    kind: UpdateKind,
    text: Option<String>,
    peer: Option<String>,
    /// The message's or the comment's id.
    #[serde(alias = "id")]
    mid: Option<String>,
    timestamp_ms: Option<i64>,
    field: Option<String>,
    value: Option<Box<RawValue>>,
}

/// Kind of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UpdateKind {
    Message,
    Echo,
    #[serde(rename = "self")]
    OwnMessage,
    Deleted,
    Edit,
    Reaction,
    Read,
    Postback,
    PostbackChange,
    Referral,
    Standby,
    Comment,
    OwnComment,
    Mention,
    Test,
    Raw,
}

/// Place of an update within its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Messaging,
    Standby,
    /// A change of this field.
    Field(String),
}

/// An update that is to be sent.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) entry_id: String,
    pub(crate) place: Place,
    pub(crate) id: Option<UpdateId>,
    pub(crate) timestamp_ms: i64,
    /// Its item or value, exactly as it is sent.
    pub(crate) payload: Box<RawValue>,
    /// The account, if the sandbox has it.
    pub(crate) account: Option<AccountIndex>,
}

/// Id of an update, by the name that it has there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateId {
    Mid(String),
    Id(String),
}

impl NewUpdate {
    /// The update as Instagram would send it, in ASCII alone where `ascii` says so.
    pub(crate) fn into_update(self, world: &mut World, ascii: bool) -> Result<Update, String> {
        let (account, entry_id, username) = self.account(world)?;
        let timestamp_ms = self.timestamp_ms.unwrap_or_else(|| now_ms(world));
        let id = self.id(world);
        let parts = Parts {
            account: &entry_id,
            username: &username,
            peer: self.peer.as_deref().unwrap_or(DEFAULT_PEER),
            text: self.text.as_deref().unwrap_or("Is the rye bread in?"),
            id: id.as_ref().map(UpdateId::text).unwrap_or_default(),
            timestamp: timestamp_ms,
        };
        let payload = match &self.value {
            Some(value) if self.kind == UpdateKind::Raw => value.get().to_owned(),
            None if self.kind != UpdateKind::Raw => parts.payload(self.kind),
            _ => return Err("`value` belongs to the kind `raw`, which needs it".to_owned()),
        };
        let payload = if ascii { escape(&payload) } else { payload };
        let payload = RawValue::from_string(payload).map_err(|error| error.to_string())?;
        Ok(Update { entry_id, place: self.place()?, id, timestamp_ms, payload, account })
    }

    /// The account, if the sandbox has it, `entry.id` and the username.
    fn account(&self, world: &World) -> Result<(Option<AccountIndex>, String, String), String> {
        let of = |(key, account): (AccountIndex, &Account)| {
            (Some(key), account.user_id.clone(), account.username.clone())
        };
        match (&self.username, &self.entry_id) {
            (Some(username), None) => {
                let found = world.accounts.find(username).map(of);
                found.ok_or_else(|| "`username` is none of the sandbox's".to_owned())
            }
            (None, Some(id)) if is_id(id) => {
                let found = world.accounts.find_user_id(id).map(of);
                Ok(found.unwrap_or_else(|| (None, id.clone(), String::new())))
            }
            (None, Some(_)) => Err(format!("`entry_id` is 1 to {MAX_ID_LENGTH} digits")),
            (None, None) if self.kind == UpdateKind::Test => {
                Ok((None, TEST_ENTRY_ID.to_owned(), String::new()))
            }
            _ => Err("an update needs either `username` or `entry_id`".to_owned()),
        }
    }

    /// The id that was given, or another one; `None` for kinds that have none.
    fn id(&self, world: &mut World) -> Option<UpdateId> {
        let given = self.mid.clone();
        match self.kind {
            UpdateKind::Referral | UpdateKind::Test | UpdateKind::Raw => None,
            UpdateKind::Comment | UpdateKind::OwnComment | UpdateKind::Mention => {
                Some(UpdateId::Id(given.unwrap_or_else(|| world.seed.comment_id().to_string())))
            }
            _ => Some(UpdateId::Mid(given.unwrap_or_else(|| world.seed.message_id()))),
        }
    }

    fn place(&self) -> Result<Place, String> {
        let field = |name: &str| Place::Field(name.to_owned());
        let place = match (self.kind, &self.field) {
            (UpdateKind::Raw, Some(name)) => field(name),
            (_, Some(_)) => return Err("`field` belongs to the kind `raw`".to_owned()),
            (UpdateKind::Standby, None) => Place::Standby,
            (UpdateKind::Comment | UpdateKind::OwnComment, None) => field("comments"),
            (UpdateKind::Mention, None) => field("mentions"),
            (UpdateKind::PostbackChange, None) => field("messaging_postbacks"),
            (UpdateKind::Test, None) => field("messages"),
            _ => Place::Messaging,
        };
        Ok(place)
    }
}

impl UpdateId {
    fn text(&self) -> &str {
        match self {
            Self::Mid(text) | Self::Id(text) => text,
        }
    }
}

/// The sandbox's present in milliseconds since 1970.
fn now_ms(world: &World) -> i64 {
    let ms = world.clock.now().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The parts of which updates are made.
struct Parts<'a> {
    account: &'a str,
    username: &'a str,
    peer: &'a str,
    text: &'a str,
    id: &'a str,
    timestamp: i64,
}

impl Parts<'_> {
    fn payload(&self, kind: UpdateKind) -> String {
        let (mid, text) = (self.id, self.text);
        let message = Message { mid, ..Message::default() };
        let said = Message { text: Some(text), ..message };
        match kind {
            UpdateKind::Message | UpdateKind::Standby => self.inbound(Content::Message(said)),
            UpdateKind::Deleted => {
                self.inbound(Content::Message(Message { is_deleted: true, ..message }))
            }
            UpdateKind::Echo => {
                let echo = Message { is_echo: true, ..said };
                self.item(self.account, self.peer, Content::Message(echo))
            }
            UpdateKind::OwnMessage => {
                let own = Message { is_echo: true, is_self: true, ..said };
                self.item(self.account, OWN_SCOPED_ID, Content::Message(own))
            }
            UpdateKind::Edit => self.inbound(Content::MessageEdit { mid, text, num_edit: "1" }),
            UpdateKind::Reaction => self.inbound(Content::Reaction {
                mid,
                action: "react",
                reaction: "love",
                emoji: "\u{2764}",
            }),
            UpdateKind::Read => self.inbound(Content::Read { mid }),
            UpdateKind::Postback | UpdateKind::PostbackChange => {
                self.inbound(Content::Postback { mid, title: text, payload: "ORDER" })
            }
            UpdateKind::Referral => self.inbound(Content::Referral {
                r#ref: text,
                source: "SHORTLINK",
                kind: "OPEN_THREAD",
            }),
            UpdateKind::Comment => json(&self.comment(self.peer, "a_follower", None)),
            UpdateKind::OwnComment => {
                json(&self.comment(self.account, self.username, Some(OWN_SCOPED_ID)))
            }
            UpdateKind::Mention => json(&Mention { media_id: MEDIA_ID, comment_id: self.id }),
            UpdateKind::Test | UpdateKind::Raw => TEST_VALUE.to_owned(),
        }
    }

    fn inbound(&self, content: Content<'_>) -> String {
        self.item(self.peer, self.account, content)
    }

    fn item(&self, sender: &str, recipient: &str, content: Content<'_>) -> String {
        let (sender, recipient) = (Person { id: sender }, Person { id: recipient });
        json(&Item { sender, recipient, timestamp: self.timestamp, content })
    }

    fn comment<'a>(
        &'a self,
        id: &'a str,
        username: &'a str,
        self_ig_scoped_id: Option<&'a str>,
    ) -> Comment<'a> {
        let from = Author { id, username, self_ig_scoped_id };
        let media = Media { id: MEDIA_ID, media_product_type: "FEED" };
        Comment { from, media, id: self.id, text: self.text }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// An item of `messaging` or `standby`.
#[derive(Serialize)]
struct Item<'a> {
    sender: Person<'a>,
    recipient: Person<'a>,
    timestamp: i64,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
struct Person<'a> {
    id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content<'a> {
    Message(Message<'a>),
    MessageEdit {
        mid: &'a str,
        text: &'a str,
        num_edit: &'a str,
    },
    Reaction {
        mid: &'a str,
        action: &'a str,
        reaction: &'a str,
        emoji: &'a str,
    },
    Read {
        mid: &'a str,
    },
    Postback {
        mid: &'a str,
        title: &'a str,
        payload: &'a str,
    },
    Referral {
        r#ref: &'a str,
        source: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
    },
}

#[derive(Clone, Copy, Default, Serialize)]
struct Message<'a> {
    mid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    is_echo: bool,
    #[serde(skip_serializing_if = "is_false")]
    is_self: bool,
    #[serde(skip_serializing_if = "is_false")]
    is_deleted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Serialize)]
struct Comment<'a> {
    from: Author<'a>,
    media: Media<'a>,
    id: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Author<'a> {
    id: &'a str,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_ig_scoped_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Media<'a> {
    id: &'a str,
    media_product_type: &'a str,
}

#[derive(Serialize)]
struct Mention<'a> {
    media_id: &'a str,
    comment_id: &'a str,
}
