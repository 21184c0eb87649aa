//! Crash points: the calls to ports, in each of which a replica may stop.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::world::World;

macro_rules! crash_points {
    ($($point:ident),+ $(,)?) => {
        /// A method of a port that waits, and in which a replica may therefore stop.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum CrashPoint {
            $($point),+
        }

        impl CrashPoint {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$point),+];
        }
    };
}

crash_points! {
    FindAccount, FindAccounts, ListAccounts, FindAccountAndToken,
    UpdateAccount, ImportAccount, MarkRefused, RemoveAccount, MarkExpired,
    InsertState, FindState,
    FindAttempt, CreateAttempt, ClaimAttempt, AdvanceAttempt, ReleaseAttempt, CompleteAttempt, SweepLinks,
    ClaimRenewal, ExtendRenewal, ReleaseRenewal,
    ClaimDue, FinishVisits, PutOff, ScheduleMissed, FindWitnesses,
    LoadBreaker, OpenBreaker, CloseBreaker, TakeProbe,
    RecordAuditEntry,
    LookAtEvents, NumberEvents, ReadEvents, PurgeEvents,
    TakeConsumer, KeepConsumers, ReleaseConsumers, CommitConsumer,
    KeepCode, FindTicket, FindCode,
    StoreUpdates, ReadPayloads, Deauthorize, DeleteData, Erase,
    ExchangeCode, ExtendToken, RenewToken, ReadProfile,
    Sleep,
}

impl CrashPoint {
    /// Whether it may change an account as callers see it.
    pub(crate) fn changes_accounts(self) -> bool {
        matches!(
            self,
            Self::UpdateAccount
                | Self::ImportAccount
                | Self::MarkRefused
                | Self::RemoveAccount
                | Self::MarkExpired
                | Self::CompleteAttempt
                | Self::FinishVisits
                | Self::Deauthorize
                | Self::DeleteData
        )
    }
}

/// Side of a call on which a replica stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The request has not arrived.
    Before,
    /// It is done, and nobody hears the answer.
    After,
}

/// Crash points at which a replica stopped.
pub(crate) type Crashes = BTreeSet<(CrashPoint, Side)>;

/// Crash points at which a task waited at the end of a step, each with the number of steps after which it did first.
pub(crate) type Waits = BTreeMap<(CrashPoint, Side), usize>;

/// All crash points.
pub(crate) fn all() -> Crashes {
    let sides = |point| [(point, Side::Before), (point, Side::After)];
    CrashPoint::ALL.iter().copied().flat_map(sides).collect()
}

/// One side of a call: lets others run before the replica goes on, and notes where the replica never does.
pub(crate) struct Passing<'a> {
    world: &'a World,
    point: (CrashPoint, Side),
    waited: bool,
    passed: bool,
}

impl World {
    /// Lets others run before the replica goes on.
    pub(crate) fn pass(&self, point: CrashPoint, side: Side) -> Passing<'_> {
        Passing { world: self, point: (point, side), waited: false, passed: false }
    }
}

impl Future for Passing<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        // Some wait longer than others, so that the visits of one round do not go in step.
        if !std::mem::replace(&mut self.waited, true) {
            self.world.note_wait(self.point);
        } else if !self.world.dawdles() {
            self.passed = true;
            self.world.note_passed(self.point);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if self.waited && !self.passed {
            self.world.note_crash(self.point);
        }
    }
}
