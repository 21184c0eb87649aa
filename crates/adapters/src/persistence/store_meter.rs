//! Calls to the store, counted by operation and outcome.

use ig_domain::ports::{Cause, StoreError};
use ig_metrics::{CallMeter, Counts, Outcome, Registry};
use tracing::Instrument as _;

use super::SeaOrmStore;
use super::database::bounded;
use super::events::CountedKind;
use super::unreadable::UnreadableRows;

/// Operation of the store: a method of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    FindAccount,
    FindAccounts,
    ListAccounts,
    FindToken,
    UpdateAccount,
    ImportAccount,
    RemoveAccount,
    MarkExpired,
    InsertState,
    FindState,
    KeepCode,
    FindTicket,
    FindCode,
    FindAttempt,
    CreateAttempt,
    DiscardAttempt,
    ClaimAttempt,
    AdvanceAttempt,
    ReleaseAttempt,
    CompleteLink,
    ClaimRenewal,
    ClaimDue,
    FinishVisits,
    PutOffVisit,
    ScheduleMissed,
    FindWitnesses,
    Breaker,
    CountAccounts,
    Survey,
    ExtendRenewal,
    ReleaseRenewal,
    RecordAudit,
    PurgeAudit,
    CheckKeys,
    RotateKeys,
    Sweep,
    LookAtEvents,
    NumberEvents,
    ReadEvents,
    PurgeEvents,
    Consumers,
    Restore,
    Deauthorize,
    DeleteUser,
    FindDeletion,
    Erase,
    StoreUpdates,
    ReadPayloads,
    Probe,
}

ig_metrics::label!(Operation, "operation", {
    FindAccount => "find_account",
    FindAccounts => "find_accounts",
    ListAccounts => "list_accounts",
    FindToken => "find_token",
    UpdateAccount => "update_account",
    ImportAccount => "import_account",
    RemoveAccount => "remove_account",
    MarkExpired => "mark_expired",
    InsertState => "insert_state",
    FindState => "find_state",
    KeepCode => "keep_code",
    FindTicket => "find_ticket",
    FindCode => "find_code",
    FindAttempt => "find_attempt",
    CreateAttempt => "create_attempt",
    DiscardAttempt => "discard_attempt",
    ClaimAttempt => "claim_attempt",
    AdvanceAttempt => "advance_attempt",
    ReleaseAttempt => "release_attempt",
    CompleteLink => "complete_link",
    ClaimRenewal => "claim_renewal",
    ClaimDue => "claim_due",
    FinishVisits => "finish_visits",
    PutOffVisit => "put_off_visit",
    ScheduleMissed => "schedule_missed",
    FindWitnesses => "find_witnesses",
    Breaker => "breaker",
    CountAccounts => "count_accounts",
    Survey => "survey",
    ExtendRenewal => "extend_renewal",
    ReleaseRenewal => "release_renewal",
    RecordAudit => "record_audit",
    PurgeAudit => "purge_audit",
    CheckKeys => "check_keys",
    RotateKeys => "rotate_keys",
    Sweep => "sweep",
    LookAtEvents => "look_at_events",
    NumberEvents => "number_events",
    ReadEvents => "read_events",
    PurgeEvents => "purge_events",
    Consumers => "consumers",
    Restore => "restore",
    Deauthorize => "deauthorize",
    DeleteUser => "delete_user",
    FindDeletion => "find_deletion",
    Erase => "erase",
    StoreUpdates => "store_updates",
    ReadPayloads => "read_payloads",
    Probe => "probe",
});

/// Outcome of a call to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Ok,
    Conflict,
    LeaseLost,
    Unavailable,
    Overloaded,
    Corrupt,
    Internal,
    GivenUp,
}

ig_metrics::label!(Ended, "outcome", {
    Ok => "ok",
    Conflict => "conflict",
    LeaseLost => "lease_lost",
    Unavailable => "unavailable",
    Overloaded => "overloaded",
    Corrupt => "corrupt",
    Internal => "internal",
    GivenUp => "given_up",
});

impl Outcome for Ended {
    const GIVEN_UP: Self = Self::GivenUp;
}

impl Ended {
    fn of<T>(done: &Result<T, StoreError>) -> Self {
        match done {
            Ok(_) => Self::Ok,
            Err(StoreError::Conflict) => Self::Conflict,
            Err(StoreError::LeaseLost) => Self::LeaseLost,
            Err(StoreError::Unavailable(_)) => Self::Unavailable,
            Err(StoreError::Overloaded(_)) => Self::Overloaded,
            Err(StoreError::Corrupt(_)) => Self::Corrupt,
            Err(StoreError::Internal(_)) => Self::Internal,
        }
    }
}

/// Counts and times the calls to a store.
#[derive(Clone)]
pub struct StoreMeter {
    calls: CallMeter<Operation, Ended>,
    pub(super) events: Counts<CountedKind>,
    pub(super) unreadable: UnreadableRows,
}

impl StoreMeter {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let unreadable = UnreadableRows::register(registry);
        let help = "Events that this process wrote, by their kind";
        Self {
            calls: CallMeter::register(registry, "store_call", "calls to the store"),
            events: Counts::register(registry, "events", help),
            unreadable,
        }
    }
}

impl SeaOrmStore {
    /// Does `work` within the limit of calls, and counts it.
    pub(super) async fn call<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let call = self.meter.calls.begin(operation);
        let done = self.database.explained(bounded(work).await).await;
        call.end(Ended::of(&done));
        done
    }

    /// Does `work`, a read that may take long, in a turn of such reads. It is counted with the wait for the turn, and
    /// has the limit of calls from then on. Once begun it goes on when its caller has given up: it has a connection
    /// until the server has ended it, and keeps its turn as long.
    pub(super) async fn bulk_read<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let call = self.meter.calls.begin(operation);
        let done = match self.database.bulk_read_turn().await {
            Ok(turn) => {
                let read = async move {
                    let _turn = turn;
                    bounded(work).await
                };
                let done = tokio::spawn(read.in_current_span()).await;
                let done =
                    done.unwrap_or_else(|error| Err(StoreError::Internal(Cause::new(error))));
                self.database.explained(done).await
            }
            Err(error) => Err(error),
        };
        call.end(Ended::of(&done));
        done
    }
}

#[cfg(test)]
mod tests;
