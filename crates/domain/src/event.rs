//! Events: what changes of an account are told, and their places in the log.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::{
    AccountId, EventId, InstagramAccount, LogId, Owner, ProfessionalAccountId,
    ReauthorizationReason, Role, TroubleCause, WebhookSubscription, WebhookUpdate,
};

/// Declares an enum whose values have names, each by a row.
macro_rules! named {
    ($(#[$doc:meta])+ $enum:ident { $($(#[$value_doc:meta])+ $value:ident = $name:literal;)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[$value_doc])+ $value,)+
        }

        impl $enum {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The name by which stores and callers know it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }

            /// The value of this name; `None` where it is not one of ours.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }
    };
}

pub(crate) use named;

named! {
    /// Kind of an event.
    EventKind {
        /// A consent or an import stored a token.
        Linked = "LINKED";
        /// The token was renewed, its trouble began or ended, or the profile or the webhook subscription changed.
        Changed = "CHANGED";
        /// The token died.
        ReauthorizationRequired = "REAUTHORIZATION_REQUIRED";
        /// The token works again without a new consent.
        Healed = "HEALED";
        /// The account is gone.
        Unlinked = "UNLINKED";
        /// The account is gone, since its person had the data deleted.
        Deleted = "DELETED";
        /// An update of the account came by webhook.
        Webhook = "WEBHOOK";
    }
}

impl EventKind {
    /// The role that sees events of this kind.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Webhook => Role::Webhook,
            Self::Linked
            | Self::Changed
            | Self::ReauthorizationRequired
            | Self::Healed
            | Self::Unlinked
            | Self::Deleted => Role::Read,
        }
    }
}

named! {
    /// Field of an account as callers see it. The names are those of the fields of `InstagramAccount` in the proto files.
    ChangedField {
        /// The person's id under our Meta app, or its alias.
        AppScopedUserId = "app_scoped_user_id";
        /// The handle.
        Username = "username";
        /// The display name.
        Name = "name";
        /// The link to the picture, apart from its query.
        ProfilePictureUrl = "profile_picture_url";
        /// The kind of account.
        AccountType = "account_type";
        /// Followers.
        FollowersCount = "followers_count";
        /// Accounts followed.
        FollowsCount = "follows_count";
        /// Media published.
        MediaCount = "media_count";
        /// Scopes that the person granted.
        GrantedScopes = "granted_scopes";
        /// Whether Instagram said which scopes were granted.
        GrantedScopesKnown = "granted_scopes_known";
        /// Whether the token works.
        Status = "status";
        /// Reason for which the token no longer works.
        ReauthorizationReason = "reauthorization_reason";
        /// Moment at which the stored token was issued.
        TokenIssueTime = "token_issue_time";
        /// Moment at which the stored token expires.
        TokenExpireTime = "token_expire_time";
        /// Trouble of the token's renewals: its beginning and its end.
        RefreshTrouble = "refresh_trouble";
        /// The webhook subscription, apart from the moment of its check.
        WebhookSubscription = "webhook_subscription";
    }
}

/// Fields of an account that differ between two revisions of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedFields(BTreeSet<ChangedField>);

impl ChangedFields {
    /// The fields of a comma-separated list of names. A name of a newer version is left out.
    #[must_use]
    pub fn of_names(list: &str) -> Self {
        Self(list.split(',').filter_map(ChangedField::from_name).collect())
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|field| field.as_str())
    }

    fn between(former: &InstagramAccount, next: &InstagramAccount) -> Self {
        // Everything is taken apart, so that a forgotten field does not compile.
        let InstagramAccount {
            id: _,
            professional_account_id: _,
            app_scoped_user_id,
            exchange_user_id,
            owner: _, // Whose the account is, it stays for good.
            username,
            name,
            profile_picture_url: _,
            account_type,
            followers_count,
            follows_count,
            media_count,
            granted_scopes,
            refused,
            consent_time: _,
            token_issue_time,
            token_expire_time,
            link_time: _,
            profile_time: _,
            failures,
            subscription,
            update_time: _,
            revision: _,
        } = next;
        let scoped_ids = (app_scoped_user_id, exchange_user_id);
        let former_scoped_ids = (&former.app_scoped_user_id, &former.exchange_user_id);
        let granted = &former.granted_scopes;
        // A new reason of a dead account is no change.
        let status = refused.is_some() != former.refused.is_some();
        let trouble = failures.trouble.is_some() != former.failures.trouble.is_some();
        let subscription = !WebhookSubscription::are_same(*subscription, former.subscription);
        let differs = [
            (ChangedField::AppScopedUserId, scoped_ids != former_scoped_ids),
            (ChangedField::Username, *username != former.username),
            (ChangedField::Name, *name != former.name),
            (ChangedField::ProfilePictureUrl, !next.has_picture_of(former)),
            (ChangedField::AccountType, *account_type != former.account_type),
            (ChangedField::FollowersCount, *followers_count != former.followers_count),
            (ChangedField::FollowsCount, *follows_count != former.follows_count),
            (ChangedField::MediaCount, *media_count != former.media_count),
            (ChangedField::GrantedScopes, !granted_scopes.iter().eq(granted.iter())),
            (ChangedField::GrantedScopesKnown, granted_scopes.are_known() != granted.are_known()),
            (ChangedField::Status, status),
            (ChangedField::ReauthorizationReason, status),
            (ChangedField::TokenIssueTime, *token_issue_time != former.token_issue_time),
            (ChangedField::TokenExpireTime, *token_expire_time != former.token_expire_time),
            (ChangedField::RefreshTrouble, trouble),
            (ChangedField::WebhookSubscription, subscription),
        ];
        Self(differs.into_iter().filter_map(|(field, differs)| differs.then_some(field)).collect())
    }

    /// Whether they are worth no event: none, or only counts.
    fn are_counts(&self) -> bool {
        use ChangedField::{FollowersCount, FollowsCount, MediaCount};
        self.0.iter().all(|field| matches!(field, FollowersCount | FollowsCount | MediaCount))
    }
}

/// Cause for which an account is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlinkCause {
    /// A caller unlinked it.
    Unlink,
    /// It needed re-authorisation, and another owner linked it.
    OtherOwner,
}

const FIRST: &str = "FIRST";
const AGAIN: &str = "AGAIN";
const IMPORT: &str = "IMPORT";
const UNLINK: &str = "UNLINK";
const OTHER_OWNER: &str = "OTHER_OWNER";

/// Change that an event tells, with what belongs to its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventChange {
    /// The account was linked for the first time.
    Linked,
    /// The account was linked again.
    LinkedAgain(ChangedFields),
    /// A token was imported: of a new account, or of one that was stored already and in which these fields changed.
    Imported(Option<ChangedFields>),
    /// The account changed.
    Changed {
        /// Fields that changed.
        fields: ChangedFields,
        /// Cause of the trouble of its renewals, where it began.
        trouble: Option<TroubleCause>,
    },
    /// The token died, for this reason.
    ReauthorizationRequired(ReauthorizationReason),
    /// The token works again.
    Healed,
    /// The account is gone, for this cause.
    Unlinked(UnlinkCause),
    /// The account is gone, since its person had the data deleted.
    Deleted,
    /// This update came. The account did not change.
    Webhook(WebhookUpdate),
    /// Something of this kind happened to an account whose person had the data deleted since: the rest was erased.
    Erased(EventKind),
}

impl EventChange {
    /// The kind of the event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Linked | Self::LinkedAgain(_) | Self::Imported(_) => EventKind::Linked,
            Self::Changed { .. } => EventKind::Changed,
            Self::ReauthorizationRequired(_) => EventKind::ReauthorizationRequired,
            Self::Healed => EventKind::Healed,
            Self::Unlinked(_) => EventKind::Unlinked,
            Self::Deleted => EventKind::Deleted,
            Self::Webhook(_) => EventKind::Webhook,
            Self::Erased(kind) => *kind,
        }
    }

    /// Fields that changed; `None` for kinds that name none.
    #[must_use]
    pub fn fields(&self) -> Option<&ChangedFields> {
        match self {
            Self::LinkedAgain(fields) | Self::Changed { fields, .. } => Some(fields),
            Self::Imported(fields) => fields.as_ref(),
            _ => None,
        }
    }

    /// The name of the cause; `None` where there is none.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Linked => Some(FIRST),
            Self::LinkedAgain(_) => Some(AGAIN),
            Self::Imported(_) => Some(IMPORT),
            Self::Changed { trouble, .. } => trouble.map(TroubleCause::as_str),
            Self::ReauthorizationRequired(reason) => Some(reason.as_str()),
            Self::Healed | Self::Deleted | Self::Webhook(_) | Self::Erased(_) => None,
            Self::Unlinked(UnlinkCause::Unlink) => Some(UNLINK),
            Self::Unlinked(UnlinkCause::OtherOwner) => Some(OTHER_OWNER),
        }
    }

    /// The change with these names of kind, fields and cause. `None` where the kind is of a newer version, or names do
    /// not tell the change, as of an update; a cause of a newer version is the one that says least. Where both are
    /// missing from a kind that has one, they were erased.
    #[must_use]
    pub fn from_names(kind: &str, fields: Option<&str>, cause: Option<&str>) -> Option<Self> {
        let changed = || fields.map(ChangedFields::of_names);
        let kind = EventKind::from_name(kind)?;
        let has_neither = fields.is_none() && cause.is_none();
        Some(match kind {
            EventKind::Healed => Self::Healed,
            EventKind::Deleted => Self::Deleted,
            EventKind::Webhook => return None,
            _ if has_neither => Self::Erased(kind),
            EventKind::Linked if cause == Some(IMPORT) => Self::Imported(changed()),
            EventKind::Linked => changed().map_or(Self::Linked, Self::LinkedAgain),
            EventKind::Changed => {
                let unexpected = TroubleCause::InstagramUnexpected;
                let trouble =
                    cause.map(|cause| TroubleCause::from_name(cause).unwrap_or(unexpected));
                Self::Changed { fields: changed().unwrap_or_default(), trouble }
            }
            EventKind::ReauthorizationRequired => {
                let reason = cause.and_then(ReauthorizationReason::from_name);
                let reason = reason.unwrap_or(ReauthorizationReason::TokenRevoked);
                Self::ReauthorizationRequired(reason)
            }
            EventKind::Unlinked if cause == Some(OTHER_OWNER) => {
                Self::Unlinked(UnlinkCause::OtherOwner)
            }
            EventKind::Unlinked => Self::Unlinked(UnlinkCause::Unlink),
        })
    }
}

/// One change of one account, or an update of it. What the account looks like, and the payload of an update, is read when
/// the event is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEvent {
    /// The account.
    pub account_id: AccountId,
    /// Instagram's id of the account.
    pub professional_account_id: ProfessionalAccountId,
    /// Owner of the account.
    pub owner: Owner,
    /// The account's revision after the change; of an account that is gone its last one plus one. With an update the
    /// one that it came to.
    pub revision: i64,
    /// The change.
    pub change: EventChange,
}

impl AccountEvent {
    /// The event of an account that is stored for the first time.
    #[must_use]
    pub fn linked(account: &InstagramAccount) -> Self {
        Self::of(account, EventChange::Linked)
    }

    /// The event of an account that an import stored; `former` is the account as it was stored before, if it was.
    #[must_use]
    pub fn imported(former: Option<&InstagramAccount>, next: &InstagramAccount) -> Self {
        let fields = former.map(|former| ChangedFields::between(former, next));
        Self::of(next, EventChange::Imported(fields))
    }

    /// The event of the change from `former` to `next`; `None` where the revision stays, or only the counts moved.
    #[must_use]
    pub fn between(former: &InstagramAccount, next: &InstagramAccount) -> Option<Self> {
        use ReauthorizationReason::Deauthorized;
        if next.revision == former.revision {
            return None;
        }
        let fields = ChangedFields::between(former, next);
        let change = match (former.refused, next.refused) {
            _ if next.consent_time != former.consent_time => EventChange::LinkedAgain(fields),
            (None, Some(reason)) => EventChange::ReauthorizationRequired(reason),
            (Some(_), None) => EventChange::Healed,
            // Whatever it died of before, its token was destroyed now.
            (Some(former), Some(Deauthorized)) if former != Deauthorized => {
                EventChange::ReauthorizationRequired(Deauthorized)
            }
            _ if fields.are_counts() => return None,
            _ => {
                let begun = next.failures.trouble.filter(|_| former.failures.trouble.is_none());
                EventChange::Changed { fields, trouble: begun.map(|trouble| trouble.cause) }
            }
        };
        Some(Self::of(next, change))
    }

    /// The event of an account that was stored last as `former` and is gone.
    #[must_use]
    pub fn unlinked(former: &InstagramAccount, cause: UnlinkCause) -> Self {
        Self::gone(former, EventChange::Unlinked(cause))
    }

    /// The event of an account that was stored last as `former` and was deleted as its person asked.
    #[must_use]
    pub fn deleted(former: &InstagramAccount) -> Self {
        Self::gone(former, EventChange::Deleted)
    }

    fn gone(former: &InstagramAccount, change: EventChange) -> Self {
        let revision = former.revision + 1;
        Self { revision, ..Self::of(former, change) }
    }

    /// The event of an update of `account`.
    #[must_use]
    pub fn webhook(account: &InstagramAccount, update: WebhookUpdate) -> Self {
        Self::of(account, EventChange::Webhook(update))
    }

    fn of(account: &InstagramAccount, change: EventChange) -> Self {
        Self {
            account_id: account.id,
            professional_account_id: account.professional_account_id.clone(),
            owner: account.owner.clone(),
            revision: account.revision,
            change,
        }
    }
}

/// A place in a log of events, behind `event`. A cursor holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventPosition {
    /// The log.
    pub log: LogId,
    /// Number of the event in its log; 0 for the beginning of a log.
    pub number: i64,
    /// The event; [`EventId::NONE`] for the beginning of a log.
    pub event: EventId,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number, which is that of the event before it plus one.
    pub number: i64,
    /// Its id.
    pub id: EventId,
    /// Moment at which it was stored, by the store's own clock.
    pub time: OffsetDateTime,
    /// The event; `None` where it is of a newer version or cannot be read: it is passed over.
    pub event: Option<AccountEvent>,
}

#[cfg(test)]
mod tests;
