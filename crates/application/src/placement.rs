//! Placement of an account that a consent or an import brings: new, or one that is stored already.

use ig_domain::ports::{AccountKey, AccountReader, StoreError};
use ig_domain::{AccountId, AccountStatus, InstagramAccount, Owner, ProfessionalAccountId};
use time::OffsetDateTime;

/// Place of the account.
pub(crate) enum Placement {
    /// It is new.
    New {
        /// Id and revision of another owner's account that needs re-authorisation and makes room.
        displaced: Option<(AccountId, i64)>,
    },
    /// It is stored already, under the same owner.
    Stored(Box<InstagramAccount>),
}

/// The account lives under another owner.
pub(crate) struct OwnedByAnother;

/// The linked account with this professional id.
///
/// # Errors
///
/// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
pub(crate) async fn stored_account(
    accounts: &dyn AccountReader,
    id: &ProfessionalAccountId,
) -> Result<Option<InstagramAccount>, StoreError> {
    let found = accounts.find(&AccountKey::Instagram(id.clone().into())).await?;
    Ok(found.filter(|account| account.professional_account_id == *id))
}

impl Placement {
    /// Place of an account of `owner` at `now`, given the one that is stored.
    pub(crate) fn of(
        stored: Option<InstagramAccount>,
        owner: &Owner,
        now: OffsetDateTime,
    ) -> Result<Self, OwnedByAnother> {
        match stored {
            None => Ok(Self::New { displaced: None }),
            Some(stored) if stored.owner == *owner => Ok(Self::Stored(Box::new(stored))),
            Some(stored) if stored.status(now) == AccountStatus::Active => Err(OwnedByAnother),
            Some(stored) => Ok(Self::New { displaced: Some((stored.id, stored.revision)) }),
        }
    }
}
