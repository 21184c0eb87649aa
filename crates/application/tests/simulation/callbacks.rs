//! What Instagram calls back for: updates by webhook, deauthorisations and deletions of a person's data.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{Deauthorize, DeleteUserData, EraseRemoved};
use ig_domain::ports::Clock as _;
use ig_domain::{
    AuthorizationCode, Phase, ReceivedUpdate, SignedRequest, UpdateFacts, UpdateKind,
    WebhookPayload,
};
use ig_test_support::builders::{parsed, profile};
use tokio_util::task::TaskTracker;

use crate::calls::{Answer, Work};
use crate::history::{History, REPLICAS, polled};
use crate::replica::Process;
use crate::world::World;

/// Maximum number of tasks of what Instagram called back for.
const MAX_CALLBACKS: usize = 8;

/// Maximum number of updates of a batch.
const MAX_BATCH: usize = 5;

/// Maximum time, in seconds, for which a request or an update is on its way.
const MAX_DELAY: usize = 3 * 3600;

/// Time by which Instagram's clock may be ahead.
const AHEAD: Duration = Duration::from_mins(4);

/// All that Instagram called back for.
#[derive(Default)]
pub(crate) struct Sent {
    batches: Vec<Vec<ReceivedUpdate>>,
    /// Number of different updates.
    updates: u64,
    /// Deauthorisations, and deletions.
    requests: Vec<SignedRequest>,
}

/// The replica stores a batch of updates, and answers.
pub(crate) fn receive(
    world: &Arc<World>,
    process: &Process,
    number: u64,
    batch: Vec<ReceivedUpdate>,
) -> Work {
    let (world, intake) = (Arc::clone(world), Arc::clone(&process.intake));
    Box::pin(async move {
        let begin = world.state().rules.tick();
        let received = intake.run(batch.clone(), 0).await;
        if received.is_ok() {
            world.check_answered(&batch, begin);
            world.state().updates.unanswered.remove(&number);
        }
        Answer::Other(format!("received: {received:?}"))
    })
}

fn deauthorize(process: &Process, request: SignedRequest) -> Work {
    let (removals, clock) = (process.removals.clone(), process.callbacks.clone());
    let deauthorize = Deauthorize { removals, clock };
    Box::pin(async move {
        Answer::Other(format!("deauthorised: {:?}", deauthorize.execute(&request).await))
    })
}

fn delete_data(process: &Process, request: SignedRequest) -> Work {
    let ports = process.callbacks.clone();
    let delete = DeleteUserData {
        deletions: process.deletions.clone(),
        clock: ports.clone(),
        ids: ports,
        tracker: TaskTracker::new(),
    };
    // The work itself, without the task of its own that needs a runtime.
    Box::pin(async move { Answer::Other(format!("deleted: {:?}", delete.run(&request).await)) })
}

pub(crate) fn erase(process: &Process) -> Work {
    let (deletions, clock) = (process.deletions.clone(), process.callbacks.clone());
    let erase = EraseRemoved { deletions, clock };
    Box::pin(async move { Answer::Other(format!("erased: {:?}", erase.execute_round().await)) })
}

impl History {
    pub(crate) fn poll_callbacks(&mut self) {
        let Some(task) = self.callbacks.choose(&self.world, false) else { return };
        let number = task.number;
        if let Some(answer) = polled(&mut task.work) {
            self.callbacks.remove(number);
            self.hear(answer);
        }
    }

    /// Begins what a replica was called for, and now and then the same at another one.
    pub(crate) fn begin_callback(&mut self, work: impl Fn(&Process) -> Work) {
        for _ in 0..=usize::from(self.world.roll(4) == 0) {
            let replica = self.world.roll(REPLICAS);
            let work = work(&self.processes[replica]);
            self.callbacks.begin(&self.world, replica, false, work);
        }
    }

    fn is_busy_with_callbacks(&mut self) -> bool {
        let is_busy = self.callbacks.len() >= MAX_CALLBACKS;
        if is_busy {
            self.poll_callbacks();
        }
        is_busy
    }

    /// Instagram sends a batch of updates, or one that it sent before.
    pub(crate) fn send_webhooks(&mut self) {
        if self.is_busy_with_callbacks() {
            return;
        }
        let is_repetition = self.world.roll(3) == 0 && !self.sent.batches.is_empty();
        let batch = if is_repetition {
            let recent = self.sent.batches.len().min(6);
            self.sent.batches[self.sent.batches.len() - 1 - self.world.roll(recent)].clone()
        } else {
            let batch: Vec<_> = (0..=self.world.roll(MAX_BATCH)).map(|_| self.update()).collect();
            self.sent.batches.push(batch.clone());
            batch
        };
        let number = self.world.state().updates.send(&batch);
        let size = batch.len();
        self.world.note(|| format!("Instagram sends batch {number} of {size} updates"));
        let world = Arc::clone(&self.world);
        self.begin_callback(|process| receive(&world, process, number, batch.clone()));
    }

    /// An update of a person, linked or not; now and then the last one of the batch before once more.
    fn update(&mut self) -> ReceivedUpdate {
        let last = self.sent.batches.last().and_then(|batch| batch.last());
        if let (0, Some(last)) = (self.world.roll(8), last) {
            return last.clone();
        }
        self.sent.updates += 1;
        let (number, now) = (self.sent.updates, self.world.clock.now());
        let person = 1 + self.world.roll(self.persons() + 1);
        let key = format!("mid-{number}");
        let facts =
            UpdateFacts { kind: UpdateKind::Message, key: Some(&key), ..UpdateFacts::default() };
        let payload = match self.world.roll(16) {
            0 => "x".repeat(WebhookPayload::MAX_LENGTH + 1),
            _ => format!("update {number} of person {person}"),
        };
        let person = profile(u32::try_from(person).expect("few persons"));
        let time = now - self.delay();
        let entry_time = Some(time.unix_timestamp());
        ReceivedUpdate::of(person.professional_account_id, entry_time, &facts, &payload, now)
    }

    /// Time for which something is on its way: mostly none.
    fn delay(&self) -> Duration {
        let seconds = self.world.roll(MAX_DELAY) as u64;
        Duration::from_secs(if self.world.roll(4) == 0 { seconds } else { 0 })
    }

    /// A person, mostly one whose account is linked.
    fn linked_person(&self) -> u32 {
        let accounts = self.world.store.accounts();
        let account = accounts.get(self.world.roll(accounts.len().max(1)));
        let is_of = |person: &u32| {
            let id = profile(*person).professional_account_id;
            account.is_some_and(|(account, _)| account.professional_account_id == id)
        };
        let any = self.person();
        let linked = (1..=3).find(is_of).filter(|_| self.world.roll(4) > 0);
        linked.unwrap_or(any)
    }

    /// A person whose link is under way; `None` where there is none.
    fn linking_person(&self) -> Option<u32> {
        let attempts = self.world.store.attempts();
        let is_open = |code: &str| {
            let code = parsed::<AuthorizationCode>(code).hash();
            let mut attempts = attempts.iter().filter(|attempt| attempt.code == code);
            attempts.any(|attempt| !matches!(attempt.phase, Phase::Ended { .. }))
        };
        let state = self.world.state();
        let mut codes = state.instagram.codes.iter();
        codes.find(|(code, _)| is_open(code)).map(|(_, code)| code.person)
    }

    /// A person removes the app: a request, which comes late now and then, or one that came before.
    fn signed_request(&mut self) -> SignedRequest {
        let linking = self.linking_person().filter(|_| self.world.roll(2) == 0);
        let (person, delay) = (linking.unwrap_or_else(|| self.linked_person()), self.delay());
        let former = self.world.roll(self.sent.requests.len().max(1));
        if let (0, Some(former)) = (self.world.roll(6), self.sent.requests.get(former)) {
            return former.clone();
        }
        let ahead = if self.world.roll(8) == 0 { AHEAD } else { Duration::ZERO };
        let issue_time = self.world.clock.now() - delay + ahead;
        // Tokens that are refused by then hide what our side does with those that are not.
        if delay.is_zero() && self.world.roll(2) == 0 {
            self.world.state().instagram.remove_app(person);
        }
        let request = SignedRequest {
            user: profile(person).app_scoped_user_id.expect("each person has one"),
            issue_time: issue_time.replace_nanosecond(0).expect("a whole second"),
        };
        self.sent.requests.push(request.clone());
        request
    }

    pub(crate) fn deauthorize(&mut self) {
        if self.is_busy_with_callbacks() {
            return;
        }
        let request = self.signed_request();
        self.world.note(|| format!("Instagram deauthorises: {request:?}"));
        self.begin_callback(|process| deauthorize(process, request.clone()));
    }

    pub(crate) fn delete_data(&mut self) {
        if self.is_busy_with_callbacks() {
            return;
        }
        let request = self.signed_request();
        self.world.note(|| format!("Instagram has data deleted: {request:?}"));
        self.begin_callback(|process| delete_data(process, request.clone()));
    }

    pub(crate) fn erase(&mut self) {
        if !self.is_busy_with_callbacks() {
            self.begin_callback(erase);
        }
    }
}
