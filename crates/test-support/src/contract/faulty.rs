//! Stores that are broken on purpose: the contract must fail on each, else a promise is not tested.
//!
//! A store's own tests hand the same way to make an empty one to [`faults_are_seen!`](crate::faults_are_seen), which
//! makes one test of each fault: the named promises break through a wrapper with the fault. All promises hold through
//! one without a fault, which `tests/memory.rs` shows once for all stores.

mod accounts;
mod attempts;
mod audit;
mod breaker;
mod consumers;
mod due_accounts;
mod events;
mod hosted_codes;
mod key_checks;
mod leases;
mod surveys;
mod user_removals;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::{AppId, CodeHash, LeaseHolder};

use super::{Ports, StoreUnderTest};
use crate::builders::parsed;

/// Fault of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the wrapper only passes on.
    Nothing,
    /// A guard is lost: a write changes any stored revision.
    StaleWrites,
    /// A guard is lost: a write takes back a reading or a retry that is newer than what was read.
    LateReadings,
    /// A guard is lost: a replaced holder writes all the same.
    LateHolders,
    /// A guard is lost: a state serves many codes.
    ReusedStates,
    /// A conflict is answered as success.
    SilentConflicts,
    /// Two holders have one lease.
    SharedLeases,
    /// A guard is lost: a replaced holder is holder again once its successor has left.
    RevivedLeases,
    /// A guard is lost: an account is marked as refused by one that does not hold its lease.
    UnfencedMarks,
    /// No lease ever ends.
    EndlessLeases,
    /// Rows are lost: pending links are not stored.
    LostPendingLinks,
    /// Rows are lost: a link ends without its account.
    LostAccounts,
    /// Rows are lost: an account keeps its former token.
    LostTokens,
    /// Rows come back: removed accounts stay.
    Undead,
    /// A second visit with a code gets another ticket.
    NewTickets,
    /// A guard is lost: a code has a ticket for any state.
    OpenTickets,
    /// The mark that a code was sent is not stored.
    LostSentMarks,
    /// A link that could not be stored ends its attempt.
    HalfLinks,
    /// A sweep does nothing.
    NoSweep,
    /// A sweep exceeds its limit.
    BoundlessSweep,
    /// Every app sees all rows.
    OneApp,
    /// Of many keys only those that are found are answered.
    GappyBatches,
    /// Rows are lost: audit entries are not stored.
    LostEntries,
    /// Entries of accounts that have changed count as stored.
    StaleEntries,
    /// The audit ignores all conditions of a query.
    LooseAudits,
    /// Each call that stores a check value gets its own value back.
    LooseKeyChecks,
    /// A listing ignores owner and status, and leaves an account out between two pages.
    LooseListings,
    /// A guard is lost: a close of the breaker ends any opening.
    BlindCloses,
    /// A visit's lease ends though its new token was not stored.
    EagerReleases,
    /// Claims of due accounts are in no order.
    DisorderlyClaims,
    /// Results of visits are not stored.
    LostVisits,
    /// The results of visits fail together.
    LinkedVisits,
    /// Surveys see nothing in trouble or overdue, anybody takes their turn, and the last one is not stored.
    BlindSurveys,
    /// Surveys mix apps up, and count the expired as active; the worst are in no order.
    SloppySurveys,
    /// Rows are lost: pages leave the last event out.
    LostEvents,
    /// Changes of counts are told as those of names, and displaced accounts as unlinked.
    SloppyEvents,
    /// A guard is lost: the log holds every position, and every moment leads to one.
    LooseCursors,
    /// A purge does nothing.
    NoPurge,
    /// A purge exceeds its limit, a window is half as long, and the audit loses an entry of the moment itself.
    HastyPurge,
    /// A restoration does nothing.
    NoRestoration,
    /// Two streams hold one consumer, and a caller has any number.
    SharedConsumers,
    /// Rows are lost: commits are not stored, and no taker moves a cursor.
    LostCommits,
    /// A guard is lost: a cursor moves by itself whatever is committed, and to an older one.
    EagerCursors,
    /// Rows are lost: removals do nothing.
    LostRemovals,
    /// A guard is lost: a removal holds against newer consents.
    AgelessRemovals,
    /// A removal does not hold in the second of the consent.
    StaleRemovals,
    /// A guard is lost: a link is stored whatever was removed.
    DeafLinks,
    /// What deleted accounts have left stays.
    LostErasures,
    /// Rows are lost: the last update of a batch is not stored, and no payload is found.
    LostUpdates,
    /// A guard is lost: an update is stored as often as it comes.
    RepeatedUpdates,
    /// All updates of a batch are stored under the account of the first.
    StrayUpdates,
}

/// A store with a fault.
pub struct Faulty<S> {
    store: S,
    fault: Fault,
    holders: Holders,
}

/// Holders of attempts, for the fault that needs to know them.
type Holders = Arc<Mutex<BTreeMap<CodeHash, LeaseHolder>>>;

impl<S: StoreUnderTest> Faulty<S> {
    /// `store`, with `fault` between it and its user.
    pub fn new(store: S, fault: Fault) -> Self {
        Self { store, fault, holders: Holders::default() }
    }
}

#[async_trait]
impl<S: StoreUnderTest> StoreUnderTest for Faulty<S> {
    fn of_app(&self, app: AppId) -> Ports {
        let app = if self.fault == Fault::OneApp { parsed("990602627938098") } else { app };
        let ports = self.store.of_app(app);
        let probe = Arc::clone(&ports.probe);
        let faulty =
            Arc::new(FaultyPorts { ports, fault: self.fault, holders: Arc::clone(&self.holders) });
        Ports {
            accounts: faulty.clone(),
            account_writer: faulty.clone(),
            pending_links: faulty.clone(),
            link_attempts: faulty.clone(),
            hosted_codes: faulty.clone(),
            renewal_leases: faulty.clone(),
            due_accounts: faulty.clone(),
            breaker: faulty.clone(),
            surveys: faulty.clone(),
            event_log: faulty.clone(),
            event_survey: faulty.clone(),
            consumers: faulty.clone(),
            restoration: faulty.clone(),
            user_removals: faulty.clone(),
            user_deletions: faulty.clone(),
            webhooks: faulty.clone(),
            audit: faulty.clone(),
            audit_reader: faulty.clone(),
            key_checks: faulty,
            probe,
        }
    }

    async fn end_leases(&self) {
        if self.fault != Fault::EndlessLeases {
            self.store.end_leases().await;
        }
    }

    async fn set_clock_back(&self) {
        if self.fault != Fault::EndlessLeases {
            self.store.set_clock_back().await;
        }
    }

    async fn age_events(&self, span: Duration) {
        self.store.age_events(span).await;
    }
}

/// The ports of one app, with a fault.
struct FaultyPorts {
    ports: Ports,
    fault: Fault,
    holders: Holders,
}

impl FaultyPorts {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn holders(&self) -> MutexGuard<'_, BTreeMap<CodeHash, LeaseHolder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `promise` breaks on a store. Its panic is printed, as any is.
pub async fn breaks<S, F>(store: S, promise: impl FnOnce(Arc<S>) -> F) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    let kept = tokio::spawn(promise(Arc::new(store))).await;
    kept.is_err_and(|error| error.is_panic())
}

/// One `tokio::test` for each [`Fault`]. `$fresh` is an async function that makes an empty [`StoreUnderTest`].
#[macro_export]
macro_rules! faults_are_seen {
    ($fresh:ident) => {
        $crate::faults_are_seen!(@faults $fresh,
            stale_writes: StaleWrites breaks {
                accounts::a_stale_update_changes_nothing,
                accounts::a_stale_removal_removes_nothing,
                accounts::of_many_updates_of_one_revision_one_is_stored,
                visits::results_that_cannot_be_stored_keep_no_others_back,
                completion::a_changed_account_leaves_everything_as_it_was,
                completion::a_changed_displaced_account_leaves_everything_as_it_was,
                imports::an_import_takes_the_place_of_a_token,
                imports::an_import_displaces_a_dead_account,
            }
            late_readings: LateReadings breaks {
                accounts::a_late_update_takes_back_neither_a_newer_reading_nor_a_retry,
            }
            late_holders: LateHolders breaks {
                leases::a_replaced_holder_changes_nothing,
                visits::a_replaced_visitor_stores_nothing_but_a_new_token,
                completion::a_lost_lease_leaves_everything_as_it_was,
            }
            reused_states: ReusedStates breaks {
                attempts::a_spent_state_creates_no_second_attempt,
                attempts::of_many_codes_for_one_state_one_creates_an_attempt,
            }
            silent_conflicts: SilentConflicts breaks {
                accounts::a_stale_update_changes_nothing,
                accounts::an_account_that_is_gone_cannot_be_updated_or_removed,
                pending_links::a_state_is_kept_once,
                audit::an_entry_is_recorded_once,
                attempts::an_unknown_state_creates_nothing,
                completion::a_taken_professional_id_leaves_everything_as_it_was,
                imports::of_many_imports_of_one_account_one_is_stored,
            }
            shared_leases: SharedLeases breaks {
                leases::a_held_attempt_is_not_claimed_by_another,
                leases::a_claim_lasts_anew,
                leases::of_many_claims_one_wins,
                leases::one_at_a_time_renews_an_account,
                leases::only_the_holder_gives_a_renewal_back,
                leases::of_many_renewals_one_wins,
                visits::a_due_account_is_claimed_once,
            }
            revived_leases: RevivedLeases breaks {
                leases::a_replaced_holder_changes_nothing_after_its_successor_either,
                leases::a_renewal_that_a_successor_gave_back_is_claimed_anew,
            }
            unfenced_marks: UnfencedMarks breaks {
                leases::only_the_holder_of_a_renewal_marks_its_account,
            }
            endless_leases: EndlessLeases breaks {
                leases::a_lease_that_has_ended_is_taken_over,
                leases::a_renewal_that_has_ended_is_taken_over,
                visits::an_account_that_somebody_renews_is_not_claimed,
                leases::a_lease_of_a_clock_that_was_set_back_is_taken_over,
                sweep::what_lies_sent_or_unsent_ends_after_an_hour,
            }
            lost_pending_links: LostPendingLinks breaks {
                pending_links::every_field_of_a_pending_link_survives,
                attempts::creating_an_attempt_spends_its_state,
            }
            new_tickets: NewTickets breaks {
                hosted_codes::a_code_is_kept_under_one_ticket,
                hosted_codes::of_many_visits_with_one_code_all_get_one_ticket,
            }
            open_tickets: OpenTickets breaks {
                hosted_codes::a_code_is_kept_for_one_state,
                hosted_codes::an_unknown_ticket_finds_nothing,
            }
            lost_accounts: LostAccounts breaks {
                accounts::every_field_of_an_account_survives,
                completion::a_first_link_stores_account_token_and_outcome,
                completion::a_link_again_replaces_account_and_token,
                completion::a_displaced_account_makes_room,
                imports::an_import_stores_account_and_token,
            }
            lost_tokens: LostTokens breaks {
                accounts::an_update_stores_everything,
                visits::a_result_ends_its_visit,
                completion::a_link_again_replaces_account_and_token,
            }
            undead_accounts: Undead breaks {
                accounts::a_removed_account_is_gone_with_its_token,
            }
            lost_sent_marks: LostSentMarks breaks {
                attempts::every_field_of_an_attempt_survives_in_every_phase,
                leases::a_lease_that_has_ended_is_taken_over,
            }
            half_links: HalfLinks breaks {
                completion::a_changed_account_leaves_everything_as_it_was,
                completion::a_taken_professional_id_leaves_everything_as_it_was,
            }
            no_sweep: NoSweep breaks {
                sweep::a_stale_short_lived_token_ends_its_attempt,
                sweep::what_served_is_forgotten_after_its_time,
                hosted_codes::a_code_that_has_served_is_erased_and_later_forgotten,
                sweep::ended_leases_on_accounts_that_are_gone_are_forgotten,
                sweep::an_expired_account_is_marked_once,
            }
            boundless_sweep: BoundlessSweep breaks {
                sweep::at_most_the_limit_is_touched,
                hosted_codes::at_most_the_limit_is_erased_and_forgotten,
                sweep::at_most_the_limit_is_marked,
            }
            one_app: OneApp breaks {
                isolation::accounts_of_another_app_are_invisible,
                isolation::one_instagram_account_may_be_linked_under_two_apps,
                isolation::links_of_another_app_are_invisible,
                isolation::codes_of_another_app_are_invisible,
                isolation::leases_of_another_app_are_others,
                isolation::the_audit_of_another_app_is_invisible,
                isolation::check_values_of_another_app_are_others,
                visits::due_accounts_of_another_app_are_left_alone,
                visits::the_breaker_opens_and_closes_once,
                events::events_of_another_app_are_in_another_log,
                consumers::the_same_name_of_another_caller_is_another_consumer,
                removals::a_removal_from_another_app_leaves_the_person_alone,
                deletions::a_deletion_from_another_app_leaves_the_person_alone,
                webhooks::updates_of_another_app_are_others,
            }
            blind_closes: BlindCloses breaks {
                visits::a_close_leaves_a_later_opening_alone,
            }
            eager_releases: EagerReleases breaks {
                visits::a_new_token_that_is_not_stored_keeps_its_lease,
            }
            disorderly_claims: DisorderlyClaims breaks {
                visits::the_most_urgent_are_claimed_first,
                unknown_times::a_token_of_unknown_end_is_due_and_never_expires,
                visits::witnesses_are_those_whose_profile_was_read_last,
            }
            lost_visits: LostVisits breaks {
                visits::a_result_ends_its_visit,
                visits::a_subscription_is_stored_as_it_was_found,
                visits::a_visit_that_is_put_off_comes_later,
            }
            linked_visits: LinkedVisits breaks {
                visits::results_that_cannot_be_stored_keep_no_others_back,
            }
            blind_surveys: BlindSurveys breaks {
                surveys::accounts_are_counted_by_status_visit_and_trouble,
                surveys::one_replica_takes_the_turn_in_an_interval,
                surveys::every_number_of_the_last_survey_survives,
            }
            sloppy_surveys: SloppySurveys breaks {
                surveys::an_empty_store_has_nothing_to_count,
                surveys::an_expired_account_is_not_active_though_nobody_has_marked_it,
                surveys::the_worst_are_those_in_trouble_or_overdue_soonest_expiry_first,
                unknown_times::a_token_of_unknown_end_is_active_and_never_the_first_to_expire,
                surveys::a_turn_of_a_clock_that_was_set_back_counts_as_none,
                surveys::accounts_of_another_app_are_counted_apart,
            }
            lost_events: LostEvents breaks {
                events::each_change_of_an_account_is_told,
                events::what_the_keeper_changes_is_told,
                events::numbers_have_no_gap_and_pages_join,
            }
            sloppy_events: SloppyEvents breaks {
                events::a_displaced_account_is_told_before_the_one_that_takes_its_place,
                events::nothing_else_is_told,
                events::a_link_that_is_not_stored_is_not_told,
            }
            loose_cursors: LooseCursors breaks {
                events::the_log_holds_no_other_position_than_its_own,
                events::old_events_go_in_steps,
                events::a_moment_leads_to_a_position,
                events::a_new_log_holds_nothing_of_the_former,
            }
            no_purge: NoPurge breaks {
                audit::old_entries_go_in_steps,
                events::old_events_go_in_steps,
                consumers::a_consumer_that_nobody_opens_is_forgotten,
            }
            hasty_purge: HastyPurge breaks {
                audit::old_entries_go_in_steps,
                events::old_events_go_in_steps,
            }
            no_restoration: NoRestoration breaks {
                events::a_new_log_holds_nothing_of_the_former,
                events::every_account_is_due_after_a_restoration,
            }
            shared_consumers: SharedConsumers breaks {
                consumers::one_at_a_time_holds_a_consumer,
                consumers::a_consumer_that_is_kept_is_held_for_a_lease_more,
                consumers::of_many_that_take_a_consumer_one_holds_it,
                consumers::a_caller_has_no_more_than_its_consumers,
            }
            lost_commits: LostCommits breaks {
                consumers::a_cursor_moves_to_where_its_taker_says,
                consumers::a_commit_moves_the_cursor_forwards_only,
                consumers::a_consumer_that_nobody_opens_has_less_and_less_left,
                consumers::consumers_are_listed_with_their_lag,
            }
            eager_cursors: EagerCursors breaks {
                consumers::a_commit_moves_the_cursor_forwards_only,
                consumers::a_cursor_moves_by_itself_where_all_that_was_sent_is_committed,
            }
            lost_erasures: LostErasures breaks {
                deletions::what_a_deleted_account_has_left_is_erased,
                deletions::what_an_unlinked_account_has_left_is_erased_too,
                deletions::updates_of_a_deleted_account_are_erased_for_good,
                deletions::a_deletion_erases_the_codes_of_the_persons_consents,
                deletions::a_second_deletion_runs_as_long_as_the_first,
                deletions::what_is_older_than_a_newer_consent_is_erased_alone,
                deletions::one_deletion_does_not_wait_for_another,
                deletions::the_link_of_a_deleted_account_is_erased,
            }
            lost_removals: LostRemovals breaks {
                deletions::a_deletion_forgets_the_accounts_of_the_person,
                deletions::a_deletion_erases_links_under_way,
                deletions::a_deletion_erases_links_under_way_by_the_other_id,
                deletions::a_deleted_person_is_not_linked_by_an_older_consent,
                removals::a_deauthorization_destroys_the_tokens_of_the_person,
                removals::a_deauthorization_is_told_once,
                removals::a_person_is_known_by_an_alias,
                removals::a_link_of_an_older_consent_is_not_stored,
                removals::a_deauthorization_is_forgotten_after_its_time,
            }
            ageless_removals: AgelessRemovals breaks {
                deletions::a_deletion_that_is_older_than_the_consent_changes_nothing,
                deletions::what_is_unlinked_after_a_newer_consent_is_kept,
                removals::a_deauthorization_that_is_older_than_the_consent_changes_nothing,
                removals::a_link_of_a_newer_consent_is_stored,
            }
            stale_removals: StaleRemovals breaks {
                removals::a_removal_in_the_second_of_the_consent_holds,
            }
            deaf_links: DeafLinks breaks {
                removals::a_removal_in_the_second_of_the_consent_holds,
                removals::a_link_of_an_older_consent_is_not_stored,
                removals::a_link_is_judged_by_the_moment_at_which_its_code_came,
                imports::whoever_removed_the_app_since_is_not_imported,
                removals::a_deauthorization_is_forgotten_after_its_time,
            }
            lost_updates: LostUpdates breaks {
                webhooks::every_part_of_an_update_survives,
                webhooks::an_update_comes_behind_what_was_told_of_its_account,
                webhooks::a_batch_of_a_thousand_keeps_its_order,
                webhooks::a_purged_update_is_gone,
                webhooks::only_updates_have_payloads,
            }
            repeated_updates: RepeatedUpdates breaks {
                webhooks::an_update_is_stored_once,
                webhooks::of_many_same_batches_at_once_one_is_stored,
            }
            stray_updates: StrayUpdates breaks {
                webhooks::updates_belong_to_the_account_that_they_name,
                webhooks::a_batch_of_a_thousand_keeps_its_order,
            }
            gappy_batches: GappyBatches breaks {
                accounts::many_keys_find_what_each_would_find_by_itself,
                accounts::many_ids_find_the_account_of_each,
            }
            lost_entries: LostEntries breaks {
                audit::every_field_of_an_entry_survives,
                audit::an_entry_outlives_its_account,
                audit::an_entry_is_recorded_once,
            }
            stale_entries: StaleEntries breaks {
                audit::an_entry_of_a_changed_account_is_not_recorded,
            }
            loose_key_checks: LooseKeyChecks breaks {
                key_checks::a_check_value_is_kept_once,
                key_checks::of_many_check_values_one_wins,
            }
            loose_audits: LooseAudits breaks {
                audit::the_newest_entry_comes_first_and_pages_join,
                audit::entries_are_found_by_account_caller_owner_and_time,
            }
            loose_listings: LooseListings breaks {
                listing::pages_join_without_gap_or_repetition,
                listing::an_owner_sees_only_its_own,
                listing::a_scope_shows_all_its_owners_and_no_other,
                listing::pages_cross_owners_and_prefixes,
                listing::the_status_filter_goes_by_the_stored_mark,
            }
        );
    };
    (@faults $fresh:ident, $($name:ident: $fault:ident breaks { $($group:ident::$promise:ident,)* })*) => {
        mod faults_seen {
            use $crate::contract::faulty::{Fault, Faulty, breaks};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $(
                    let promise = async |store: std::sync::Arc<Faulty<_>>| {
                        $crate::contract::$group::$promise(&*store).await;
                    };
                    let ill = Faulty::new(super::$fresh().await, Fault::$fault);
                    assert!(breaks(ill, promise).await, "{} is blind", stringify!($promise));
                )*
            })*
        }
    };
}
