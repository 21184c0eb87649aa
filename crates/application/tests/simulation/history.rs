//! One history: calls come, replicas stop, time passes, faults end.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use ig_application::{
    FetchAccessToken, FetchAccessTokenCommand, FetchAccessTokenError, FetchedAccessToken,
    LinkAccountError, LinkWork, LinkedAccount, RefreshAccount, RefreshAccountError, RefreshWork,
    RefreshedAccount,
};
use ig_domain::ports::{AccountWriter as _, Clock as _, LinkAttempts as _, PendingLinks as _};
use ig_domain::{AccountId, OwnerScope, Phase, Presentation, Recipient, RequestId};
use ig_test_support::Guard;
use ig_test_support::builders::{parsed, pending_link, presentation};
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use crate::invariants::Invariants;
use crate::ports::Replica;
use crate::world::World;

const REPLICAS: usize = 3;
const STEPS: usize = 800;
const TASKS: usize = 6;
/// Minimum lifetimes that calls ask for: any, and one that only a token issued this day has.
const MIN_TTLS: [Duration; 2] = [Duration::ZERO, Duration::from_hours(59 * 24)];
/// Maximum number of polls of a call once faults have ended.
const MAX_POLLS: usize = 2_000;

type Task = Pin<Box<dyn Future<Output = Answer>>>;

enum Answer {
    Linked(String, Result<LinkedAccount, LinkAccountError>),
    Refreshed(Result<RefreshedAccount, RefreshAccountError>),
    Fetched(Fetch, Result<FetchedAccessToken, FetchAccessTokenError>),
}

/// A call for a token.
struct Fetch {
    request_id: RequestId,
    arrival: OffsetDateTime,
}

/// One history of the world.
pub(crate) struct History {
    world: Arc<World>,
    invariants: Invariants,
    tasks: Vec<(usize, Task)>,
    presentations: Vec<Presentation>,
    /// One or two persons: the fewer, the more often their links and renewals meet.
    persons: usize,
    /// Answer to each presentation: all answers must be equal.
    answers: BTreeMap<String, (AccountId, bool)>,
    fetches: u32,
}

impl History {
    pub(crate) fn new(seed: u64, missing: Option<Guard>, traced: bool) -> Self {
        let world = World::new(seed, missing, traced);
        let persons = 1 + world.roll(2);
        Self {
            world: Arc::new(world),
            persons,
            invariants: Invariants::default(),
            tasks: Vec::new(),
            presentations: Vec::new(),
            answers: BTreeMap::new(),
            fetches: 0,
        }
    }

    /// Runs the history; returns the first broken invariant, if any, and the trace.
    pub(crate) fn run(mut self) -> (Option<String>, Vec<String>) {
        self.consent();
        for _ in 0..STEPS {
            self.step();
            if self.checked() {
                break;
            }
        }
        if self.world.state().violation.is_none() {
            self.finish();
        }
        let mut state = self.world.state();
        (state.violation.take(), std::mem::take(&mut state.trace))
    }

    fn checked(&mut self) -> bool {
        // Stored data changes by calls to the store only.
        if std::mem::take(&mut self.world.state().unchecked) {
            self.invariants.check(&self.world);
        }
        self.world.state().violation.is_some()
    }

    fn step(&mut self) {
        match self.world.roll(1_000) {
            0..800 => self.poll_any(),
            800..920 => self.call(),
            920..930 => self.stop_replica(),
            930..940 => self.world.store.end_leases(),
            940..980 => self.pass(Duration::from_secs(1 + self.world.roll(60) as u64)),
            980..984 => self.pass(Duration::from_hours(25)),
            984..986 => {
                let person = self.person();
                self.world.note(|| format!("person {person} changes the password"));
                self.world.state().instagram.revoke(person);
            }
            986..988 => self.unlink(),
            988..990 => {
                drop(done(self.world.store.mark_expired(self.world.clock.now(), 100)));
                drop(done(self.world.store.sweep(self.world.clock.now(), 100)));
                self.world.state().unchecked = true;
            }
            _ => self.consent(),
        }
    }

    fn pass(&self, span: Duration) {
        self.world.note(|| format!("{span:?} pass"));
        self.world.clock.advance(span);
    }

    fn person(&self) -> u32 {
        u32::try_from(self.world.roll(self.persons) + 1).expect("few persons")
    }

    /// A person consents; now and then the state or the code is one that was seen before.
    fn consent(&mut self) {
        let person = self.person();
        let now = self.world.clock.now();
        // Mostly one owner, so that links of one account meet often.
        let owner = ["shop/1", "shop/1", "shop/1", "shop/2"][self.world.roll(4)];
        let mut code = self.world.state().instagram.consent(person, now);
        let mut state = format!("state-{}", self.presentations.len());
        let pending = done(self.world.store.insert(&pending_link(&state, owner, now)));
        pending.expect("the state is new");
        if let (0, Some(former)) = (self.world.roll(8), self.presentations.last()) {
            if self.world.roll(2) == 0 {
                former.code.expose().clone_into(&mut code);
            } else {
                former.state.expose().clone_into(&mut state);
            }
        }
        self.world.note(|| format!("person {person} consents: {code}, {state}, {owner}"));
        self.presentations.push(presentation(&code, &state, owner));
    }

    fn call(&mut self) {
        if self.tasks.len() >= TASKS {
            return self.poll_any();
        }
        let replica = self.world.roll(REPLICAS);
        let accounts = self.world.store.accounts();
        let of_an_account = !accounts.is_empty() && self.world.roll(2) == 0;
        let task = if of_an_account {
            let (account, _) = &accounts[self.world.roll(accounts.len())];
            let fetch = self.world.roll(3) == 0;
            let what = if fetch { "fetch the token of" } else { "refresh" };
            self.world.note(|| format!("replica {replica}: {what} {}", account.id));
            if fetch { self.fetch(account.id) } else { self.refresh(account.id) }
        } else {
            let recent = self.presentations.len().min(4);
            let index = self.presentations.len() - 1 - self.world.roll(recent);
            let presented = self.presentations[index].clone();
            self.world.note(|| format!("replica {replica}: link {}", name(&presented)));
            self.link(presented)
        };
        self.tasks.push((replica, task));
    }

    fn link(&self, presented: Presentation) -> Task {
        let work = LinkWork::new(&Replica::ports(&self.world));
        Box::pin(async move { Answer::Linked(name(&presented), work.run(&presented).await) })
    }

    fn refresh(&self, id: AccountId) -> Task {
        let work = self.refresh_work();
        Box::pin(async move { Answer::Refreshed(work.run(id).await) })
    }

    fn refresh_work(&self) -> RefreshWork {
        RefreshWork::new(&Replica::ports(&self.world))
    }

    fn fetch(&mut self, id: AccountId) -> Task {
        let ports = Replica::ports(&self.world);
        let refresh = Arc::new(RefreshAccount::new(&ports, TaskTracker::new()));
        let fetch = FetchAccessToken::new(&ports, refresh);
        self.fetches += 1;
        let request_id: RequestId = parsed(&format!("req-{}", self.fetches));
        let recipient = Recipient {
            caller: parsed("publisher"),
            purpose: parsed("publish"),
            request_id: request_id.clone(),
        };
        let (owners, min_ttl) = (OwnerScope::everyone(), MIN_TTLS[self.world.roll(MIN_TTLS.len())]);
        let command = FetchAccessTokenCommand { account: id, owners, min_ttl, recipient };
        let call = Fetch { request_id, arrival: self.world.clock.now() };
        // The work itself, without the task of its own that needs a runtime.
        let renewal = self.refresh_work();
        Box::pin(async move {
            let fetched = fetch.execute_with(&command, renewal.run(id)).await;
            Answer::Fetched(call, fetched)
        })
    }

    fn poll_any(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = self.world.roll(self.tasks.len());
        let (_, task) = &mut self.tasks[index];
        if let Some(answer) = polled(task) {
            drop(self.tasks.swap_remove(index));
            self.hear(answer);
        }
    }

    fn stop_replica(&mut self) {
        let replica = self.world.roll(REPLICAS);
        self.world.note(|| format!("the replica stops: {replica}"));
        self.tasks.retain(|(of, _)| *of != replica);
    }

    fn unlink(&self) {
        let accounts = self.world.store.accounts();
        if accounts.is_empty() {
            return;
        }
        let (account, _) = &accounts[self.world.roll(accounts.len())];
        self.world.note(|| format!("unlink {}", account.id));
        done(self.world.store.remove(account.id, account.revision)).expect("nobody is between");
        self.world.state().unchecked = true;
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Refreshed(Ok(refreshed)) => {
                self.world.note(|| format!("refreshed: {:?}", refreshed.token_outcome));
            }
            Answer::Refreshed(Err(error)) => {
                self.world.note(|| format!("not refreshed: {error:?}"));
            }
            Answer::Fetched(call, Ok(fetched)) => {
                let renewed = fetched.account.token_issue_time > call.arrival;
                self.world.note(|| if renewed { "handed out, renewed" } else { "handed out" });
                self.invariants.check_handed_out(&self.world, &call.request_id, &fetched);
            }
            Answer::Fetched(_, Err(error)) => {
                self.world.note(|| format!("not handed out: {error:?}"));
            }
            Answer::Linked(call, Err(error)) => {
                self.world.note(|| format!("{call} not linked: {error:?}"));
            }
            Answer::Linked(call, Ok(linked)) => {
                let answer = (linked.view.account.id, linked.created);
                self.world.note(|| format!("{call} linked: {answer:?}"));
                let first = *self.answers.entry(call.clone()).or_insert(answer);
                if first != answer {
                    self.world.violate(format!("{call} was answered {first:?}, then {answer:?}"));
                }
            }
        }
    }

    /// Faults end: every call comes to its end, no matter who held a lease, and so does every attempt.
    fn finish(&mut self) {
        self.world.note(|| "faults end");
        self.world.state().faults = false;
        for presented in self.presentations.clone() {
            for _ in 0..3 {
                self.world.note(|| format!("at last: link {}", name(&presented)));
                let task = self.link(presented.clone());
                let Some(answer) = self.patiently(task) else {
                    return self.world.violate(format!("{} never ends", name(&presented)));
                };
                self.hear(answer);
                if self.checked() {
                    return;
                }
            }
        }
        for (account, _) in self.world.store.accounts() {
            self.world.note(|| format!("at last: refresh {}", account.id));
            let task = self.refresh(account.id);
            let Some(answer) = self.patiently(task) else {
                return self.world.violate(format!("the refresh of {} never ends", account.id));
            };
            self.hear(answer);
            if self.checked() {
                return;
            }
        }
        let attempts = self.world.store.attempts();
        let mut attempts = attempts.iter();
        let open = attempts.find(|attempt| !matches!(attempt.phase, Phase::Ended { .. }));
        if let Some(attempt) = open {
            self.world.violate(format!("an attempt did not end: {:?}", attempt.phase));
        }
    }

    fn patiently(&self, mut task: Task) -> Option<Answer> {
        (0..MAX_POLLS).find_map(|_| {
            self.world.store.pass_lease_time(Duration::from_millis(50));
            polled(&mut task)
        })
    }
}

fn name(presented: &Presentation) -> String {
    format!("{} with {}", presented.code.expose(), presented.state.expose())
}

fn polled(task: &mut Task) -> Option<Answer> {
    match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

/// The value of a future that never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the store in memory waited"),
    }
}
