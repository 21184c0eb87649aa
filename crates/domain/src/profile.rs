//! Profile of an account, as `/me` answers it.

use crate::{AppScopedUserId, ProfessionalAccountId, Username};

/// The kind of account that Instagram reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountType {
    /// A business.
    Business,
    /// A creator; Instagram says `MEDIA_CREATOR`.
    Creator,
    /// A personal account. It cannot be linked; a linked account may become one later.
    Personal,
    /// A kind that we do not know, or none reported.
    Unknown,
}

/// One reading of an account's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `user_id`.
    pub professional_account_id: ProfessionalAccountId,
    /// `id`; `None` where Instagram left it out.
    pub app_scoped_user_id: Option<AppScopedUserId>,
    /// `username`.
    pub username: Username,
    /// `name`, at most 1,000 characters; `None` where Instagram gave none.
    pub name: Option<String>,
    /// `profile_picture_url`, a link that expires, at most 4,096 bytes; `None` where Instagram gave none.
    pub profile_picture_url: Option<String>,
    /// `account_type`.
    pub account_type: AccountType,
    /// `followers_count`; `None` where Instagram gave none.
    pub followers_count: Option<i64>,
    /// `follows_count`; `None` where Instagram gave none.
    pub follows_count: Option<i64>,
    /// `media_count`; `None` where Instagram gave none.
    pub media_count: Option<i64>,
}
