//! Imports of tokens that persons' older systems have, and the rules that they follow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ig_application::{ImportAccountCommand, ImportWork, Ports};
use ig_domain::ports::Clock as _;
use ig_domain::{AccountId, AccountStatus, ImportedLife, InstagramAccount};
use ig_test_support::builders::{long_lived, parsed};
use time::OffsetDateTime;

use crate::calls::{Answer, Work};
use crate::history::{History, REPLICAS};
use crate::world::World;

/// Maximum age of a token of an older system, in hours.
const MAX_AGE_HOURS: usize = 50 * 24;

/// What was imported so far.
#[derive(Default)]
pub(crate) struct Imports {
    /// What was told of each token, by its text.
    told: BTreeMap<String, ImportedLife>,
    /// The revisions of accounts that an import stored.
    stored: BTreeSet<(AccountId, i64)>,
}

impl Imports {
    /// Whether the token came from an older system.
    pub(crate) fn has(&self, token: &str) -> bool {
        self.told.contains_key(token)
    }

    /// Notes that an import stored the account as it is.
    pub(crate) fn note(&mut self, account: &InstagramAccount) {
        self.stored.insert((account.id, account.revision));
    }

    /// Whether an import stored this revision.
    pub(crate) fn made(&self, account: &InstagramAccount) -> bool {
        self.stored.contains(&(account.id, account.revision))
    }

    /// Whether an import ever stored a token of the account.
    pub(crate) fn made_any(&self, account: AccountId) -> bool {
        self.stored.range((account, i64::MIN)..=(account, i64::MAX)).next().is_some()
    }

    /// The broken rule, where the token of an import, or its renewal, took the place of that of `before` at `now`.
    pub(crate) fn broken(
        &self,
        before: &InstagramAccount,
        (token, parent): (&str, Option<&str>),
        now: OffsetDateTime,
    ) -> Option<String> {
        let told = self.told.get(token).or_else(|| self.told.get(parent?));
        let Some(told) = told else {
            return Some(format!("an import stored {token}, which came from no older system"));
        };
        let is_later = told
            .expire_time()
            .is_some_and(|end| before.token_expire_time.is_none_or(|former| former < end));
        let is_alive = before.status(now) == AccountStatus::Active;
        (is_alive && !is_later).then(|| format!("{token}, imported, replaced a living token"))
    }
}

impl History {
    /// A token of an older system is imported, now and then one that was before.
    pub(crate) fn import(&mut self) {
        if self.is_busy() {
            return;
        }
        let former = self.imports.last().filter(|_| self.world.roll(3) == 0).cloned();
        let command = former.unwrap_or_else(|| self.new_import());
        let replica = self.world.roll(REPLICAS);
        self.world.note(|| format!("replica {replica}: import {}", command.token.text().expose()));
        self.imports.push(command.clone());
        self.begin(replica, import(&self.processes[replica].ports, command));
    }

    fn new_import(&self) -> ImportAccountCommand {
        let (person, now) = (self.person(), self.world.clock.now());
        let age = Duration::from_hours(self.world.roll(MAX_AGE_HOURS) as u64);
        // Few know that theirs is young.
        let issue_time = if self.world.roll(4) == 0 { now } else { now - age };
        let owner = if self.world.roll(4) == 0 { "shop/2" } else { "shop/1" };
        let knows = |world: &World| world.roll(2) == 0;
        let (knows_issue, knows_end) = (knows(&self.world), knows(&self.world));
        let mut state = self.world.state();
        let (token, expire_time) = state.instagram.issue_elsewhere(person, issue_time);
        let issue_time = Some(issue_time).filter(|_| knows_issue);
        let expire_time = Some(expire_time).filter(|_| knows_end);
        let life = ImportedLife::told(issue_time, expire_time, now).expect("it is the truth");
        state.imports.told.insert(token.clone(), life);
        ImportAccountCommand { token: long_lived(&token), owner: parsed(owner), life }
    }
}

/// An import that a replica does.
pub(crate) fn import(ports: &Ports, command: ImportAccountCommand) -> Work {
    let work = ImportWork::new(ports);
    Box::pin(async move {
        let imported = work.run(&command).await;
        let imported = imported.map(|imported| imported.outcome);
        Answer::Other(format!("imported: {imported:?}"))
    })
}
