//! The end of a link: the account to store, together with the end of its attempt.

use ig_domain::ports::{CompletedLink, CountedEvent, LinkEnded, StoreError};
use ig_domain::{
    AccountId, AccountType, InstagramAccount, LeaseHolder, LinkAttempt, LinkOutcome, LinkRefusal,
    Phase, Profile, ShortLivedGrant, TokenGrant,
};
use time::OffsetDateTime;

use super::{End, LinkSetback, LinkWork, code_rejected};
use crate::link_account::LinkedAccount;
use crate::placement::{OwnedByAnother, Placement, stored_account};
use crate::retry::retry;

/// All data that a link has brought.
struct Brought<'a> {
    attempt: &'a LinkAttempt,
    grant: &'a ShortLivedGrant,
    token: &'a TokenGrant,
    profile: &'a Profile,
    /// Moment at which the profile was read.
    read_time: OffsetDateTime,
}

impl LinkWork {
    /// Stores the account that `profile` belongs to, anew for as long as others change it meanwhile.
    pub(super) async fn commit(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        grant: ShortLivedGrant,
        token: &TokenGrant,
        (profile, read_time): (Profile, OffsetDateTime),
    ) -> Result<End, LinkSetback> {
        if profile.account_type == AccountType::Personal {
            return self.refuse(attempt, holder, LinkRefusal::PersonalAccount).await;
        }
        let brought = Brought { attempt, grant: &grant, token, profile: &profile, read_time };
        loop {
            let stored = self.stored(&brought).await?;
            let link = match self.completed(&brought, stored) {
                Ok(link) => link,
                Err(refusal) => return self.refuse(attempt, holder, refusal).await,
            };
            let write =
                retry(&*self.timer, || self.attempts.complete(&attempt.code, holder, &link));
            match write.await {
                Ok(ended) => {
                    let (outcome, end) = match ended {
                        LinkEnded::Stored => (LinkOutcome::of(&link), Ok(self.linked(link))),
                        LinkEnded::UserRemoved => {
                            (LinkOutcome::Refused(code_rejected()), Err(code_rejected()))
                        }
                    };
                    self.metrics.count(CountedEvent::LinkEnded(outcome));
                    return Ok(end);
                }
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    return Err(LinkSetback::from_store(error, Phase::Exchanged(grant)));
                }
            }
        }
    }

    /// The answer to a link that was stored: what a reader finds from now on.
    fn linked(&self, link: CompletedLink) -> LinkedAccount {
        LinkedAccount {
            view: link.account.view(self.clock.now()),
            created: link.former_revision.is_none(),
            missing_scopes: link.missing_scopes,
        }
    }

    /// The linked account with the profile's professional id.
    async fn stored(&self, brought: &Brought<'_>) -> Result<Option<InstagramAccount>, LinkSetback> {
        let found = stored_account(&*self.accounts, &brought.profile.professional_account_id).await;
        found.map_err(|error| {
            LinkSetback::from_store(error, Phase::Exchanged(brought.grant.clone()))
        })
    }

    /// The completed link to store, given the stored account.
    fn completed(
        &self,
        brought: &Brought<'_>,
        stored: Option<InstagramAccount>,
    ) -> Result<CompletedLink, LinkRefusal> {
        let wanted = brought.attempt.account;
        if wanted.is_some() && wanted != stored.as_ref().map(|stored| stored.id) {
            return Err(LinkRefusal::WrongAccount);
        }
        match Placement::of(stored, &brought.attempt.owner, self.clock.now()) {
            Ok(Placement::New { displaced }) => Ok(self.new_account(brought, displaced)),
            Ok(Placement::Stored(stored)) => Ok(self.linked_again(brought, &stored)),
            Err(OwnedByAnother) => Err(LinkRefusal::OwnedByAnother),
        }
    }

    /// A new account, in place of another owner's dead one where there is one.
    fn new_account(
        &self,
        brought: &Brought<'_>,
        displaced: Option<(AccountId, i64)>,
    ) -> CompletedLink {
        let Brought { attempt, grant, token, profile, read_time } = brought;
        let now = self.clock.now();
        CompletedLink {
            displaced,
            account: InstagramAccount::link(
                self.ids.account_id(now),
                attempt.owner.clone(),
                ((*profile).clone(), *read_time),
                &grant.consent,
                token,
            ),
            former_revision: None,
            token: Some(token.token.clone()),
            missing_scopes: attempt.scopes.missing_from(&grant.consent.granted_scopes),
            end_time: now,
        }
    }

    /// The stored account as the link leaves it.
    fn linked_again(&self, brought: &Brought<'_>, stored: &InstagramAccount) -> CompletedLink {
        let Brought { attempt, grant, token, profile, read_time } = brought;
        let now = self.clock.now();
        let mut account = stored.clone();
        account.read_profile((*profile).clone(), *read_time);
        account.learn_exchange_id(grant.consent.user_id.clone());
        let newer = account.take_consent(&grant.consent, token, now);
        CompletedLink {
            displaced: None,
            account: account.succeeding(stored, now),
            former_revision: Some(stored.revision),
            token: newer.then(|| token.token.clone()),
            missing_scopes: attempt.scopes.missing_from(&grant.consent.granted_scopes),
            end_time: now,
        }
    }
}
