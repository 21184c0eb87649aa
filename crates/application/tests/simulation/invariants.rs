//! Invariants: they must hold after every step.

use std::collections::{BTreeMap, BTreeSet};

use ig_application::FetchedAccessToken;
use ig_domain::ports::Clock as _;
use ig_domain::{AccountId, AccountStatus, InstagramAccount, ReauthorizationReason, RequestId};

use crate::told::Changes;
use crate::visits::Visits;
use crate::world::World;

/// The accounts as they were after the step before.
#[derive(Default)]
pub(crate) struct Invariants {
    before: BTreeMap<AccountId, (InstagramAccount, String)>,
    /// The token that belonged to each revision.
    tokens: BTreeMap<(AccountId, i64), String>,
    visits: Visits,
    changes: Changes,
}

impl Invariants {
    /// Compares the store with its state after the step before, and records broken invariants.
    pub(crate) fn check(&mut self, world: &World) {
        let accounts = world.store.accounts();
        let distinct: BTreeSet<_> =
            accounts.iter().map(|(account, _)| &account.professional_account_id).collect();
        if distinct.len() != accounts.len() {
            world.violate("one professional account is linked twice");
        }
        let mut after = BTreeMap::new();
        for (account, token) in &accounts {
            let token = token.text().expose().to_owned();
            let before = self.before.get(&account.id);
            let broken = [
                complete(account, &token),
                before.and_then(|before| succeeds(world, before, account, &token)),
                marked(world, before.map(|(before, _)| before), account, &token),
                self.visits.check(world, account),
            ];
            broken.into_iter().flatten().for_each(|what| world.violate(what));
            if !world.store.is_renewal_leased(account.id) {
                world.state().rules.unheld(account.id);
            }
            self.tokens.insert((account.id, account.revision), token.clone());
            after.insert(account.id, (account.clone(), token));
        }
        self.before = after;
        self.changes.check(world);
    }

    /// Checks the audit of a token that leaves: this very call has one entry, which names the token.
    pub(crate) fn check_handed_out(
        &self,
        world: &World,
        call: &RequestId,
        fetched: &FetchedAccessToken,
    ) {
        let FetchedAccessToken { token, account } = fetched;
        let token = token.text().expose();
        let mut entries = world.store.audit();
        entries.retain(|entry| entry.request_id == *call);
        // Of a deleted account the entry may be without its ids by now.
        let is_erased = world.state().removals.has_deleted(account.id);
        let named = (account.revision, account.token_issue_time);
        match &entries[..] {
            [entry]
                if (entry.account != account.id && !is_erased)
                    || (entry.revision, entry.token_issue_time) != named =>
            {
                world.violate(format!("{token} left, and its entry in the audit names another"));
            }
            [entry] if entry.token_expire_time.is_some_and(|end| end <= entry.time) => {
                world.violate(format!("{token} left though it was dead"));
            }
            [_] => {}
            _ => world.violate(format!("{token} left with {} entries in the audit", entries.len())),
        }
        if self.tokens.get(&(account.id, account.revision)).is_none_or(|other| other != token) {
            world.violate(format!("{token} left, and the audit names another token"));
        }
    }
}

fn complete(account: &InstagramAccount, token: &str) -> Option<String> {
    if !token.starts_with("long-") {
        return Some("an account was stored with a short-lived token".to_owned());
    }
    let scoped = account.app_scoped_user_id.is_some();
    (!scoped).then(|| "an account was stored without its app-scoped id".to_owned())
}

fn succeeds(
    world: &World,
    (before, token_before): &(InstagramAccount, String),
    account: &InstagramAccount,
    token: &str,
) -> Option<String> {
    let checkpoint = account.refused.filter(|reason| *reason == ReauthorizationReason::Checkpoint);
    let same = InstagramAccount {
        profile_picture_url: account.profile_picture_url.clone(),
        // A checkpoint that a dead account turns out to be in is no change.
        refused: before.refused.map(|reason| checkpoint.unwrap_or(reason)),
        profile_time: account.profile_time,
        failures: account.failures,
        ..before.clone()
    };
    let same = same == *account && before.has_picture_of(account);
    let same = same && before.failures.trouble.is_some() == account.failures.trouble.is_some();
    if account.revision < before.revision || (account.revision == before.revision && !same) {
        return Some(format!("revision {} became {}", before.revision, account.revision));
    }
    if token == token_before {
        return None;
    }
    let parent = world.state().instagram.tokens[token].parent.clone();
    if world.state().imports.made(account) {
        let origin = (token, parent.as_deref());
        return world.state().imports.broken(before, origin, world.clock.now());
    }
    match parent {
        Some(parent) if parent != *token_before => {
            Some(format!("{token}, renewed from {parent}, replaced the token {token_before}"))
        }
        None if account.consent_time <= before.consent_time && living(world, before) => {
            Some(format!("{token}, of an older consent, replaced the token {token_before}"))
        }
        _ => None,
    }
}

fn living(world: &World, account: &InstagramAccount) -> bool {
    account.status(world.clock.now()) == AccountStatus::Active
}

/// An account is marked by Instagram's word only after two refusals of its token and a witness.
fn marked(
    world: &World,
    before: Option<&InstagramAccount>,
    account: &InstagramAccount,
    token: &str,
) -> Option<String> {
    let was_marked = before.is_some_and(|before| before.refused.is_some());
    if account.refused.is_none() || was_marked || account.is_expired(world.clock.now()) {
        return None;
    }
    let state = world.state();
    let token = &state.instagram.tokens[token];
    match token.refused_twice {
        None => Some("an account is marked, and Instagram said so only once".to_owned()),
        Some(since) if !state.rules.has_witness(account.id, token.person, since) => {
            Some("an account is marked, and no witness was asked".to_owned())
        }
        Some(_) => None,
    }
}
