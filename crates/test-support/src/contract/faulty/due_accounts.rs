//! Due accounts, with faults.

use async_trait::async_trait;
use ig_domain::ports::{ClaimedAccount, DueAccounts, StoreError, VisitResult};
use ig_domain::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

#[async_trait]
impl DueAccounts for FaultyPorts {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        let mut claimed = self.ports.due_accounts.claim_due(now, holder, limit).await?;
        if self.has(Fault::DisorderlyClaims) {
            claimed.sort_by_key(|claimed| claimed.id);
        }
        if self.has(Fault::SharedLeases) {
            for claimed in &claimed {
                self.ports.renewal_leases.release(claimed.id, holder).await?;
            }
        }
        Ok(claimed)
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        let mut results = results.to_vec();
        match self.fault {
            Fault::LostVisits => results.iter_mut().for_each(|(_, result)| result.change = None),
            Fault::LostTokens => {
                let changes = results.iter_mut().filter_map(|(_, result)| result.change.as_mut());
                changes.for_each(|change| change.token = None);
            }
            Fault::StaleWrites => {
                for (_, result) in &mut results {
                    let stored = self.stored_revision(result.id).await?;
                    result.change.iter_mut().for_each(|change| change.former_revision = stored);
                }
            }
            Fault::LateHolders => {
                for (holder, result) in &mut results {
                    let found = self.ports.accounts.find_with_token(result.id).await?;
                    let token = found.and_then(|(_, token)| token);
                    result.change.iter_mut().for_each(|change| change.token.clone_from(&token));
                    self.ports.renewal_leases.release(result.id, *holder).await?;
                }
            }
            _ => {}
        }
        let unstored = self.ports.due_accounts.finish(&results).await?;
        if self.has(Fault::EagerReleases) {
            for (holder, result) in &results {
                self.ports.renewal_leases.release(result.id, *holder).await?;
            }
        }
        let linked = self.has(Fault::LinkedVisits) && !unstored.is_empty();
        if linked {
            Ok(results.iter().map(|(_, result)| result.id).collect())
        } else {
            Ok(unstored)
        }
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        match self.fault {
            Fault::LostVisits => self.ports.renewal_leases.release(id, holder).await,
            _ => self.ports.due_accounts.put_off(id, holder, until).await,
        }
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        self.ports.due_accounts.schedule_missed(limit).await
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        let mut witnesses = self.ports.due_accounts.witnesses(except, now, limit).await?;
        if self.has(Fault::DisorderlyClaims) {
            witnesses.sort_by_key(|(account, _)| account.profile_time);
        }
        Ok(witnesses)
    }
}
