//! The end of a link: which account it becomes, stored together with the end of its attempt.

use ig_domain::ports::{AccountKey, CompletedLink, StoreError};
use ig_domain::{
    AccountStatus, AccountType, InstagramAccount, LeaseHolder, LinkAttempt, LinkOutcome,
    LinkRefusal, Phase, Profile, ShortLivedGrant, TokenGrant,
};

use super::{LinkWork, Setback};
use crate::persistence::persistently;

impl LinkWork {
    /// Stores the account that `profile` belongs to, anew for as long as somebody else changes it.
    pub(super) async fn commit(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        grant: ShortLivedGrant,
        token: &TokenGrant,
        profile: Profile,
    ) -> Result<LinkOutcome, Setback> {
        if profile.account_type == AccountType::Personal {
            return self.refuse(attempt, holder, LinkRefusal::PersonalAccount).await;
        }
        loop {
            let stored = self.stored(&profile, &grant).await?;
            let link = match self.completed(attempt, stored, &grant, token, &profile) {
                Ok(link) => link,
                Err(refusal) => return self.refuse(attempt, holder, refusal).await,
            };
            let write =
                persistently(&*self.timer, || self.attempts.complete(&attempt.code, holder, &link));
            match write.await {
                Ok(()) => return Ok(outcome(&link)),
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    return Err(Setback::from_store(error, Phase::Exchanged(grant)));
                }
            }
        }
    }

    /// The linked account with the profile's professional id.
    async fn stored(
        &self,
        profile: &Profile,
        grant: &ShortLivedGrant,
    ) -> Result<Option<InstagramAccount>, Setback> {
        let id = &profile.professional_account_id;
        let key = AccountKey::Instagram(id.clone().into());
        let found = self.accounts.find(&key).await;
        let found =
            found.map_err(|error| Setback::from_store(error, Phase::Exchanged(grant.clone())))?;
        Ok(found.filter(|account| account.professional_account_id == *id))
    }

    /// What is to be stored, given what is.
    fn completed(
        &self,
        attempt: &LinkAttempt,
        stored: Option<InstagramAccount>,
        grant: &ShortLivedGrant,
        token: &TokenGrant,
        profile: &Profile,
    ) -> Result<CompletedLink, LinkRefusal> {
        if attempt.account.is_some() && attempt.account != stored.as_ref().map(|stored| stored.id) {
            return Err(LinkRefusal::WrongAccount);
        }
        let now = self.clock.now();
        let missing_scopes = attempt.scopes.missing_from(&grant.granted_scopes);
        let new = |displaced| CompletedLink {
            displaced,
            account: InstagramAccount::link(
                self.ids.account_id(now),
                attempt.owner.clone(),
                profile.clone(),
                grant.user_id.clone(),
                grant.granted_scopes.clone(),
                token,
            ),
            former_revision: None,
            token: Some(token.token.clone()),
            missing_scopes: missing_scopes.clone(),
            end_time: now,
        };
        match stored {
            None => Ok(new(None)),
            Some(stored) if stored.owner == attempt.owner => {
                let mut account = stored.clone();
                account.read_profile(profile.clone(), now);
                account.learn_exchange_id(grant.user_id.clone());
                let newer = account.take_token(token);
                if newer {
                    account.granted_scopes = grant.granted_scopes.clone();
                }
                Ok(CompletedLink {
                    displaced: None,
                    account: account.succeeding(&stored, now),
                    former_revision: Some(stored.revision),
                    token: newer.then(|| token.token.clone()),
                    missing_scopes,
                    end_time: now,
                })
            }
            Some(stored) if stored.status(now) == AccountStatus::Active => {
                Err(LinkRefusal::OwnedByAnother)
            }
            Some(stored) => Ok(new(Some((stored.id, stored.revision)))),
        }
    }
}

fn outcome(link: &CompletedLink) -> LinkOutcome {
    LinkOutcome::Linked {
        account: link.account.id,
        created: link.former_revision.is_none(),
        missing_scopes: link.missing_scopes.clone(),
    }
}
