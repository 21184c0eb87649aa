//! Counts of what the use cases decide, in a registry for Prometheus.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ig_domain::ports::{
    CountedEvent, InstagramErrorKind, Metrics, ReadSource, StoredUpdates, VisitOutcome,
};
use ig_domain::{CodeHash, LinkOutcome, LinkRefusal, ReauthorizationReason};
use ig_metrics::{Counts, Durations, Registry};

/// Maximum number of postponed links that are remembered. The oldest is forgotten first, and may count again.
const MAX_REMEMBERED: usize = 4096;

/// Outcome of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkOutcomeLabel {
    Created,
    Relinked,
    Postponed,
    CodeRejected,
    PersonalAccount,
    ScopeMissing,
    WrongAccount,
    OwnedByAnother,
    Interrupted,
    Unreadable,
}

ig_metrics::label!(LinkOutcomeLabel, "outcome", {
    Created => "created",
    Relinked => "relinked",
    Postponed => "postponed",
    CodeRejected => "code_rejected",
    PersonalAccount => "personal_account",
    ScopeMissing => "scope_missing",
    WrongAccount => "wrong_account",
    OwnedByAnother => "owned_by_another",
    Interrupted => "interrupted",
    Unreadable => "unreadable",
});

impl From<&LinkOutcome> for LinkOutcomeLabel {
    fn from(outcome: &LinkOutcome) -> Self {
        let refusal = match outcome {
            LinkOutcome::Linked { created: true, .. } => return Self::Created,
            LinkOutcome::Linked { created: false, .. } => return Self::Relinked,
            LinkOutcome::Refused(refusal) => refusal,
        };
        match refusal {
            LinkRefusal::CodeRejected(_) => Self::CodeRejected,
            LinkRefusal::PersonalAccount => Self::PersonalAccount,
            LinkRefusal::ScopeMissing { .. } => Self::ScopeMissing,
            LinkRefusal::WrongAccount => Self::WrongAccount,
            LinkRefusal::OwnedByAnother => Self::OwnedByAnother,
            LinkRefusal::Interrupted => Self::Interrupted,
            LinkRefusal::Unreadable(_) => Self::Unreadable,
        }
    }
}

/// Outcome of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RenewalOutcomeLabel {
    Renewed,
    Rejected,
    RateLimited,
    Unavailable,
    AppMisconfigured,
    Unexpected,
}

ig_metrics::label!(RenewalOutcomeLabel, "outcome", {
    Renewed => "renewed",
    Rejected => "rejected",
    RateLimited => "rate_limited",
    Unavailable => "unavailable",
    AppMisconfigured => "app_misconfigured",
    Unexpected => "unexpected",
});

impl From<InstagramErrorKind> for RenewalOutcomeLabel {
    fn from(kind: InstagramErrorKind) -> Self {
        match kind {
            InstagramErrorKind::TokenRejected(_) => Self::Rejected,
            InstagramErrorKind::RateLimited { .. } => Self::RateLimited,
            InstagramErrorKind::NotSent
            | InstagramErrorKind::NoAnswer
            | InstagramErrorKind::Unavailable
            | InstagramErrorKind::Unconfirmed => Self::Unavailable,
            InstagramErrorKind::AppMisconfigured => Self::AppMisconfigured,
            InstagramErrorKind::SessionUnknown
            | InstagramErrorKind::CodeRejected
            | InstagramErrorKind::RedirectUriRejected
            | InstagramErrorKind::Unreadable
            | InstagramErrorKind::Unexpected => Self::Unexpected,
        }
    }
}

/// Reason for which an account needs the person again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    TokenExpired,
    PasswordChanged,
    Checkpoint,
    TokenRevoked,
    Deauthorized,
}

ig_metrics::label!(Reason, "reason", {
    TokenExpired => "token_expired",
    PasswordChanged => "password_changed",
    Checkpoint => "checkpoint",
    TokenRevoked => "token_revoked",
    Deauthorized => "deauthorized",
});

impl From<ReauthorizationReason> for Reason {
    fn from(reason: ReauthorizationReason) -> Self {
        match reason {
            ReauthorizationReason::TokenExpired => Self::TokenExpired,
            ReauthorizationReason::PasswordChanged => Self::PasswordChanged,
            ReauthorizationReason::Checkpoint => Self::Checkpoint,
            ReauthorizationReason::TokenRevoked => Self::TokenRevoked,
            ReauthorizationReason::Deauthorized => Self::Deauthorized,
        }
    }
}

/// Outcome of a visit of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    Done,
    Failed,
    Expired,
    Refused,
    Healed,
    StillRefused,
    Unreadable,
    GivenBack,
}

ig_metrics::label!(Visit, "outcome", {
    Done => "done",
    Failed => "failed",
    Expired => "expired",
    Refused => "refused",
    Healed => "healed",
    StillRefused => "still_refused",
    Unreadable => "unreadable",
    GivenBack => "given_back",
});

impl From<VisitOutcome> for Visit {
    fn from(outcome: VisitOutcome) -> Self {
        match outcome {
            VisitOutcome::Done => Self::Done,
            VisitOutcome::Failed => Self::Failed,
            VisitOutcome::Expired => Self::Expired,
            VisitOutcome::Refused => Self::Refused,
            VisitOutcome::Healed => Self::Healed,
            VisitOutcome::StillRefused => Self::StillRefused,
            VisitOutcome::Unreadable => Self::Unreadable,
            VisitOutcome::GivenBack => Self::GivenBack,
        }
    }
}

/// What became of an item of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Update {
    Stored,
    Duplicate,
    UnknownAccount,
    Erased,
    Unreadable,
}

ig_metrics::label!(Update, "outcome", {
    Stored => "stored",
    Duplicate => "duplicate",
    UnknownAccount => "unknown_account",
    Erased => "erased",
    Unreadable => "unreadable",
});

/// Where an account was looked for at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Memory,
    Store,
}

ig_metrics::label!(Source, "source", {
    Memory => "memory",
    Store => "store",
});

impl From<ReadSource> for Source {
    fn from(source: ReadSource) -> Self {
        match source {
            ReadSource::Memory => Self::Memory,
            ReadSource::Store => Self::Store,
        }
    }
}

/// Links, renewals, refused accounts, visits, updates by webhook and accounts read, each counted by one label.
pub struct PrometheusMetrics {
    links: Counts<LinkOutcomeLabel>,
    renewals: Counts<RenewalOutcomeLabel>,
    refused_accounts: Counts<Reason>,
    visits: Counts<Visit>,
    visit_durations: Durations<Visit>,
    updates: Counts<Update>,
    accounts_read: Counts<Source>,
    postponed: Mutex<VecDeque<CodeHash>>,
}

impl PrometheusMetrics {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let refused = "Accounts that were marked because Instagram refused their token twice";
        Self {
            links: Counts::register(registry, "links", "Links by what became of them"),
            renewals: Counts::register(registry, "renewals", "Renewals by what became of them"),
            refused_accounts: Counts::register(registry, "refused_accounts", refused),
            visits: Counts::register(registry, "visits", "Visits of the keeper by their outcome"),
            visit_durations: Durations::register(
                registry,
                "visit_duration",
                "Time of visits from their claim to their stored result",
            ),
            updates: Counts::register(
                registry,
                "webhook_updates",
                "Updates that came by webhook, by what became of them",
            ),
            accounts_read: Counts::register(
                registry,
                "accounts_read",
                "Accounts that Get and BatchGet looked for, by where",
            ),
            postponed: Mutex::default(),
        }
    }

    fn count_updates(&self, updates: StoredUpdates) {
        let StoredUpdates { stored, duplicates, unknown, erased } = updates;
        self.updates.add(Update::Stored, stored);
        self.updates.add(Update::Duplicate, duplicates);
        self.updates.add(Update::UnknownAccount, unknown);
        self.updates.add(Update::Erased, erased);
    }

    /// Whether the link is postponed for the first time, as far as is remembered.
    fn is_newly_postponed(&self, code: CodeHash) -> bool {
        let mut postponed = self.postponed.lock().unwrap_or_else(PoisonError::into_inner);
        if postponed.contains(&code) {
            return false;
        }
        if postponed.len() == MAX_REMEMBERED {
            postponed.pop_front();
        }
        postponed.push_back(code);
        true
    }
}

impl Metrics for PrometheusMetrics {
    fn count(&self, event: CountedEvent) {
        match event {
            CountedEvent::LinkEnded(outcome) => self.links.count((&outcome).into()),
            CountedEvent::LinkPostponed(code) => {
                if self.is_newly_postponed(code) {
                    self.links.count(LinkOutcomeLabel::Postponed);
                }
            }
            CountedEvent::TokenRenewed => self.renewals.count(RenewalOutcomeLabel::Renewed),
            CountedEvent::RenewalFailed(kind) => self.renewals.count(kind.into()),
            CountedEvent::AccountRefused(reason) => self.refused_accounts.count(reason.into()),
            CountedEvent::VisitEnded { outcome, elapsed } => {
                self.visits.count(outcome.into());
                self.visit_durations.observe(outcome.into(), elapsed);
            }
            CountedEvent::UpdatesReceived(updates) => self.count_updates(updates),
            CountedEvent::UpdatesUnreadable(number) => {
                self.updates.add(Update::Unreadable, number);
            }
            CountedEvent::AccountsRead { source, number } => {
                self.accounts_read.add(source.into(), number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
