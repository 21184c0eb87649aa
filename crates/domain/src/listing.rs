//! The order of a listing, and the position of an account in it.

use std::cmp::Ordering;

use time::OffsetDateTime;

use crate::{AccountId, InstagramAccount, Owner};

/// The order of a listing. It depends on the owners whose accounts are listed: no index has the accounts of several
/// owners by `link_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingOrder {
    /// Newest `link_time` first, ties by descending id: the accounts of one owner, or of all.
    LinkTime,
    /// By ascending owner, then as in [`LinkTime`](Self::LinkTime): the accounts of several owners.
    Owner,
}

/// Position of an account in any listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingPosition {
    /// Owner of the account.
    pub owner: Owner,
    /// Moment at which it was linked.
    pub link_time: OffsetDateTime,
    /// Its id.
    pub id: AccountId,
}

impl ListingPosition {
    /// Position of `account`.
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
