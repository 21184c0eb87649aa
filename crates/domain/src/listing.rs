//! In which order accounts are listed, and where in it an account stands.

use std::cmp::Ordering;

use time::OffsetDateTime;

use crate::{AccountId, InstagramAccount, Owner};

/// The order of a listing. It follows from whose accounts are listed: no index has those of several owners by
/// `link_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingOrder {
    /// Newest `link_time` first, ties by descending id: the accounts of one owner, or of all.
    LinkTime,
    /// By ascending owner, then as in [`LinkTime`](Self::LinkTime): the accounts of several owners.
    Owner,
}

/// The place of an account in any listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingPosition {
    /// Whose account it is.
    pub owner: Owner,
    /// When it was linked.
    pub link_time: OffsetDateTime,
    /// Its id.
    pub id: AccountId,
}

impl ListingPosition {
    /// The place of `account`.
    #[must_use]
    pub fn of(account: &InstagramAccount) -> Self {
        Self { owner: account.owner.clone(), link_time: account.link_time, id: account.id }
    }
}

impl ListingOrder {
    /// `Less` where `one` is listed before `other`.
    #[must_use]
    pub fn compare(self, one: &ListingPosition, other: &ListingPosition) -> Ordering {
        let newest = (other.link_time, other.id).cmp(&(one.link_time, one.id));
        match self {
            Self::LinkTime => newest,
            Self::Owner => one.owner.cmp(&other.owner).then(newest),
        }
    }
}
