//! Contract of the store ports: the promises of every store, written once for all of them.
//!
//! A store's own tests implement [`StoreUnderTest`] and hand a way to make an empty one to
//! [`store_contract!`](crate::store_contract), which makes one test of each promise.
#![expect(clippy::missing_panics_doc, reason = "every promise panics when it is broken")]
#![expect(clippy::unwrap_used, reason = "a promise that meets an error is broken")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountReader, AccountWriter, AppBreaker, AuditLog, AuditPage, Consumers, DueAccounts,
    EventLog, EventSurvey, HostedCodes, KeyChecks, LinkAttempts, PendingLinks, RenewalLeases,
    Restoration, StoreError, StoreProbe, Surveys, UserDeletions, UserRemovals, Webhooks,
};
use ig_domain::{AppId, AuditEntry};

use crate::builders::parsed;

pub mod accounts;
pub mod attempts;
pub mod audit;
pub mod completion;
pub mod consumers;
pub mod deletions;
pub mod events;
pub mod faulty;
pub mod hosted_codes;
pub mod imports;
pub mod isolation;
pub mod key_checks;
pub mod leases;
pub mod listing;
pub mod pending_links;
pub mod removals;
mod samples;
pub mod surveys;
pub mod sweep;
pub mod unknown_times;
pub mod visits;
pub mod webhooks;

/// The store ports of one app.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its name")]
pub struct Ports {
    pub accounts: Arc<dyn AccountReader>,
    pub account_writer: Arc<dyn AccountWriter>,
    pub pending_links: Arc<dyn PendingLinks>,
    pub link_attempts: Arc<dyn LinkAttempts>,
    pub hosted_codes: Arc<dyn HostedCodes>,
    pub renewal_leases: Arc<dyn RenewalLeases>,
    pub due_accounts: Arc<dyn DueAccounts>,
    pub breaker: Arc<dyn AppBreaker>,
    pub surveys: Arc<dyn Surveys>,
    pub event_log: Arc<dyn EventLog>,
    pub event_survey: Arc<dyn EventSurvey>,
    pub consumers: Arc<dyn Consumers>,
    pub restoration: Arc<dyn Restoration>,
    pub user_removals: Arc<dyn UserRemovals>,
    pub user_deletions: Arc<dyn UserDeletions>,
    pub webhooks: Arc<dyn Webhooks>,
    pub audit: Arc<dyn AuditLog>,
    pub audit_reader: Arc<dyn AuditReader>,
    pub key_checks: Arc<dyn KeyChecks>,
    pub probe: Arc<dyn StoreProbe>,
}

/// Reads the audit. No use case does; a store has its own way to show it.
#[async_trait]
pub trait AuditReader: Send + Sync {
    /// One page of the app's entries. An entry that cannot be read is left out.
    async fn entries(&self, page: &AuditPage) -> Result<Vec<AuditEntry>, StoreError>;
}

/// A store that begins empty, with the powers that only a test has.
#[async_trait]
pub trait StoreUnderTest: Send + Sync {
    /// The store as `app` sees it.
    fn of_app(&self, app: AppId) -> Ports;

    /// Lets every lease that is held now end, as if its lifetime had passed by the store's clock.
    async fn end_leases(&self);

    /// Sets the store's clock back by a day, as far as leases that are held now can tell.
    async fn set_clock_back(&self);

    /// Lets all events, and the last openings of consumers, be older by `span`. Leases may end by it.
    async fn age_events(&self, span: Duration);

    /// The store, seen by the app that most promises are about.
    fn ports(&self) -> Ports {
        self.of_app(parsed("990602627938098"))
    }
}

/// One `tokio::test` for each promise of a store. `$fresh` is an async function that makes an empty
/// [`StoreUnderTest`].
#[macro_export]
macro_rules! store_contract {
    ($fresh:ident) => {
        $crate::store_contract!(@promises $fresh,
            accounts::{
                every_field_of_an_account_survives,
                absent_fields_stay_absent,
                every_kind_and_reason_survives,
                an_account_is_found_by_each_of_its_ids,
                an_unknown_key_finds_nothing,
                a_professional_id_outranks_an_app_scoped_one_and_that_an_alias,
                of_two_accounts_with_one_username_the_newer_reading_is_found,
                many_keys_find_what_each_would_find_by_itself,
                many_ids_find_the_account_of_each,
                an_update_stores_everything,
                an_update_without_a_token_keeps_the_stored_one,
                a_newer_reading_alone_is_stored_under_the_same_revision,
                a_stale_update_changes_nothing,
                a_late_update_takes_back_neither_a_newer_reading_nor_a_retry,
                an_account_that_is_gone_cannot_be_updated_or_removed,
                a_removed_account_is_gone_with_its_token,
                a_stale_removal_removes_nothing,
                of_many_updates_of_one_revision_one_is_stored,
            }
            listing::{
                the_newest_come_first_and_ties_go_by_id,
                pages_join_without_gap_or_repetition,
                a_page_goes_on_where_it_was_though_others_come_and_go,
                an_owner_sees_only_its_own,
                a_scope_shows_all_its_owners_and_no_other,
                pages_cross_owners_and_prefixes,
                a_page_goes_on_behind_an_owner_who_is_gone,
                the_status_filter_goes_by_the_stored_mark,
            }
            pending_links::{
                every_field_of_a_pending_link_survives,
                a_state_is_kept_once,
                an_unknown_state_finds_nothing,
            }
            attempts::{
                every_field_of_an_attempt_survives_in_every_phase,
                every_outcome_survives,
                creating_an_attempt_spends_its_state,
                a_spent_state_creates_no_second_attempt,
                an_attempt_that_exists_spends_no_second_state,
                an_unknown_state_creates_nothing,
                of_many_codes_for_one_state_one_creates_an_attempt,
                an_unsent_attempt_that_nobody_holds_makes_room,
                no_other_attempt_makes_room,
            }
            leases::{
                a_held_attempt_is_not_claimed_by_another,
                a_holder_claims_nothing_that_it_holds,
                a_released_attempt_is_claimed_at_once,
                a_lease_that_has_ended_is_taken_over,
                a_claim_lasts_anew,
                a_late_holder_whom_nobody_replaced_goes_on,
                a_replaced_holder_changes_nothing,
                a_replaced_holder_changes_nothing_after_its_successor_either,
                an_ended_attempt_is_neither_claimed_nor_moved,
                an_unknown_attempt_is_neither_claimed_nor_moved,
                of_many_claims_one_wins,
                one_at_a_time_renews_an_account,
                a_renewal_that_has_ended_is_taken_over,
                an_extension_lasts_anew,
                a_replaced_renewal_is_extended_by_nobody_but_its_successor,
                a_renewal_that_a_successor_gave_back_is_claimed_anew,
                only_the_holder_of_a_renewal_marks_its_account,
                only_the_holder_gives_a_renewal_back,
                of_many_renewals_one_wins,
                a_lease_of_a_clock_that_was_set_back_is_taken_over,
            }
            hosted_codes::{
                a_code_is_kept_under_one_ticket,
                a_code_is_kept_for_one_state,
                each_code_has_a_ticket_of_its_own,
                an_unknown_ticket_finds_nothing,
                a_state_has_a_bounded_number_of_codes,
                of_many_visits_with_one_code_all_get_one_ticket,
                a_code_that_has_served_is_erased_and_later_forgotten,
                at_most_the_limit_is_erased_and_forgotten,
            }
            completion::{
                a_first_link_stores_account_token_and_outcome,
                a_link_again_replaces_account_and_token,
                a_link_again_may_keep_a_newer_token,
                a_displaced_account_makes_room,
                a_changed_account_leaves_everything_as_it_was,
                a_changed_displaced_account_leaves_everything_as_it_was,
                a_taken_professional_id_leaves_everything_as_it_was,
                a_lost_lease_leaves_everything_as_it_was,
            }
            imports::{
                an_import_stores_account_and_token,
                an_import_takes_the_place_of_a_token,
                an_import_displaces_a_dead_account,
                of_many_imports_of_one_account_one_is_stored,
                whoever_removed_the_app_since_is_not_imported,
            }
            audit::{
                every_field_of_an_entry_survives,
                the_newest_entry_comes_first_and_pages_join,
                entries_are_found_by_account_caller_owner_and_time,
                an_entry_outlives_its_account,
                an_entry_is_recorded_once,
                an_entry_of_a_changed_account_is_not_recorded,
                the_most_entries_are_recorded_together,
                old_entries_go_in_steps,
            }
            key_checks::{
                a_check_value_is_kept_once,
                of_many_check_values_one_wins,
            }
            sweep::{
                a_stale_short_lived_token_ends_its_attempt,
                what_lies_sent_or_unsent_ends_after_an_hour,
                what_somebody_holds_is_left_alone,
                what_served_is_forgotten_after_its_time,
                ended_leases_on_accounts_that_are_gone_are_forgotten,
                at_most_the_limit_is_touched,
                an_expired_account_is_marked_once,
                at_most_the_limit_is_marked,
            }
            visits::{
                a_due_account_is_claimed_once,
                an_account_that_somebody_renews_is_not_claimed,
                the_most_urgent_are_claimed_first,
                of_many_claims_of_one_account_one_wins,
                a_result_ends_its_visit,
                results_that_cannot_be_stored_keep_no_others_back,
                of_two_results_of_one_account_one_is_stored,
                a_replaced_visitor_stores_nothing_but_a_new_token,
                a_new_token_that_is_not_stored_keeps_its_lease,
                a_visit_without_a_change_only_ends_its_lease,
                a_visit_that_is_put_off_comes_later,
                every_write_keeps_the_schedule,
                a_new_reason_of_a_dead_account_is_no_change,
                a_subscription_is_stored_as_it_was_found,
                an_account_that_is_marked_as_expired_is_visited_no_more,
                nothing_is_missed_where_every_write_keeps_the_schedule,
                witnesses_are_those_whose_profile_was_read_last,
                the_breaker_opens_and_closes_once,
                a_close_leaves_a_later_opening_alone,
                an_open_breaker_is_probed_once_in_an_interval,
                due_accounts_of_another_app_are_left_alone,
            }
            surveys::{
                an_empty_store_has_nothing_to_count,
                accounts_are_counted_by_status_visit_and_trouble,
                an_expired_account_is_not_active_though_nobody_has_marked_it,
                the_worst_are_those_in_trouble_or_overdue_soonest_expiry_first,
                one_replica_takes_the_turn_in_an_interval,
                a_turn_of_a_clock_that_was_set_back_counts_as_none,
                every_number_of_the_last_survey_survives,
                accounts_of_another_app_are_counted_apart,
            }
            unknown_times::{
                a_token_of_unknown_end_is_due_and_never_expires,
                a_token_of_unknown_end_is_active_and_never_the_first_to_expire,
            }
            events::{
                each_change_of_an_account_is_told,
                what_the_keeper_changes_is_told,
                a_displaced_account_is_told_before_the_one_that_takes_its_place,
                nothing_else_is_told,
                a_link_that_is_not_stored_is_not_told,
                numbers_have_no_gap_and_pages_join,
                an_event_wakes_whoever_waits_for_it,
                the_log_holds_no_other_position_than_its_own,
                old_events_go_in_steps,
                an_event_without_a_number_is_not_purged,
                a_moment_leads_to_a_position,
                the_log_is_counted,
                a_new_log_holds_nothing_of_the_former,
                every_account_is_due_after_a_restoration,
                events_of_another_app_are_in_another_log,
            }
            consumers::{
                a_consumer_without_a_cursor_is_not_taken,
                one_at_a_time_holds_a_consumer,
                a_consumer_that_is_kept_is_held_for_a_lease_more,
                of_many_that_take_a_consumer_one_holds_it,
                a_cursor_moves_to_where_its_taker_says,
                a_commit_moves_the_cursor_forwards_only,
                a_cursor_moves_by_itself_where_all_that_was_sent_is_committed,
                the_same_name_of_another_caller_is_another_consumer,
                a_caller_has_no_more_than_its_consumers,
                a_consumer_that_nobody_opens_is_forgotten,
                a_consumer_that_nobody_opens_has_less_and_less_left,
                consumers_are_listed_with_their_lag,
            }
            deletions::{
                a_deletion_forgets_the_accounts_of_the_person,
                the_same_deletion_has_one_code,
                a_second_deletion_runs_as_long_as_the_first,
                what_is_older_than_a_newer_consent_is_erased_alone,
                what_is_unlinked_after_a_newer_consent_is_kept,
                a_deletion_that_is_older_than_the_consent_changes_nothing,
                an_unknown_person_has_nothing_to_delete,
                what_a_deleted_account_has_left_is_erased,
                what_an_unlinked_account_has_left_is_erased_too,
                one_deletion_does_not_wait_for_another,
                updates_of_a_deleted_account_are_erased_for_good,
                a_deletion_erases_the_codes_of_the_persons_consents,
                a_deletion_erases_links_under_way,
                a_deletion_erases_links_under_way_by_the_other_id,
                the_link_of_a_deleted_account_is_erased,
                a_deleted_person_is_not_linked_by_an_older_consent,
                a_deletion_from_another_app_leaves_the_person_alone,
            }
            removals::{
                a_deauthorization_destroys_the_tokens_of_the_person,
                a_deauthorization_is_told_once,
                a_person_is_known_by_an_alias,
                a_deauthorization_that_is_older_than_the_consent_changes_nothing,
                a_removal_in_the_second_of_the_consent_holds,
                an_unknown_person_has_nothing_to_remove,
                a_link_of_an_older_consent_is_not_stored,
                a_link_is_judged_by_the_moment_at_which_its_code_came,
                a_link_of_a_newer_consent_is_stored,
                a_deauthorization_is_forgotten_after_its_time,
                a_removal_from_another_app_leaves_the_person_alone,
            }
            webhooks::{
                every_part_of_an_update_survives,
                an_update_is_stored_once,
                an_account_that_is_linked_anew_is_told_an_update_again,
                of_many_same_batches_at_once_one_is_stored,
                updates_belong_to_the_account_that_they_name,
                updates_of_nobody_are_only_counted,
                an_update_comes_behind_what_was_told_of_its_account,
                a_batch_of_a_thousand_keeps_its_order,
                a_purged_update_is_gone,
                only_updates_have_payloads,
                updates_of_another_app_are_others,
            }
            isolation::{
                accounts_of_another_app_are_invisible,
                one_instagram_account_may_be_linked_under_two_apps,
                links_of_another_app_are_invisible,
                codes_of_another_app_are_invisible,
                leases_of_another_app_are_others,
                the_audit_of_another_app_is_invisible,
                check_values_of_another_app_are_others,
                a_store_that_is_well_says_so,
            }
        );
    };
    (@promises $fresh:ident, $($group:ident::{ $($promise:ident),* $(,)? })*) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::$group::$promise(&super::$fresh().await).await;
            })*
        })*
    };
}
