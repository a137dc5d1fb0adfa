//! The list of all cases. Everything else is generated from this one list.

/// Calls `$emit!` with the list of all cases, behind `$context`. A case is written in `cases/<subject>.rs` and listed here,
/// with what it needs beyond the contract; a test of this crate fails when one of the two is missing.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ($emit:path { $($context:tt)* }) => {
        $emit! {
            { $($context)* }
            lock {
                fresh_key_is_acquired,
                locked_key_past_its_retention_is_fresh,
                completed_key_past_its_retention_is_fresh,
                record_outlasts_its_lease_by_the_retention,
                other_fingerprint_mismatches_while_the_lease_is_live,
                other_fingerprint_mismatches_when_the_lease_is_over,
                other_fingerprint_mismatches_for_the_holder_too,
                other_fingerprint_mismatches_after_a_release,
                other_fingerprint_mismatches_once_completed,
                same_owner_gets_the_same_lease_while_it_is_live,
                other_owner_gets_the_remaining_time_of_the_lease,
                lease_is_over_exactly_at_its_deadline needs ManualClock,
                record_is_forgotten_exactly_at_its_expiry needs ManualClock,
                same_owner_restarts_its_lease_when_it_is_over,
                other_owner_takes_over_when_the_lease_is_over,
                takeover_keeps_the_times_of_its_own_claim,
                takeover_gets_the_checkpoint,
                key_released_with_a_checkpoint_is_resumed_at_once,
                owner_that_released_with_a_checkpoint_begins_a_new_attempt,
                key_released_without_a_checkpoint_is_fresh,
                completed_key_replays,
                completed_key_replays_the_same_bytes_until_it_expires,
                keys_do_not_affect_one_another,
            }
            peek {
                peeked_completion_is_that_of_lock,
                other_fingerprint_peeks_nothing,
                unfinished_key_peeks_nothing,
                removed_or_expired_record_peeks_nothing,
            }
            complete {
                applies_while_the_lease_is_live,
                applies_when_the_lease_is_over_and_nobody_took_over,
                is_superseded_after_a_takeover,
                is_superseded_for_the_same_sequence_of_another_owner,
                is_superseded_for_another_sequence_of_the_same_owner,
                applies_again_after_its_own_completion,
                is_superseded_after_the_completion_of_another,
                is_lost_after_its_own_release,
                is_superseded_after_the_release_of_another,
                is_gone_after_a_removal,
                is_gone_past_the_retention,
                every_outcome_is_replayed_as_it_was_given,
                its_retention_counts_from_the_completion,
                record_lives_at_least_to_its_lease_deadline,
                record_names_the_attempt_that_completed_it,
            }
            renew {
                applies_while_the_lease_is_live,
                applies_when_the_lease_is_over_and_nobody_took_over,
                is_superseded_after_a_takeover,
                is_superseded_for_the_same_sequence_of_another_owner,
                is_superseded_for_another_sequence_of_the_same_owner,
                is_lost_after_its_own_completion,
                is_superseded_after_the_completion_of_another,
                is_lost_after_its_own_release,
                is_superseded_after_the_release_of_another,
                is_gone_after_a_removal,
                is_gone_past_the_retention,
                lease_counts_from_the_renewal,
                lease_is_never_shortened,
                lease_that_was_over_is_live_again,
                everything_but_the_lease_stays,
            }
            checkpoint {
                applies_while_the_lease_is_live,
                applies_when_the_lease_is_over_and_nobody_took_over,
                is_superseded_after_a_takeover,
                is_superseded_for_the_same_sequence_of_another_owner,
                is_superseded_for_another_sequence_of_the_same_owner,
                is_lost_after_its_own_completion,
                is_superseded_after_the_completion_of_another,
                is_lost_after_its_own_release,
                is_superseded_after_the_release_of_another,
                is_gone_after_a_removal,
                is_gone_past_the_retention,
                higher_step_replaces_the_one_before,
                equal_step_writes_nothing,
                lower_step_writes_nothing,
                step_of_an_earlier_attempt_counts,
                lease_counts_from_the_checkpoint,
                lease_is_never_shortened,
                empty_progress_is_a_checkpoint_too,
                largest_progress_reaches_the_next_attempt,
            }
            release {
                applies_while_the_lease_is_live,
                applies_when_the_lease_is_over_and_nobody_took_over,
                is_superseded_after_a_takeover,
                is_superseded_for_the_same_sequence_of_another_owner,
                is_superseded_for_another_sequence_of_the_same_owner,
                is_lost_after_its_own_completion,
                is_superseded_after_the_completion_of_another,
                is_lost_after_its_own_release,
                is_superseded_after_the_release_of_another,
                is_gone_after_a_removal,
                is_gone_past_the_retention,
                record_without_a_checkpoint_is_removed,
                record_with_a_checkpoint_is_kept_without_a_holder,
                record_with_a_checkpoint_is_kept_for_the_retention,
            }
            remove {
                live_lease_is_refused,
                live_lease_is_removed_by_force,
                lease_that_is_over_is_removed,
                released_record_is_removed,
                completed_record_is_removed,
                missing_record_is_not_removed,
                expired_record_is_not_removed,
                other_keys_stay,
            }
            expire {
                unexpired_records_stay,
                every_kind_of_expired_record_is_removed_once needs Sweep,
                budget_is_kept_and_the_rest_is_reported,
                budget_of_zero_removes_nothing,
                key_used_again_is_not_swept,
                renewed_lease_is_not_swept,
            }
            fingerprint {
                one_bit_of_difference_mismatches,
                stays_the_same_for_the_life_of_a_record,
                old_recipe_still_replays_after_a_mismatch,
                mismatch_does_not_affect_the_holder,
            }
            full {
                holder_is_served_by_a_full_store,
                known_key_is_taken_over_in_a_full_store,
            }
            scope {
                one_client_key_in_two_scopes_is_two_keys,
                shared_scope_is_a_scope_of_its_own,
                scope_and_client_key_are_not_concatenated,
                longest_and_unusual_keys_are_distinct,
                removal_in_one_scope_leaves_the_other,
            }
            resend {
                lock_is_the_same_lock,
                takeover_is_the_same_takeover,
                late_lock_never_supersedes_its_own_holder,
                lock_after_its_own_completion_finds_it,
                lock_after_its_own_release_leaves_a_lease_that_ends,
                renew_is_the_same_renewal,
                checkpoint_is_the_same_checkpoint,
                complete_is_the_same_completion,
                release_changes_nothing_more,
                release_with_a_checkpoint_changes_nothing_more,
            }
            race {
                one_of_128_lockers_acquires,
                one_of_128_takes_over,
                one_owner_from_many_connections_is_one_holder,
                one_outcome_of_racing_completions_is_kept,
                late_completion_or_takeover_wins,
                late_renewal_or_takeover_wins,
                highest_of_racing_checkpoints_is_kept,
                one_of_racing_releases_applies,
                one_of_racing_removals_removes,
                there_is_never_a_second_holder,
                sweep_does_not_remove_a_key_that_is_used_again,
                concurrent_keys_do_not_mix,
            }
            cancel {
                lock,
                takeover,
                renew,
                checkpoint,
                complete,
                release,
                remove,
                reads,
                many_dropped_locks_leave_a_usable_key,
            }
            wait {
                key_that_nobody_holds_is_settled,
                live_lease_is_not_settled_in_time,
                completion_wakes,
                release_wakes,
                release_with_a_checkpoint_wakes,
                removal_wakes,
                end_of_the_lease_wakes,
                renewal_keeps_waiting,
                longest_timeout_is_accepted,
                waiters_do_not_block_others_and_are_all_woken,
                completion_wakes_sooner_than_polling_would needs Notifies,
            }
            lease {
                has_the_values_of_its_claim,
                validity_counts_from_before_lock_was_sent,
                validity_counts_from_before_renew_was_sent,
                resent_lock_does_not_extend_the_lease,
                runs_out,
                renewal_extends_the_lease_for_all_clones,
                checkpoint_extends_the_lease,
                refused_renewal_does_not_extend_the_lease,
                completion_is_known_to_all_clones,
                resent_completion_is_known_too,
                refused_completion_completes_no_lease,
                loss_is_known_to_all_clones,
                completion_is_known_from_a_refusal,
                sequence_rises_from_attempt_to_attempt,
                sequence_rises_across_removal needs StrictSequence,
                step_of_the_wall_clock_changes_nothing needs ManualClock,
            }
            input {
                lock_refuses_a_lease_outside_its_limits,
                lock_refuses_a_retention_outside_its_limits,
                lock_refuses_a_retention_shorter_than_the_lease,
                lock_accepts_the_longest_allowed_times,
                refused_lock_does_not_affect_the_holder,
                renew_refuses_a_lease_outside_its_limits,
                checkpoint_refuses_a_lease_outside_its_limits,
                complete_refuses_a_retention_outside_its_limits,
                outcome_above_the_limit_is_too_large,
                checkpoint_above_the_limit_is_too_large,
            }
            close {
                closing_again_is_closing_once,
                closing_by_two_at_once_is_closing_once,
                later_calls_are_closed_or_answered_as_before,
                waiting_caller_is_answered,
            }
            scan {
                store_without_it_says_so,
                empty_store_lists_nothing needs Scan,
                every_record_is_told_as_get_has_it needs Scan,
                size_counts_the_outcome needs Scan,
                pages_of_any_size_list_every_record needs Scan,
                scope_is_listed_without_others needs Scan,
                states_are_listed_by_themselves needs Scan,
                expired_records_are_listed_only_where_wanted needs Scan needs Sweep,
                records_that_change_between_pages_are_not_missed needs Scan,
                limit_outside_its_bounds_is_refused needs Scan,
                damaged_record_does_not_end_it needs Scan needs Corrupt,
                statistics_count_what_is_there needs Scan,
            }
            cursor {
                same_one_goes_on_from_the_same_place needs Scan,
                foreign_and_altered_ones_are_refused_or_go_on needs Scan,
                goes_on_in_another_store needs Scan needs Shared,
            }
            erase {
                records_of_the_scope_go_and_others_stay needs Scan,
                lapsed_and_released_records_go needs Scan,
                live_leases_stay_without_force needs Scan,
                force_takes_live_leases_too needs Scan,
                many_records_go_in_steps needs Scan,
                damaged_record_is_counted_and_goes_by_force needs Scan needs Corrupt,
            }
            corrupt {
                completed_record_is_an_error_to_every_reader needs Corrupt,
                locked_record_is_an_error_to_every_reader needs Corrupt,
                altered_record_is_an_error_to_its_holder needs Corrupt,
                other_keys_are_unaffected needs Corrupt,
            }
            durable {
                completion_outlives_reopening needs Durable,
                lease_outlives_reopening needs Durable,
                checkpoint_outlives_reopening needs Durable,
                release_and_removal_outlive_reopening needs Durable,
                renewal_outlives_reopening needs Durable,
                takeover_outlives_reopening needs Durable,
                time_continues_across_reopening needs Durable,
                expired_records_are_swept_after_reopening needs Durable needs Sweep,
                sequence_rises_across_reopening needs Durable needs StrictSequence,
                clock_set_back_while_closed_does_not_stop_time needs Durable needs ManualClock,
                suspend_before_reopening_ends_nothing needs Durable needs ManualClock,
                clock_set_back_while_closed_does_not_repeat_sequences needs Durable needs ManualClock needs StrictSequence,
            }
            shared {
                lease_is_seen_by_both needs Shared,
                completion_is_replayed_by_both needs Shared,
                takeover_in_one_fences_the_other needs Shared,
                one_of_racing_lockers_acquires_over_both needs Shared,
                completion_in_one_wakes_waiters_of_the_other needs Shared,
            }
            execute {
                work_runs_once_and_is_replayed,
                other_request_is_a_mismatch,
                second_caller_is_in_progress,
                waiting_callers_replay,
                hundred_callers_run_it_once,
                waiting_caller_takes_over_from_a_crashed_holder,
                result_of_another_type_is_incompatible,
                policy_outside_its_limits_runs_nothing,
            }
            work {
                result_of_a_lost_lease_does_not_become_the_keys,
                result_that_is_too_large_is_unavailable_to_retries,
                outcome_that_was_not_kept_is_unavailable_to_retries,
                outcome_is_kept_for_as_long_as_the_work_says,
                failure_releases_the_key,
                failure_leaves_the_checkpoint,
                failure_keeps_the_key_where_the_policy_says_so,
                completion_by_the_work_is_the_answer,
                completion_by_the_work_outweighs_its_failure,
                result_is_kept_although_the_record_is_gone,
                result_whose_record_is_gone_does_not_overwrite_another,
                result_whose_record_is_gone_does_not_change_another_attempt,
                dropped_work_leaves_its_lease,
                panicking_work_leaves_its_lease,
            }
            heartbeat {
                lease_of_long_work_is_kept,
                lease_ends_at_the_ceiling_and_not_before,
                loss_of_the_lease_is_visible_to_the_work,
            }
            lost_answer {
                lock_whose_answer_was_lost_is_found_again,
                completion_whose_answer_was_lost_is_found_again,
                lock_of_unknown_effect_is_released,
                completion_of_unknown_effect_is_never_released,
            }
        }
    };
}
