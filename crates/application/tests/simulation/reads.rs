//! Reads through the memory of a replica: no answer is older than it may be.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ig_application::{GetAccount, GetAccountError, GetAccounts};
use ig_domain::ports::{AccountKey, BatchKey, StoreError};
use ig_domain::{AccountEvent, AccountId, AccountView, InstagramAccount, OwnerScope};

use crate::calls::{Answer, Work};
use crate::history::{History, REPLICAS, polled};
use crate::replica::Process;
use crate::world::{State, World};

/// Maximum number of reads at the same time.
const MAX_READS: usize = 4;

/// Real time after which a change of another replica is to show.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// The same for a change that has no event.
const UNTOLD_WITHIN: Duration = Duration::from_mins(1);

/// Maximum time, in milliseconds, that passes between two steps.
const MAX_MOMENT: usize = 400;

/// The versions of each account, in their order.
#[derive(Default)]
pub(crate) struct Versions(BTreeMap<AccountId, Vec<Version>>);

/// The number of a version of each account.
pub(crate) type Made = BTreeMap<AccountId, usize>;

/// An account as it was from a moment of real time on; `None` where it was gone.
struct Version {
    time: Duration,
    account: Option<InstagramAccount>,
}

impl Versions {
    /// Notes how the accounts are at `now`. Returns the new versions.
    fn record(&mut self, now: Duration, stored: &BTreeMap<AccountId, InstagramAccount>) -> Made {
        let mut made = Made::new();
        for id in stored.keys() {
            self.0.entry(*id).or_default();
        }
        for (id, versions) in &mut self.0 {
            let account = stored.get(id);
            if versions.last().is_none_or(|last| last.account.as_ref() != account) {
                made.insert(*id, versions.len());
                versions.push(Version { time: now, account: account.cloned() });
            }
        }
        made
    }

    /// Why `account` must not be the answer to a read that began at `begin`, in a process that had made `made` by then.
    fn refutation(
        &self,
        account: &InstagramAccount,
        begin: Duration,
        made: &Made,
    ) -> Option<String> {
        let id = account.id;
        let versions = self.0.get(&id).map(Vec::as_slice).unwrap_or_default();
        let is_answer = |version: &Version| version.account.as_ref() == Some(account);
        let Some(answered) = versions.iter().rposition(is_answer) else {
            return Some(format!("{id} never was as it was read"));
        };
        if made.get(&id).is_some_and(|made| *made > answered) {
            return Some(format!("{id} was read as it was before its own replica changed it"));
        }
        let later = versions[answered..].windows(2).find(|pair| {
            let is_told = match (&pair[0].account, &pair[1].account) {
                (Some(former), Some(next)) => AccountEvent::between(former, next).is_some(),
                _ => true,
            };
            let within = if is_told { TOLD_WITHIN } else { UNTOLD_WITHIN };
            pair[1].time + within <= begin
        });
        later.map(|_| format!("{id} was read as it was too long ago"))
    }
}

impl World {
    /// Notes how the accounts are now. Returns the new versions.
    pub(crate) fn record_versions(&self) -> Made {
        let stored = self.all_accounts();
        let State { versions, real_time, .. } = &mut *self.state();
        versions.record(*real_time, &stored)
    }

    fn check_read(&self, account: &InstagramAccount, begin: Duration, made: &Made) {
        let refutation = self.state().versions.refutation(account, begin, made);
        if let Some(refutation) = refutation {
            self.violate(refutation);
        }
    }
}

/// A call that reads an account, by one of its keys.
fn read(world: &Arc<World>, process: &Process, key: AccountKey, of_many: bool) -> Work {
    let (world, store) = (Arc::clone(world), &process.ports.store);
    let (accounts, clock) = (store.cached_accounts.clone(), process.ports.clock.clone());
    let made = Arc::clone(&process.made);
    Box::pin(async move {
        let begin = world.state().real_time;
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let owners = OwnerScope::everyone();
        let found: Result<Option<AccountView<_>>, StoreError> = match key {
            AccountKey::Id(id) if of_many => {
                let get = GetAccounts { accounts, clock };
                let found = get.execute(vec![BatchKey::Id(id)], &owners).await;
                found.map(|found| found.accounts.into_iter().next())
            }
            key => match (GetAccount { accounts, clock }).execute(&key, &owners).await {
                Ok(view) => Ok(Some(view)),
                Err(GetAccountError::NotFound) => Ok(None),
                Err(GetAccountError::Store(error)) => Err(error),
            },
        };
        if let Ok(Some(view)) = &found {
            world.check_read(&view.account, begin, &made);
        }
        Answer::Other(format!(
            "read: {:?}",
            found.map(|found| found.map(|view| view.account.revision))
        ))
    })
}

impl History {
    /// Somebody reads an account, unless enough do.
    pub(crate) fn read(&mut self) {
        let Some(id) = self.account().filter(|_| self.reads.len() < MAX_READS) else {
            return self.poll_reads();
        };
        let stored = self.world.all_accounts().remove(&id);
        let by_id = AccountKey::Id(id);
        let key = match self.world.roll(3) {
            0 => stored.map_or(by_id, |account| {
                AccountKey::Instagram(account.professional_account_id.into())
            }),
            _ => by_id,
        };
        let replica = self.world.roll(REPLICAS);
        self.world.note(|| format!("replica {replica}: read {key:?}"));
        let work = read(&self.world, &self.processes[replica], key, self.world.roll(2) == 0);
        self.reads.begin(&self.world, replica, false, work);
    }

    pub(crate) fn poll_reads(&mut self) {
        let Some(task) = self.reads.choose(&self.world, false) else { return };
        let number = task.number;
        if let Some(answer) = polled(&mut task.work) {
            self.reads.remove(number);
            self.hear(answer);
        }
    }

    /// Real time passes: less than that for which accounts are answered from memory.
    pub(crate) fn pass_moment(&self) {
        let span = Duration::from_millis(1 + self.world.roll(MAX_MOMENT) as u64);
        self.world.note(|| format!("{span:?} of real time pass"));
        self.world.state().real_time += span;
    }
}
