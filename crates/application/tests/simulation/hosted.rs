//! Hosted consents: the browser comes back to our own callback, which keeps the code, and a caller presents its ticket.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ig_application::{FinishHostedLink, HostedEnd, LinkAccount, LinkWork};
use ig_domain::ports::{Clock as _, HostedCode, HostedCodes, StoreError};
use ig_domain::{
    AuthorizationCode, AuthorizationResponse, CodeHash, SessionBinding, StateToken, Ticket,
    TicketHash, TicketPresentation,
};
use ig_test_support::builders::parsed;
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use crate::calls::{self, Answer, Consent, Work};
use crate::crash_points::CrashPoint;
use crate::history::{History, REPLICAS};
use crate::replica::{Process, Replica};

/// A browser that comes to our callback.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Visit {
    code: String,
    state: String,
    owner: &'static str,
}

/// Browsers that came to our callback, and the tickets with which they went on.
#[derive(Default)]
pub(crate) struct Visits {
    came: Vec<Visit>,
    tickets: BTreeMap<Visit, String>,
}

#[async_trait]
impl HostedCodes for Replica {
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError> {
        self.store(CrashPoint::KeepCode, self.world.store.keep(code, state, now)).await
    }

    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError> {
        self.store(CrashPoint::FindTicket, self.world.store.ticket(code, state)).await
    }

    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError> {
        self.store(CrashPoint::FindCode, HostedCodes::find(&self.world.store, ticket)).await
    }
}

/// The replica sends the browser back to the caller.
fn finish(process: &Process, visit: Visit) -> Work {
    let finish = FinishHostedLink::new(&process.ports, TaskTracker::new());
    let (code, state) = (parsed(&visit.code), parsed(&visit.state));
    Box::pin(async move {
        let ended = finish.execute(AuthorizationResponse::Granted { code, state }).await;
        let ticket = match ended {
            Ok(HostedEnd::SendBack(url)) => {
                url.expose_secret().rsplit('=').next().map(str::to_owned)
            }
            _ => None,
        };
        Answer::SentBack(visit, ticket)
    })
}

/// A caller finishes the link with the ticket that the browser brought.
pub(crate) fn redeem(process: &Process, visit: &Visit, ticket: &str) -> Work {
    let link = LinkAccount::new(&process.ports, TaskTracker::new());
    let work = LinkWork::new(&process.ports);
    let presented = TicketPresentation {
        ticket: parsed(ticket),
        state: parsed(&visit.state),
        owner: parsed(visit.owner),
        session_binding: SessionBinding::default(),
    };
    let name = format!("{} by ticket", visit.code);
    Box::pin(async move {
        // The work itself, without the task of its own that needs a runtime.
        let linked = match link.redeem(presented).await {
            Ok(presented) => work.run(&presented).await,
            Err(error) => Err(error),
        };
        Answer::Linked(name, linked)
    })
}

impl History {
    /// A person begins a link that comes back to our own callback.
    pub(crate) fn consent_hosted(&mut self) {
        let (replica, consent) = (self.world.roll(REPLICAS), self.roll_consent(true));
        self.world.note(|| format!("replica {replica}: {consent:?} begins"));
        let work = calls::begin(&self.processes[replica].ports, consent);
        self.callbacks.begin(&self.world, replica, false, work);
    }

    /// The browser comes to our callback.
    pub(crate) fn visit_callback(&mut self, consent: Consent, state: String) {
        let now = self.world.clock.now();
        let code = self.world.state().instagram.consent(consent.person, now);
        let visit = Visit { code, state, owner: consent.owner };
        self.visits.came.push(visit.clone());
        self.world.note(|| format!("{visit:?}"));
        self.begin_callback(|process| finish(process, visit.clone()));
    }

    /// A browser comes once more, or a caller presents its ticket.
    pub(crate) fn come_with_ticket(&mut self) {
        let recent = self.visits.came.len().min(3);
        if recent == 0 || self.is_busy() {
            return self.poll_callbacks();
        }
        let visit = self.visits.came[self.visits.came.len() - 1 - self.world.roll(recent)].clone();
        let ticket = self.visits.tickets.get(&visit).filter(|_| self.world.roll(4) > 0).cloned();
        self.world.note(|| format!("{visit:?} once more, with {ticket:?}"));
        let Some(ticket) = ticket else {
            return self.begin_callback(|process| finish(process, visit.clone()));
        };
        self.present(&visit, &ticket);
    }

    fn present(&mut self, visit: &Visit, ticket: &str) {
        let replica = self.world.roll(REPLICAS);
        let work = redeem(&self.processes[replica], visit, ticket);
        self.begin(replica, work);
    }

    /// A browser went back with a ticket: for the same code and state always the same.
    pub(crate) fn hear_sent_back(&mut self, visit: Visit, ticket: Option<String>) {
        self.world.note(|| format!("sent back: {visit:?} with {ticket:?}"));
        let Some(ticket) = ticket else { return };
        if !self.is_busy() {
            self.present(&visit, &ticket);
        }
        let first = self.visits.tickets.entry(visit).or_insert_with(|| ticket.clone());
        if *first != ticket {
            self.world.violate(format!("a code has two tickets: {first} and {ticket}"));
        }
    }

    /// The tickets of all browsers that went back with one.
    pub(crate) fn tickets(&self) -> Vec<(Visit, String)> {
        let tickets = self.visits.tickets.iter();
        tickets.map(|(visit, ticket)| (visit.clone(), ticket.clone())).collect()
    }

    /// Codes that were kept, and are erased: nobody can present them any more.
    pub(crate) fn erased_codes(&self) -> Vec<CodeHash> {
        let is_erased = |ticket: &str| {
            let ticket: Ticket = parsed(ticket);
            let kept = HostedCodes::find(&self.world.store, &ticket.hash()).now_or_never();
            let kept = kept.and_then(Result::ok).flatten();
            kept.is_none_or(|kept| kept.code.is_none())
        };
        let tickets = self.visits.tickets.iter().filter(|(_, ticket)| is_erased(ticket));
        tickets.map(|(visit, _)| parsed::<AuthorizationCode>(&visit.code).hash()).collect()
    }
}
