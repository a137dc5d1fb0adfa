//! Which case catches which flaw, first part: flaws of decisions and writes. Every case is in one of the two parts.

use crate::flaw::Flaw;

/// Cases that must fail on a store with the flaw.
pub(crate) const DECIDED: &[(Flaw, &[&str])] = &[
    (
        Flaw::IgnoresFingerprints,
        &[
            "lock::other_fingerprint_mismatches_while_the_lease_is_live",
            "lock::other_fingerprint_mismatches_when_the_lease_is_over",
            "lock::other_fingerprint_mismatches_for_the_holder_too",
            "lock::other_fingerprint_mismatches_after_a_release",
            "lock::other_fingerprint_mismatches_once_completed",
            "fingerprint::one_bit_of_difference_mismatches",
            "fingerprint::old_recipe_still_replays_after_a_mismatch",
            "execute::other_request_is_a_mismatch",
        ],
    ),
    (Flaw::ForgetsFingerprints, &["fingerprint::stays_the_same_for_the_life_of_a_record"]),
    (Flaw::MismatchEndsLease, &["fingerprint::mismatch_does_not_affect_the_holder"]),
    (Flaw::GrantsSecondHolder, &["resend::lock_after_its_own_release_leaves_a_lease_that_ends"]),
    (
        Flaw::NeverTakesOver,
        &[
            "lock::other_owner_takes_over_when_the_lease_is_over",
            "cancel::many_dropped_locks_leave_a_usable_key",
            "work::failure_keeps_the_key_where_the_policy_says_so",
            "work::dropped_work_leaves_its_lease",
            "work::panicking_work_leaves_its_lease",
            "heartbeat::lease_ends_at_the_ceiling_and_not_before",
        ],
    ),
    (
        Flaw::RefusesItsHolder,
        &[
            "resend::late_lock_never_supersedes_its_own_holder",
            "lost_answer::lock_whose_answer_was_lost_is_found_again",
        ],
    ),
    (
        Flaw::GivesItsHolderNewToken,
        &[
            "lock::same_owner_gets_the_same_lease_while_it_is_live",
            "lock::same_owner_restarts_its_lease_when_it_is_over",
            "resend::lock_is_the_same_lock",
            "resend::takeover_is_the_same_takeover",
            "race::one_owner_from_many_connections_is_one_holder",
        ],
    ),
    (
        Flaw::HidesWhatIsLeft,
        &["lock::other_owner_gets_the_remaining_time_of_the_lease", "execute::second_caller_is_in_progress"],
    ),
    (Flaw::ProlongsWhenResent, &["lease::resent_lock_does_not_extend_the_lease"]),
    (Flaw::KeepsAttempt, &["heartbeat::lease_ends_at_the_ceiling_and_not_before"]),
    (
        Flaw::KeepsSequence,
        &[
            "lock::owner_that_released_with_a_checkpoint_begins_a_new_attempt",
            "lease::sequence_rises_from_attempt_to_attempt",
        ],
    ),
    (Flaw::KeepsTimes, &["lock::takeover_keeps_the_times_of_its_own_claim"]),
    (
        Flaw::DropsCheckpoints,
        &[
            "execute::waiting_caller_takes_over_from_a_crashed_holder",
            "lock::takeover_gets_the_checkpoint",
            "checkpoint::empty_progress_is_a_checkpoint_too",
            "checkpoint::largest_progress_reaches_the_next_attempt",
            "work::failure_leaves_the_checkpoint",
            "work::result_whose_record_is_gone_does_not_change_another_attempt",
        ],
    ),
    (Flaw::CountsAttemptsFromZero, &["lock::fresh_key_is_acquired"]),
    (
        Flaw::GrantsTooLong,
        &[
            "lease::runs_out",
            "input::renew_refuses_a_lease_outside_its_limits",
            "input::checkpoint_above_the_limit_is_too_large",
        ],
    ),
    (Flaw::MixesUpTimes, &["lease::has_the_values_of_its_claim"]),
    (Flaw::ForgetsWithTheLease, &["lock::record_outlasts_its_lease_by_the_retention"]),
    (
        Flaw::NeverForgets,
        &[
            "lock::locked_key_past_its_retention_is_fresh",
            "lock::completed_key_past_its_retention_is_fresh",
            "complete::is_gone_past_the_retention",
            "renew::is_gone_past_the_retention",
            "checkpoint::is_gone_past_the_retention",
            "release::is_gone_past_the_retention",
            "work::outcome_is_kept_for_as_long_as_the_work_says",
        ],
    ),
    (Flaw::EndsLate, &["lock::lease_is_over_exactly_at_its_deadline"]),
    (
        Flaw::RunsCompletedAgain,
        &[
            "lock::completed_key_replays",
            "lock::completed_key_replays_the_same_bytes_until_it_expires",
            "resend::lock_after_its_own_completion_finds_it",
            "execute::work_runs_once_and_is_replayed",
        ],
    ),
    (
        Flaw::GarblesOutcomes,
        &[
            "execute::waiting_callers_replay",
            "complete::every_outcome_is_replayed_as_it_was_given",
            "execute::result_of_another_type_is_incompatible",
            "work::outcome_that_was_not_kept_is_unavailable_to_retries",
            "lost_answer::completion_of_unknown_effect_is_never_released",
        ],
    ),
    (Flaw::PeeksAtSomethingElse, &["peek::peeked_completion_is_that_of_lock"]),
    (Flaw::PeeksWithoutFingerprints, &["peek::other_fingerprint_peeks_nothing"]),
    (Flaw::PeeksAtTheUnfinished, &["peek::unfinished_key_peeks_nothing"]),
    (Flaw::PeeksAtCopies, &["peek::removed_or_expired_record_peeks_nothing"]),
    (
        Flaw::AcceptsAnyToken,
        &[
            "complete::is_superseded_after_a_takeover",
            "complete::is_superseded_after_the_completion_of_another",
            "complete::is_superseded_after_the_release_of_another",
            "renew::is_superseded_after_a_takeover",
            "renew::is_superseded_after_the_completion_of_another",
            "renew::is_superseded_after_the_release_of_another",
            "checkpoint::is_superseded_after_a_takeover",
            "checkpoint::is_superseded_after_the_completion_of_another",
            "checkpoint::is_superseded_after_the_release_of_another",
            "release::is_superseded_after_a_takeover",
            "release::is_superseded_after_the_completion_of_another",
            "release::is_superseded_after_the_release_of_another",
            "resend::release_changes_nothing_more",
            "work::result_of_a_lost_lease_does_not_become_the_keys",
        ],
    ),
    (
        Flaw::ComparesSequenceOnly,
        &[
            "complete::is_superseded_for_the_same_sequence_of_another_owner",
            "renew::is_superseded_for_the_same_sequence_of_another_owner",
            "checkpoint::is_superseded_for_the_same_sequence_of_another_owner",
            "release::is_superseded_for_the_same_sequence_of_another_owner",
        ],
    ),
    (
        Flaw::ComparesOwnerOnly,
        &[
            "complete::is_superseded_for_another_sequence_of_the_same_owner",
            "renew::is_superseded_for_another_sequence_of_the_same_owner",
            "checkpoint::is_superseded_for_another_sequence_of_the_same_owner",
            "release::is_superseded_for_another_sequence_of_the_same_owner",
        ],
    ),
    (
        Flaw::RefusesLapsedHolder,
        &[
            "complete::applies_when_the_lease_is_over_and_nobody_took_over",
            "renew::lease_that_was_over_is_live_again",
            "checkpoint::applies_when_the_lease_is_over_and_nobody_took_over",
            "resend::release_with_a_checkpoint_changes_nothing_more",
        ],
    ),
    (
        Flaw::SaysGone,
        &[
            "complete::is_lost_after_its_own_release",
            "renew::is_lost_after_its_own_release",
            "checkpoint::is_lost_after_its_own_release",
            "release::is_lost_after_its_own_release",
        ],
    ),
    (
        Flaw::SaysSuperseded,
        &[
            "complete::is_gone_after_a_removal",
            "renew::is_lost_after_its_own_completion",
            "renew::is_gone_after_a_removal",
            "checkpoint::is_lost_after_its_own_completion",
            "checkpoint::is_gone_after_a_removal",
            "release::is_lost_after_its_own_completion",
            "release::is_gone_after_a_removal",
            "work::result_is_kept_although_the_record_is_gone",
        ],
    ),
    (
        Flaw::OverwritesCompletion,
        &["complete::applies_again_after_its_own_completion", "resend::complete_is_the_same_completion"],
    ),
    (Flaw::RefusesResentCompletion, &["lost_answer::completion_whose_answer_was_lost_is_found_again"]),
    (
        Flaw::CountsRetentionFromLock,
        &[
            "lock::record_is_forgotten_exactly_at_its_expiry",
            "complete::its_retention_counts_from_the_completion",
        ],
    ),
    (Flaw::ForgetsBeforeDeadline, &["complete::record_lives_at_least_to_its_lease_deadline"]),
    (
        Flaw::AppliesNothing,
        &["complete::applies_while_the_lease_is_live", "checkpoint::applies_while_the_lease_is_live"],
    ),
    (
        Flaw::Shortens,
        &[
            "renew::lease_is_never_shortened",
            "checkpoint::lease_is_never_shortened",
            "lease::renewal_extends_the_lease_for_all_clones",
        ],
    ),
    (
        Flaw::AddsToTheDeadline,
        &[
            "complete::record_names_the_attempt_that_completed_it",
            "renew::applies_while_the_lease_is_live",
            "renew::applies_when_the_lease_is_over_and_nobody_took_over",
            "renew::lease_counts_from_the_renewal",
            "checkpoint::lease_counts_from_the_checkpoint",
            "resend::renew_is_the_same_renewal",
        ],
    ),
    (Flaw::RenewDropsCheckpoint, &["renew::everything_but_the_lease_stays"]),
    (Flaw::WritesAnyStep, &["resend::checkpoint_is_the_same_checkpoint"]),
    (
        Flaw::WritesFirstStepOnly,
        &["checkpoint::higher_step_replaces_the_one_before", "checkpoint::step_of_an_earlier_attempt_counts"],
    ),
    (Flaw::ReleaseRemovesAll, &["expire::unexpired_records_stay"]),
    (
        Flaw::ReleaseKeepsAll,
        &[
            "lock::key_released_without_a_checkpoint_is_fresh",
            "release::applies_while_the_lease_is_live",
            "release::applies_when_the_lease_is_over_and_nobody_took_over",
            "release::record_without_a_checkpoint_is_removed",
            "release::record_with_a_checkpoint_is_kept_for_the_retention",
            "work::failure_releases_the_key",
            "lost_answer::lock_of_unknown_effect_is_released",
        ],
    ),
    (
        Flaw::ReleaseKeepsTheLease,
        &[
            "lock::key_released_with_a_checkpoint_is_resumed_at_once",
            "release::record_with_a_checkpoint_is_kept_without_a_holder",
        ],
    ),
    (Flaw::RemovesByForceAlways, &["remove::live_lease_is_refused"]),
    (
        Flaw::RemovesNoLapsedLease,
        &["remove::lease_that_is_over_is_removed", "remove::released_record_is_removed"],
    ),
    (
        Flaw::RemovesNothing,
        &[
            "heartbeat::loss_of_the_lease_is_visible_to_the_work",
            "remove::live_lease_is_removed_by_force",
            "remove::completed_record_is_removed",
            "work::result_whose_record_is_gone_does_not_overwrite_another",
        ],
    ),
    (Flaw::SaysRemoved, &["remove::missing_record_is_not_removed", "remove::expired_record_is_not_removed"]),
    (Flaw::RemovesAll, &["remove::other_keys_stay", "scope::removal_in_one_scope_leaves_the_other"]),
    (Flaw::SweepsNothing, &["expire::every_kind_of_expired_record_is_removed_once"]),
    (Flaw::SweepsLapsed, &["expire::unexpired_records_stay"]),
    (
        Flaw::SweepsByFirstDeadline,
        &["expire::key_used_again_is_not_swept", "expire::renewed_lease_is_not_swept"],
    ),
    (Flaw::SweepsBeyondBudget, &["expire::budget_of_zero_removes_nothing"]),
    (Flaw::SaysNoMore, &["expire::budget_is_kept_and_the_rest_is_reported"]),
];
