//! One history: calls come, keepers look, replicas stop, time passes, faults end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ig_application::ImportAccountCommand;
use ig_domain::ports::Clock as _;
use ig_domain::{AccountId, Presentation};
use ig_test_support::Guard;
use ig_test_support::builders::presentation;

use crate::callbacks::Sent;
use crate::calls::{self, Answer, Consent, Work, name};
use crate::crash_points::{Crashes, Waits};
use crate::hosted::Visits;
use crate::invariants::Invariants;
use crate::plan::{Action, Plan, Step};
use crate::replica::Process;
use crate::schedule::{Schedule, Tasks};
use crate::sickness::Sickness;
use crate::watchers;
use crate::world::World;

pub(crate) const REPLICAS: usize = 3;
const MAX_TASKS: usize = 7;

/// Minimum lifetimes that calls ask for: any, one that a token has until it is due, and one of its first day.
const MIN_TTLS: [Duration; 3] =
    [Duration::ZERO, Duration::from_hours(40 * 24), Duration::from_hours(59 * 24)];

/// Real time in which a lease runs out.
const LEASE_TIME: Duration = Duration::from_secs(10);

/// Maximum number of polls of a call once faults have ended.
const MAX_POLLS: usize = 2_000;

/// One history of the world.
pub(crate) struct History {
    pub(crate) world: Arc<World>,
    plan: Plan,
    pub(crate) invariants: Invariants,
    pub(crate) processes: Vec<Process>,
    tasks: Tasks,
    /// Tasks of those who follow the events, and of the replicas for them.
    pub(crate) watchers: Tasks,
    /// Tasks of the replicas for what Instagram called back for.
    pub(crate) callbacks: Tasks,
    /// Reads of accounts.
    pub(crate) reads: Tasks,
    pub(crate) sent: Sent,
    pub(crate) visits: Visits,
    pub(crate) presentations: Vec<Presentation>,
    pub(crate) imports: Vec<ImportAccountCommand>,
    /// Answer to each presentation: all answers must be equal.
    answers: BTreeMap<String, (AccountId, bool)>,
    fetches: u32,
    pub(crate) streams: u64,
}

/// What a history came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// The first broken invariant, if any.
    pub(crate) violation: Option<String>,
    pub(crate) trace: Vec<String>,
    /// Number of steps that were played.
    pub(crate) steps: usize,
    pub(crate) waits: Waits,
    pub(crate) crashes: Crashes,
}

impl History {
    /// The history of `plan`, over a store that lacks a guard.
    pub(crate) fn new(plan: Plan, missing: Option<Guard>, traced: bool) -> Self {
        let world = Arc::new(World::new(plan.calm, missing, traced));
        Self {
            invariants: Invariants::default(),
            processes: (0..REPLICAS).map(|replica| Process::new(&world, replica)).collect(),
            tasks: Tasks::new(plan.schedule),
            watchers: Tasks::new(Schedule::Uniform),
            callbacks: Tasks::new(Schedule::Uniform),
            reads: Tasks::new(Schedule::Uniform),
            sent: Sent::default(),
            visits: Visits::default(),
            presentations: Vec::new(),
            imports: Vec::new(),
            answers: BTreeMap::new(),
            fetches: 0,
            streams: 0,
            plan,
            world,
        }
    }

    pub(crate) fn run(mut self) -> Played {
        for step in std::mem::take(&mut self.plan.steps) {
            self.world.state().steps += 1;
            self.step(step);
            if self.is_checked_broken() {
                break;
            }
        }
        if self.world.state().violation.is_none() {
            self.world.seed(self.plan.dice);
            self.finish();
        }
        self.world.state().calmed = true;
        let mut state = self.world.state();
        Played {
            violation: state.violation.take(),
            trace: std::mem::take(&mut state.trace),
            steps: state.steps,
            waits: std::mem::take(&mut state.waits),
            crashes: std::mem::take(&mut state.crashes),
        }
    }

    /// Checks the invariants where something may have changed. Returns whether one is broken.
    pub(crate) fn is_checked_broken(&mut self) -> bool {
        // Stored data changes by calls to the store only.
        if std::mem::take(&mut self.world.state().unchecked) {
            self.invariants.check(&self.world);
        }
        self.world.state().violation.is_some()
    }

    fn step(&mut self, step: Step) {
        self.world.seed(step.dice);
        self.world.state().faults = step.faults;
        match step.action {
            Action::Poll => self.poll(step.stays),
            Action::Call => self.call(),
            Action::Look => {
                let replica = self.world.roll(REPLICAS);
                self.look(replica);
            }
            Action::Crash => self.crash(),
            Action::Stop => self.stop(),
            Action::PassLease => self.pass_lease(),
            Action::PassSeconds => {
                let seconds = 1 + self.world.roll(60) as u64;
                self.pass(Duration::from_secs(seconds));
            }
            Action::PassHours => {
                let hours = 1 + self.world.roll(self.plan.hours) as u64;
                self.pass(Duration::from_hours(hours));
                // What is due by then is what all keepers find, and at the same time.
                (0..REPLICAS).for_each(|replica| self.look(replica));
            }
            Action::ChangePassword => self.change_password(),
            Action::DestroyToken => self.destroy_token(),
            Action::Sicken => self.sicken(),
            Action::Consent => self.consent(),
            Action::Follow => self.follow(),
            Action::Watch => self.watch(),
            Action::PollEvents => self.serve_streams(watchers::poll_events),
            Action::KeepConsumers => self.serve_streams(watchers::keep_consumers),
            Action::PurgeEvents => self.serve_streams(watchers::purge_events),
            Action::PollCallbacks => self.poll_callbacks(),
            Action::SendWebhooks => self.send_webhooks(),
            Action::Deauthorize => self.deauthorize(),
            Action::DeleteData => self.delete_data(),
            Action::Erase => self.erase(),
            Action::ConsentHosted => self.consent_hosted(),
            Action::ComeWithTicket => self.come_with_ticket(),
            Action::Import => self.import(),
            Action::Read => self.read(),
            Action::PollReads => self.poll_reads(),
            Action::PassMoment => self.pass_moment(),
        }
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.world.note(|| format!("{span:?} pass"));
        self.world.clock.advance(span);
    }

    /// Number of persons who link accounts.
    pub(crate) fn persons(&self) -> usize {
        self.plan.persons
    }

    /// One of them.
    pub(crate) fn person(&self) -> u32 {
        u32::try_from(self.world.roll(self.persons()) + 1).expect("few persons")
    }

    /// Any account; `None` where there is none.
    pub(crate) fn account(&self) -> Option<AccountId> {
        let accounts = self.world.store.accounts();
        let index = self.world.roll(accounts.len().max(1));
        accounts.get(index).map(|(account, _)| account.id)
    }

    pub(crate) fn begin(&mut self, replica: usize, work: Work) {
        self.tasks.begin(&self.world, replica, false, work);
    }

    /// A person begins a link.
    fn consent(&mut self) {
        let (replica, consent) = (self.world.roll(REPLICAS), self.roll_consent(false));
        self.world.note(|| format!("replica {replica}: {consent:?} begins"));
        self.begin(replica, calls::begin(&self.processes[replica].ports, consent));
    }

    pub(crate) fn roll_consent(&self, hosted: bool) -> Consent {
        // Mostly one owner, so that links of one account meet often.
        let (person, owners) = (self.person(), ["shop/1", "shop/1", "shop/1", "shop/2"]);
        Consent { person, owner: owners[self.world.roll(4)], hosted }
    }

    /// Whether no more calls are to begin.
    pub(crate) fn is_busy(&self) -> bool {
        self.tasks.len() >= MAX_TASKS
    }

    /// A person comes back with a code; now and then the state or the code is one that was seen before.
    fn come_back(&mut self, consent: Consent, mut state: String) {
        if consent.hosted {
            return self.visit_callback(consent, state);
        }
        let Consent { person, owner, .. } = consent;
        let now = self.world.clock.now();
        let mut code = self.world.state().instagram.consent(person, now);
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
        if self.is_busy() {
            return self.poll(false);
        }
        if self.presentations.is_empty() {
            return self.consent();
        }
        let replica = self.world.roll(REPLICAS);
        let work = match (self.world.roll(16), self.account()) {
            (0..3, Some(id)) => self.fetch(replica, id),
            (3..8, Some(id)) => {
                self.world.note(|| format!("replica {replica}: refresh {id}"));
                calls::refresh(&self.processes[replica].ports, id)
            }
            (8, Some(id)) => self.seldom(replica, id),
            _ => self.link(replica),
        };
        self.begin(replica, work);
    }

    fn link(&self, replica: usize) -> Work {
        let recent = self.presentations.len().min(4);
        let index = self.presentations.len() - 1 - self.world.roll(recent);
        let presented = self.presentations[index].clone();
        self.world.note(|| format!("replica {replica}: link {}", name(&presented)));
        calls::link(&self.processes[replica].ports, presented)
    }

    fn fetch(&mut self, replica: usize, id: AccountId) -> Work {
        let min_ttl = MIN_TTLS[self.world.roll(MIN_TTLS.len())];
        self.fetches += 1;
        self.world.note(|| format!("replica {replica}: fetch the token of {id} for {min_ttl:?}"));
        calls::fetch(&self.processes[replica].ports, id, min_ttl, self.fetches)
    }

    /// Calls that come now and then.
    fn seldom(&self, replica: usize, id: AccountId) -> Work {
        let ports = &self.processes[replica].ports;
        let (what, work) = match self.world.roll(5) {
            0 => ("unlink", calls::unlink(ports, id)),
            1 => ("get", calls::get(ports, id)),
            2 => ("list", calls::list(ports)),
            _ => ("sweep", calls::sweep(ports)),
        };
        self.world.note(|| format!("replica {replica}: {what}, perhaps {id}"));
        work
    }

    /// The keeper of a replica looks for due accounts, unless its last round is still under way.
    fn look(&mut self, replica: usize) {
        if self.tasks.has_round(replica) {
            return self.poll(false);
        }
        self.world.note(|| format!("replica {replica}: the keeper looks"));
        let work = calls::look(&self.processes[replica]);
        self.tasks.begin(&self.world, replica, true, work);
    }

    fn poll(&mut self, stays: bool) {
        let Some(task) = self.tasks.choose(&self.world, stays) else { return };
        let number = task.number;
        if let Some(answer) = polled(&mut task.work) {
            self.tasks.remove(number);
            self.hear(answer);
        }
    }

    /// A replica stops wherever its tasks are, and forgets all.
    fn crash(&mut self) {
        let replica = self.world.roll(REPLICAS);
        self.world.note(|| format!("the replica stops: {replica}"));
        self.world.state().rules.excuse(replica);
        self.tasks.crash(replica);
        self.watchers.crash(replica);
        self.callbacks.crash(replica);
        self.reads.crash(replica);
        self.world.state().told.end_streams(|(_, of)| of == replica);
        self.processes[replica] = Process::new(&self.world, replica);
    }

    /// A replica is told to stop, and another one takes its place while it finishes.
    fn stop(&mut self) {
        let replica = self.world.roll(REPLICAS);
        self.world.note(|| format!("the replica is told to stop: {replica}"));
        self.processes[replica].stop.cancel();
        self.processes[replica] = Process::new(&self.world, replica);
    }

    /// Leases run out; whoever holds one does not know.
    pub(crate) fn pass_lease(&self) {
        self.world.note(|| "leases run out");
        for (account, token) in self.world.store.accounts() {
            if self.world.store.is_renewal_leased(account.id) {
                self.world.state().rules.outlive(token.text().expose());
            }
        }
        self.world.store.end_leases();
        let mut state = self.world.state();
        state.real_time += LEASE_TIME;
        state.told.outlive();
        state.unchecked = true;
    }

    fn change_password(&self) {
        let person = self.person();
        self.world.note(|| format!("person {person} changes the password"));
        self.world.state().instagram.revoke(person);
    }

    fn destroy_token(&self) {
        let Some(id) = self.account() else { return };
        self.world.note(|| format!("the token of {id} is destroyed"));
        self.world.store.destroy_token(id);
        self.world.state().unchecked = true;
    }

    fn sicken(&self) {
        let person = self.person();
        let sickness = Sickness::roll(&self.world, person);
        let was_well = self.world.state().instagram.sickness.is_none();
        let sickness = was_well.then_some(sickness);
        self.world.note(|| format!("Instagram's incident: {sickness:?}"));
        self.world.state().instagram.sickness = sickness;
    }

    pub(crate) fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Begun(consent, Ok(begun)) => {
                self.come_back(consent, begun.state.expose().to_owned());
            }
            Answer::Begun(consent, Err(error)) => {
                self.world.note(|| format!("{consent:?} not begun: {error:?}"));
            }
            Answer::SentBack(visit, ticket) => self.hear_sent_back(visit, ticket),
            Answer::Refreshed(Ok(refreshed)) => {
                self.world.note(|| format!("refreshed: {:?}", refreshed.token_outcome));
            }
            Answer::Refreshed(Err(error)) => {
                self.world.note(|| format!("not refreshed: {error:?}"));
            }
            Answer::Fetched(call, Ok(fetched)) => {
                let renewed = fetched.account.token_issue_time > Some(call.arrival);
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
                self.hear_linked(&call, (linked.view.account.id, linked.created));
            }
            Answer::Visited(visited) => {
                self.world.note(|| format!("the keeper visited {visited:?}"));
            }
            Answer::Watched(follower, ended) => self.world.note(|| format!("{follower:?} {ended}")),
            Answer::Other(line) => self.world.note(|| line),
        }
    }

    fn hear_linked(&mut self, call: &str, answer: (AccountId, bool)) {
        self.world.note(|| format!("{call} linked: {answer:?}"));
        let first = *self.answers.entry(call.to_owned()).or_insert(answer);
        if first != answer {
            self.world.violate(format!("{call} was answered {first:?}, then {answer:?}"));
        }
    }

    /// Forgets the tasks that are under way.
    pub(crate) fn abandon_tasks(&mut self) {
        self.tasks.clear();
        self.watchers.clear();
        self.callbacks.clear();
        self.reads.clear();
        self.world.state().told.end_streams(|_| true);
    }

    /// The answer of work that nothing disturbs; `None` where it does not end.
    pub(crate) fn patiently(&mut self, mut work: Work) -> Option<Answer> {
        (0..MAX_POLLS).find_map(|_| {
            self.world.store.pass_lease_time(Duration::from_millis(50));
            let answer = polled(&mut work);
            // Each change is checked by itself.
            self.is_checked_broken();
            answer
        })
    }
}

pub(crate) fn polled(work: &mut Work) -> Option<Answer> {
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
