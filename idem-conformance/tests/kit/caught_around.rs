//! Which case catches which flaw, second part: flaws of everything around the decision.

use crate::flaw::Flaw;

/// Cases that must fail on a store with the flaw.
pub(crate) const AROUND: &[(Flaw, &[&str])] = &[
    (
        Flaw::OneRecordForAll,
        &[
            "lock::keys_do_not_affect_one_another",
            "scope::one_client_key_in_two_scopes_is_two_keys",
            "scope::shared_scope_is_a_scope_of_its_own",
            "scope::scope_and_client_key_are_not_concatenated",
            "scope::longest_and_unusual_keys_are_distinct",
            "race::concurrent_keys_do_not_mix",
        ],
    ),
    (
        Flaw::ReadsThenWrites,
        &[
            "race::one_of_128_lockers_acquires",
            "race::one_of_128_takes_over",
            "race::sweep_does_not_remove_a_key_that_is_used_again",
            "race::one_outcome_of_racing_completions_is_kept",
            "race::late_completion_or_takeover_wins",
            "race::late_renewal_or_takeover_wins",
            "race::highest_of_racing_checkpoints_is_kept",
            "race::one_of_racing_releases_applies",
            "race::one_of_racing_removals_removes",
            "race::there_is_never_a_second_holder",
            "execute::hundred_callers_run_it_once",
        ],
    ),
    (
        Flaw::DoesHalf,
        &[
            "cancel::lock",
            "cancel::takeover",
            "cancel::renew",
            "cancel::checkpoint",
            "cancel::complete",
            "cancel::release",
            "cancel::remove",
            "cancel::reads",
        ],
    ),
    (
        Flaw::SettledAtOnce,
        &["wait::live_lease_is_not_settled_in_time", "wait::waiters_do_not_block_others_and_are_all_woken"],
    ),
    (
        Flaw::NeverSettled,
        &["wait::key_that_nobody_holds_is_settled", "shared::completion_in_one_wakes_waiters_of_the_other"],
    ),
    (
        Flaw::GivesUpWaiting,
        &[
            "wait::completion_wakes",
            "wait::release_wakes",
            "wait::release_with_a_checkpoint_wakes",
            "wait::removal_wakes",
            "wait::end_of_the_lease_wakes",
            "wait::renewal_keeps_waiting",
        ],
    ),
    (Flaw::WaitsWithALock, &["wait::waiters_do_not_block_others_and_are_all_woken"]),
    (Flaw::OverflowsWhenItWaits, &["wait::longest_timeout_is_accepted"]),
    (Flaw::PollsOnly, &["wait::completion_wakes_sooner_than_polling_would"]),
    (
        Flaw::CountsFromTheAnswer,
        &[
            "lease::validity_counts_from_before_lock_was_sent",
            "lease::validity_counts_from_before_renew_was_sent",
        ],
    ),
    (Flaw::TellsNoRenewal, &["lease::checkpoint_extends_the_lease", "heartbeat::lease_of_long_work_is_kept"]),
    (
        Flaw::TellsEveryRenewal,
        &[
            "checkpoint::equal_step_writes_nothing",
            "checkpoint::lower_step_writes_nothing",
            "lease::refused_renewal_does_not_extend_the_lease",
        ],
    ),
    (
        Flaw::TellsNoCompletion,
        &[
            "lease::completion_is_known_to_all_clones",
            "lease::resent_completion_is_known_too",
            "lease::completion_is_known_from_a_refusal",
            "work::completion_by_the_work_is_the_answer",
            "work::completion_by_the_work_outweighs_its_failure",
        ],
    ),
    (Flaw::TellsEveryCompletion, &["lease::refused_completion_completes_no_lease"]),
    (
        Flaw::TellsNoLoss,
        &["lease::loss_is_known_to_all_clones", "heartbeat::loss_of_the_lease_is_visible_to_the_work"],
    ),
    (Flaw::TellsCompletionAsLoss, &["lease::completion_is_known_from_a_refusal"]),
    (Flaw::FollowsTheWallClock, &["lease::step_of_the_wall_clock_changes_nothing"]),
    (Flaw::RestartsSequences, &["lease::sequence_rises_across_removal"]),
    (Flaw::ChecksNothing, &["input::refused_lock_does_not_affect_the_holder"]),
    (
        Flaw::ChecksAfterwards,
        &[
            "input::lock_refuses_a_lease_outside_its_limits",
            "input::lock_refuses_a_retention_outside_its_limits",
            "input::lock_refuses_a_retention_shorter_than_the_lease",
            "input::checkpoint_refuses_a_lease_outside_its_limits",
            "input::complete_refuses_a_retention_outside_its_limits",
            "input::outcome_above_the_limit_is_too_large",
            "execute::policy_outside_its_limits_runs_nothing",
            "work::result_that_is_too_large_is_unavailable_to_retries",
        ],
    ),
    (Flaw::RefusesLongTimes, &["input::lock_accepts_the_longest_allowed_times"]),
    (
        Flaw::RefusesHoldersWhenFull,
        &["full::holder_is_served_by_a_full_store", "full::known_key_is_taken_over_in_a_full_store"],
    ),
    (Flaw::ScansNever, &["scan::store_without_it_says_so"]),
    (Flaw::ScansGhosts, &["scan::empty_store_lists_nothing"]),
    (
        Flaw::ScansNothing,
        &["scan::every_record_is_told_as_get_has_it", "scan::damaged_record_does_not_end_it"],
    ),
    (Flaw::ScansWithoutLocks, &["scan::pages_of_any_size_list_every_record"]),
    (
        Flaw::ScansWithoutLastOfPage,
        &["scan::pages_of_any_size_list_every_record", "scan::scope_is_listed_without_others"],
    ),
    (Flaw::ScansAllScopes, &["scan::scope_is_listed_without_others"]),
    (Flaw::ScansAllStates, &["scan::states_are_listed_by_themselves"]),
    (Flaw::ScansExpired, &["scan::expired_records_are_listed_only_where_wanted"]),
    (Flaw::ScansToFirstDamage, &["scan::damaged_record_does_not_end_it"]),
    (Flaw::ScansByNumber, &["scan::records_that_change_between_pages_are_not_missed"]),
    (
        Flaw::MisstatesStates,
        &["scan::every_record_is_told_as_get_has_it", "scan::statistics_count_what_is_there"],
    ),
    (Flaw::MisstatesSizes, &["scan::size_counts_the_outcome"]),
    (Flaw::SpendsItsCursors, &["cursor::same_one_goes_on_from_the_same_place"]),
    (Flaw::TakesAnyLimit, &["scan::limit_outside_its_bounds_is_refused"]),
    (Flaw::TakesAnyCursor, &["cursor::foreign_and_altered_ones_are_refused_or_go_on"]),
    (Flaw::ErasesAllScopes, &["erase::records_of_the_scope_go_and_others_stay"]),
    (Flaw::ErasesByForceAlways, &["erase::live_leases_stay_without_force"]),
    (Flaw::ErasesNeverByForce, &["erase::force_takes_live_leases_too"]),
    (Flaw::ErasesFirstStepOnly, &["erase::many_records_go_in_steps"]),
    (Flaw::ErasesCompletedOnly, &["erase::lapsed_and_released_records_go"]),
    (Flaw::StopsAtDamage, &["erase::damaged_record_is_counted_and_goes_by_force"]),
    (
        Flaw::ClosesOnce,
        &["close::closing_again_is_closing_once", "close::closing_by_two_at_once_is_closing_once"],
    ),
    (
        Flaw::FailsWhenClosed,
        &["close::later_calls_are_closed_or_answered_as_before", "close::waiting_caller_is_answered"],
    ),
    (
        Flaw::StartsAfreshWhenCorrupt,
        &[
            "corrupt::completed_record_is_an_error_to_every_reader",
            "corrupt::locked_record_is_an_error_to_every_reader",
            "corrupt::altered_record_is_an_error_to_its_holder",
        ],
    ),
    (Flaw::CorruptsNeighbours, &["corrupt::other_keys_are_unaffected"]),
    (Flaw::ReopensEmpty, &["durable::expired_records_are_swept_after_reopening"]),
    (
        Flaw::ReopensWithoutLocks,
        &["durable::lease_outlives_reopening", "durable::expired_records_are_swept_after_reopening"],
    ),
    (
        Flaw::ReopensWithFirstWrites,
        &[
            "durable::completion_outlives_reopening",
            "durable::checkpoint_outlives_reopening",
            "durable::release_and_removal_outlive_reopening",
            "durable::renewal_outlives_reopening",
            "durable::takeover_outlives_reopening",
            "durable::time_continues_across_reopening",
        ],
    ),
    (
        Flaw::ReopensWithoutHighWater,
        &[
            "durable::sequence_rises_across_reopening",
            "durable::clock_set_back_while_closed_does_not_stop_time",
            "durable::suspend_before_reopening_ends_nothing",
            "durable::clock_set_back_while_closed_does_not_repeat_sequences",
        ],
    ),
    (
        Flaw::OpensAnotherEmpty,
        &[
            "cursor::goes_on_in_another_store",
            "shared::lease_is_seen_by_both",
            "shared::completion_is_replayed_by_both",
            "shared::takeover_in_one_fences_the_other",
            "shared::one_of_racing_lockers_acquires_over_both",
        ],
    ),
];
