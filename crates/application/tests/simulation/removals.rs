//! Rules about removals: whoever is deauthorised or deleted stays so, whatever is under way, until a newer consent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use ig_domain::ports::{Clock as _, Instagram as _, UserDeletions as _};
use ig_domain::{
    AccountEvent, AccountId, AppScopedUserId, AuditEntry, AuditId, AuthorizationCode, CodeHash,
    ConfirmationCode, EventChange, InstagramAccount, LINK_RETENTION, LinkOutcome, Phase,
    ProfessionalAccountId, SignedRequest,
};
use ig_test_support::builders::{parsed, profile};
use time::OffsetDateTime;

use crate::replica::Process;
use crate::world::{State, World};

/// Time for which something of a deleted account may still be written, by who read it before.
const LATE_WRITE_WINDOW: time::Duration = time::Duration::seconds(30);

/// Kind of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deauthorization,
    Deletion,
}

/// A removal that the store did.
struct Removal {
    kind: Kind,
    request: SignedRequest,
    /// When it came.
    time: OffsetDateTime,
}

/// All that is stored of the accounts, each with the text of its token.
pub(crate) type Stored = BTreeMap<AccountId, (InstagramAccount, Option<String>)>;

/// The removals so far.
#[derive(Default)]
pub(crate) struct Removals {
    done: Vec<Removal>,
    /// The request of each code.
    codes: BTreeMap<ConfirmationCode, SignedRequest>,
    /// Accounts that are gone.
    gone: BTreeMap<AccountId, InstagramAccount>,
    /// Accounts of which nothing may be left, each with the moment at which its deletion came.
    deleted: BTreeMap<AccountId, OffsetDateTime>,
    /// When each entry of the audit was written.
    entries: BTreeMap<AuditId, OffsetDateTime>,
    /// Codes whose attempts were erased: that they were sent is not known any more.
    erased_codes: BTreeSet<CodeHash>,
}

fn is_of(account: &InstagramAccount, user: &AppScopedUserId) -> bool {
    account.app_scoped_user_id.iter().chain(&account.exchange_user_id).any(|id| id == user)
}

/// Whether a moment lies in the second of `issue_time` or before it.
fn is_covered(moment: OffsetDateTime, issue_time: OffsetDateTime) -> bool {
    moment < issue_time + time::Duration::SECOND
}

impl Removal {
    /// Whether the account must not be as a consent leaves it.
    fn covers(&self, account: &InstagramAccount) -> bool {
        is_of(account, &self.request.user)
            && is_covered(account.consent_time, self.request.issue_time)
    }

    /// Whether nobody may know of it any more at `now`: deletions are kept for good.
    fn is_forgotten(&self, now: OffsetDateTime) -> bool {
        self.kind == Kind::Deauthorization && self.time + LINK_RETENTION <= now
    }

    /// The broken rule, if an account is there that this removal covers.
    fn broken(&self, account: &InstagramAccount, has_token: bool) -> Option<String> {
        let id = account.id;
        match self.kind {
            _ if !self.covers(account) => None,
            Kind::Deletion => Some(format!("{id} is there though its person had it deleted")),
            Kind::Deauthorization if has_token => {
                Some(format!("{id} has a token though its person removed the app"))
            }
            Kind::Deauthorization => None,
        }
    }
}

impl Removals {
    /// Whether an update of this time and account is left out, since its person had all deleted since.
    pub(crate) fn is_deleted(&self, account: &ProfessionalAccountId, time: OffsetDateTime) -> bool {
        let number = |id: &str| id.get(id.len().saturating_sub(4)..).map(str::to_owned);
        self.done.iter().any(|Removal { kind, request, time: _ }| {
            *kind == Kind::Deletion
                && number(request.user.as_str()) == number(account.as_str())
                && is_covered(time, request.issue_time)
        })
    }

    /// Whether the attempt of this code was erased. From now on it has another one.
    pub(crate) fn take_erased(&mut self, code: &CodeHash) -> bool {
        self.erased_codes.remove(code)
    }

    pub(crate) fn note_gone(&mut self, account: &InstagramAccount) {
        self.gone.insert(account.id, account.clone());
    }

    /// Whether an account that is gone was deleted for its person.
    pub(crate) fn has_deleted(&self, account: AccountId) -> bool {
        self.deleted.contains_key(&account)
    }

    pub(crate) fn codes(&self) -> Vec<ConfirmationCode> {
        self.codes.keys().cloned().collect()
    }
}

impl World {
    /// Makes a change of the store that may erase attempts, and notes the codes of those.
    pub(crate) async fn erasing<T>(&self, change: impl Future<Output = T>) -> T {
        let codes = || -> BTreeSet<_> {
            self.store.attempts().iter().map(|attempt| attempt.code).collect()
        };
        let before = codes();
        let changed = change.await;
        let left = codes();
        self.state().removals.erased_codes.extend(before.difference(&left));
        changed
    }

    /// All that is stored of the accounts.
    pub(crate) fn stored(&self) -> Stored {
        let tokens = self.store.accounts().into_iter();
        let mut tokens: BTreeMap<_, _> =
            tokens.map(|(account, token)| (account.id, token.text().expose().to_owned())).collect();
        let accounts = self.all_accounts().into_iter();
        accounts.map(|(id, account)| (id, (account, tokens.remove(&id)))).collect()
    }

    /// Checks that no removal has been undone.
    pub(crate) fn check_removals(&self) {
        if self.state().removals.done.is_empty() {
            return;
        }
        let (stored, now) = (self.stored(), self.clock.now());
        let mut state = self.state();
        let broken = stored.values().find_map(|(account, token)| {
            // A token of unknown issue counts as older than any removal, and only of those that are known.
            let is_imported = state.imports.made_any(account.id);
            let removals = state.removals.done.iter();
            let mut removals =
                removals.filter(|removal| !(is_imported && removal.is_forgotten(now)));
            removals.find_map(|removal| removal.broken(account, token.is_some()))
        });
        if let Some(broken) = broken {
            state.violate(broken);
        }
    }

    /// Checks a link that was stored: its person has not removed the app since the code came.
    pub(crate) fn judge_link(&self, code: &CodeHash, account: &InstagramAccount) {
        let attempts = self.store.attempts();
        let mut attempts = attempts.iter();
        let code_time =
            attempts.find(|attempt| attempt.code == *code).map(|attempt| attempt.create_time);
        let mut state = self.state();
        let mut done = state.removals.done.iter().map(|removal| &removal.request);
        let is_removed = done.any(|request| {
            is_of(account, &request.user)
                && code_time.is_none_or(|came| is_covered(came, request.issue_time))
        });
        if is_removed {
            let id = account.id;
            state.violate(format!("{id} is linked though its person removed the app since"));
        }
    }

    /// Checks what the store did for a removal that came at `now`, given all as it was before.
    pub(crate) fn judge_removal(
        &self,
        kind: Kind,
        request: &SignedRequest,
        before: &Stored,
        now: OffsetDateTime,
    ) {
        let after = self.stored();
        let removal = Removal { kind, request: request.clone(), time: now };
        for (id, (account, token)) in before {
            if removal.covers(account) {
                continue;
            }
            let is_kept = after.get(id).is_some_and(|(after, token_after)| {
                token == token_after
                    && (after.revision, after.refused) == (account.revision, account.refused)
            });
            if !is_kept {
                self.violate(format!("a removal that does not cover {id} changed it"));
            }
            if is_of(account, &request.user) {
                // One that came before changes nothing.
                let mut state = self.state();
                let known = state.rules.put_off(*id).unwrap_or(now);
                state.rules.note_put_off(*id, now.max(known));
            }
        }
        let mut state = self.state();
        let State { removals, .. } = &mut *state;
        if kind == Kind::Deletion {
            let there = before.values().map(|(account, _)| account);
            let covered = there.chain(removals.gone.values()).filter(|one| removal.covers(one));
            for account in covered {
                removals.deleted.entry(account.id).or_insert(now);
            }
        }
        removals.done.push(removal);
        drop(state);
        self.check_removals();
    }

    /// Notes the code of a deletion: the same request has one.
    pub(crate) fn note_code(&self, request: &SignedRequest, code: &ConfirmationCode) {
        let mut state = self.state();
        let codes = &mut state.removals.codes;
        codes.insert(code.clone(), request.clone());
        if codes.values().filter(|other| *other == request).count() > 1 {
            state.violate("a deletion has two codes".to_owned());
        }
    }

    /// Notes when an entry of the audit is written.
    pub(crate) fn note_entry(&self, entry: &AuditEntry) {
        self.state().removals.entries.insert(entry.id, self.clock.now());
    }

    /// Checks that nothing is left of deleted accounts but what may be.
    pub(crate) fn check_erased(&self) {
        let (events, audit, attempts) =
            (self.store.events(), self.store.audit(), self.store.attempts());
        let mut state = self.state();
        let removals = &state.removals;
        let is_deleted = |id: &AccountId| removals.has_deleted(*id);
        let mut events = events.iter().filter_map(|logged| logged.event.as_ref());
        let speaking = events.find(|event| is_deleted(&event.account_id) && speaks(event));
        let speaking =
            speaking.map(|event| format!("{:?} is left of a deleted account", event.change.kind()));
        let entry = audit.iter().find(|entry| removals.names_deleted(entry));
        let entry =
            entry.map(|entry| format!("the audit names {}, which is deleted", entry.account));
        let mut linked = attempts.iter().filter_map(|attempt| match &attempt.phase {
            Phase::Ended { outcome: LinkOutcome::Linked { account, .. }, .. } => Some(*account),
            _ => attempt.account,
        });
        let linked = linked.find(is_deleted);
        let linked = linked.map(|id| format!("an attempt names {id}, which is deleted"));
        let broken = [speaking, entry, linked];
        broken.into_iter().flatten().for_each(|broken| state.violate(broken));
    }
}

impl Removals {
    /// Whether an entry names a deleted account, though it was written in time to be erased.
    fn names_deleted(&self, entry: &AuditEntry) -> bool {
        let written = self.entries.get(&entry.id);
        self.deleted.get(&entry.account).is_some_and(|deleted| {
            written.is_none_or(|written| *written < *deleted + LATE_WRITE_WINDOW)
        })
    }
}

/// Whether an event says more than its kind.
fn speaks(event: &AccountEvent) -> bool {
    let bare = EventChange::from_names(event.change.kind().as_str(), None, None);
    bare.as_ref() != Some(&event.change)
}

/// Does a call, whatever it waits for.
fn done<T>(call: impl Future<Output = T>) -> T {
    let mut call = Box::pin(call);
    loop {
        if let Some(answer) = (&mut call).now_or_never() {
            return answer;
        }
    }
}

#[test]
fn a_deletion_that_erases_no_attempt_lets_no_code_be_sent_again() {
    let world = Arc::new(World::new(1, None, false));
    let (replica, now) = (Process::new(&world, 0).callbacks, world.clock.now());
    let code: AuthorizationCode = parsed(&world.state().instagram.consent(1, now));
    let redirect_uri = parsed("https://example.com/callback");
    assert!(done(replica.exchange_code(&code, &redirect_uri)).is_ok());
    let user = profile(1).app_scoped_user_id.expect("every person has one");
    let request = SignedRequest { user, issue_time: now };
    assert!(done(replica.delete(&request, &parsed(&"0".repeat(32)), now)).is_ok());
    assert_eq!(world.state().violation, None);
    assert!(done(replica.exchange_code(&code, &redirect_uri)).is_err());
    let violation = world.state().violation.clone();
    assert!(violation.is_some_and(|violation| violation.contains("sent again")));
}
