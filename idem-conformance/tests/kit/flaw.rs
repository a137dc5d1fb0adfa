//! The ways in which a store can break its promises, one at a time.

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,

    // `lock`
    IgnoresFingerprints,
    ForgetsFingerprints,
    MismatchEndsLease,
    GrantsSecondHolder,
    NeverTakesOver,
    RefusesItsHolder,
    GivesItsHolderNewToken,
    HidesWhatIsLeft,
    ProlongsWhenResent,
    KeepsAttempt,
    KeepsSequence,
    KeepsTimes,
    DropsCheckpoints,
    CountsAttemptsFromZero,
    GrantsTooLong,
    MixesUpTimes,
    ForgetsWithTheLease,
    NeverForgets,
    EndsLate,
    RunsCompletedAgain,
    GarblesOutcomes,

    // `peek`
    PeeksAtSomethingElse,
    PeeksWithoutFingerprints,
    PeeksAtTheUnfinished,
    PeeksAtCopies,

    // Calls of a holder
    AcceptsAnyToken,
    ComparesSequenceOnly,
    ComparesOwnerOnly,
    RefusesLapsedHolder,
    SaysGone,
    SaysSuperseded,
    OverwritesCompletion,
    RefusesResentCompletion,
    CountsRetentionFromLock,
    ForgetsBeforeDeadline,
    AppliesNothing,
    Shortens,
    AddsToTheDeadline,
    RenewDropsCheckpoint,
    WritesAnyStep,
    WritesFirstStepOnly,
    ReleaseRemovesAll,
    ReleaseKeepsAll,
    ReleaseKeepsTheLease,

    // `remove` and `expire`
    RemovesByForceAlways,
    RemovesNoLapsedLease,
    RemovesNothing,
    SaysRemoved,
    RemovesAll,
    SweepsNothing,
    SweepsLapsed,
    SweepsByFirstDeadline,
    SweepsBeyondBudget,
    SaysNoMore,

    // `scan` and `erase`
    ScansNothing,
    ScansNever,
    ScansGhosts,
    ScansWithoutLocks,
    ScansWithoutLastOfPage,
    ScansAllScopes,
    ScansAllStates,
    ScansExpired,
    ScansToFirstDamage,
    ScansByNumber,
    MisstatesStates,
    MisstatesSizes,
    TakesAnyLimit,
    TakesAnyCursor,
    SpendsItsCursors,
    ErasesAllScopes,
    ErasesByForceAlways,
    ErasesNeverByForce,
    ErasesFirstStepOnly,
    ErasesCompletedOnly,
    StopsAtDamage,

    // Keys, races and dropped calls
    OneRecordForAll,
    ReadsThenWrites,
    DoesHalf,

    // Waiting
    SettledAtOnce,
    NeverSettled,
    GivesUpWaiting,
    WaitsWithALock,
    OverflowsWhenItWaits,
    PollsOnly,

    // Leases
    CountsFromTheAnswer,
    TellsNoRenewal,
    TellsEveryRenewal,
    TellsNoCompletion,
    TellsEveryCompletion,
    TellsNoLoss,
    TellsCompletionAsLoss,
    FollowsTheWallClock,
    RestartsSequences,

    // Input
    ChecksNothing,
    ChecksAfterwards,
    RefusesLongTimes,
    RefusesHoldersWhenFull,

    // Closing
    ClosesOnce,
    FailsWhenClosed,

    // Storage
    StartsAfreshWhenCorrupt,
    CorruptsNeighbours,
    ReopensEmpty,
    ReopensWithoutLocks,
    ReopensWithFirstWrites,
    ReopensWithoutHighWater,
    OpensAnotherEmpty,
}

impl Flaw {
    /// Whether `peek` of a store with this flaw answers.
    pub(crate) fn peeks(self) -> bool {
        matches!(
            self,
            Self::None
                | Self::PeeksAtSomethingElse
                | Self::PeeksWithoutFingerprints
                | Self::PeeksAtTheUnfinished
                | Self::PeeksAtCopies
        )
    }
}
