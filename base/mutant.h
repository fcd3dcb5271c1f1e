// Seeded bugs: each line of the table below is a mistake that a coordinator or agent must not make,
// kept as a switch so that a test can prove that it would be caught. Only in builds with
// ASSENT_FAILPOINTS=ON: ASSENT_MUTANT=<name> in the environment, or ScopedMutant in a test.
// Release builds contain none: MutantOn is the constant false.
#pragma once

#include <string_view>

namespace assent {

// Of txlog/raft; sections are the Raft paper's, or "t" Ongaro's thesis'.
#define ASSENT_RAFT_MUTANTS(X)                                                                  \
  X(kRaftVoteNotPersisted, "raft.vote_not_persisted")           /* 5.2 */                       \
  X(kRaftOwnVoteUnforced, "raft.own_vote_unforced")             /* 5.2: counted before it is */ \
  X(kRaftDoubleVote, "raft.double_vote")                        /* 5.2 */                       \
  X(kRaftVoteForStaleLog, "raft.vote_for_stale_log")            /* 5.4.1 */                     \
  X(kRaftNoPrevoteLease, "raft.no_prevote_lease")               /* t 4.2.3 */                   \
  X(kRaftSkipNoop, "raft.skip_noop")                            /* 8 */                         \
  X(kRaftCommitOldTermByCount, "raft.commit_old_term_by_count") /* 5.4.2, figure 8 */           \
  X(kRaftCountUnforcedSelf, "raft.count_unforced_self")         /* t 10.2.1 */                  \
  X(kRaftLearnerCounts, "raft.learner_counts")                  /* t 4.2.1 */                   \
  X(kRaftAckBeforeForced, "raft.ack_before_forced")             /* 5 */                         \
  X(kRaftPrevNotChecked, "raft.prev_not_checked")               /* 5.3 */                       \
  X(kRaftTruncateOnMatch, "raft.truncate_on_match")   /* 5.3: what is there is cut off */       \
  X(kRaftApplyUncommitted, "raft.apply_uncommitted")  /* 5.3: beyond what was matched */        \
  X(kRaftStaleRead, "raft.stale_read")                /* t 6.4 */                               \
  X(kRaftTwoConfigChanges, "raft.two_config_changes") /* t 4.1 */                               \
  X(kRaftConfigBeforeNoop, "raft.config_before_noop") /* t 4.1, corrected in 2015 */            \
  X(kRaftKeepConfigAfterTruncate, "raft.keep_config_after_truncate") /* t 4.1 */                \
  X(kRaftTailKeptUnderSnapshot, "raft.tail_kept_under_snapshot")     /* 7 */                    \
  X(kRaftDiskFullLeadsOn, "raft.disk_full_leads_on")   /* unwritten taken for written */        \
  X(kRaftInDoubtIsRefused, "raft.in_doubt_is_refused") /* lost leadership proves nothing */     \
  X(kRaftTransferUnbounded, "raft.transfer_unbounded") /* t 3.10 */

// Of txlog/etcd/core.
#define ASSENT_ETCD_MUTANTS(X)                                                                \
  X(kEtcdNoFence, "etcd.no_fence")                    /* a deposed leader's batch succeeds */ \
  X(kEtcdNoChain, "etcd.no_chain")                    /* a batch without the one before */    \
  X(kEtcdLeadsBehind, "etcd.leads_behind")            /* without the end of the log */        \
  X(kEtcdTermNotRaised, "etcd.term_not_raised")       /* two reigns of one term */            \
  X(kEtcdUnknownIsRefused, "etcd.unknown_is_refused") /* no answer taken for a refusal */     \
  X(kEtcdSentIsDurable, "etcd.sent_is_durable")       /* without an answer */                 \
  X(kEtcdStaleRead, "etcd.stale_read")                /* a read without asking etcd */        \
  X(kEtcdTrustsItself, "etcd.trusts_itself")          /* leads on without lease and asking */ \
  X(kEtcdFullIsRefused, "etcd.full_is_refused")       /* no space taken for not done */       \
  X(kEtcdSettlesInReign, "etcd.settles_in_reign")     /* refused what may still come */       \
  X(kEtcdReadSkipsWindow, "etcd.read_skips_window")   /* before its own batches */            \
  X(kEtcdWatchGapIgnored, "etcd.watch_gap_ignored")   /* applied behind a gap */              \
  X(kEtcdSwitchedEarly, "etcd.switched_early")        /* to a snapshot not yet whole */       \
  X(kEtcdSwitchedBack, "etcd.switched_back")          /* to a snapshot that is gone */        \
  X(kEtcdTrimsTooFar, "etcd.trims_too_far")           /* batches that no snapshot covers */

#define ASSENT_MUTANTS(X)                                                                          \
  X(kReplyBeforeFsync, "reply_before_fsync")        /* 3: client hears COMMITTED too early */      \
  X(kAbortWhileProposing, "abort_while_proposing")  /* 16.1 */                                     \
  X(kActOnDurability, "act_on_durability")          /* 16.10: durable taken for decided */         \
  X(kGidReused, "gid_reused")                       /* 16.3: attempt not raised */                 \
  X(kUnknownIdIsSuccess, "unknown_id_is_success")   /* 16.8 */                                     \
  X(kStandbyTrusted, "standby_trusted")             /* 10: absence believed on a standby */        \
  X(kLiveKeptAcrossTerms, "live_kept_across_terms") /* 16.10 */                                    \
  X(kFailedTransactionVotesYes, "failed_transaction_votes_yes") /* 13: tag ROLLBACK */             \
  X(kInquiryAbortsLive, "inquiry_aborts_live")       /* 4.3: PENDING answered as ABORT */          \
  X(kEndTooEarly, "end_too_early")                   /* 4.1: END before every DONE */              \
  X(kForgottenIsAbort, "forgotten_is_abort")         /* 16.4: below the watermark */               \
  X(kForeignBranchTouched, "foreign_branch_touched") /* 1.1: another resource's gid */             \
  X(kVoidTicketCounts, "void_ticket_counts")         /* 5: of a replaced attempt */                \
  X(kStrangerVotes, "stranger_votes")                /* 5: who holds no session */                 \
  X(kTicketMakesBranch, "ticket_makes_branch")       /* 16.2 */                                    \
  X(kEarlyReportCounts, "early_report_counts")       /* 5: before the decision */                  \
  X(kAnyReportCounts, "any_report_counts")           /* 5: of a branch the agent ends */           \
  X(kGraceSkipped, "grace_skipped")                  /* 5: COMMIT before finish_grace */           \
  X(kAppHeldLost, "app_held_lost")                   /* 5: with its agent */                       \
  X(kVoidedReaderWins, "voided_reader_wins")         /* 11: what END keeps */                      \
  X(kSnapshotForgetsEnded, "snapshot_forgets_ended") /* 11: outcomes of ended ones */              \
  X(kAppEndsUnheard, "app_ends_unheard")             /* 5 (b): client, before the outcome */       \
  X(kAppIgnoresFailedPrepare, "app_ignores_failed_prepare") /* 5: Commit sent all the same */      \
  X(kVoteWithoutLook, "vote_without_look")                  /* 5(a): yes for what was not seen */  \
  X(kKillWithoutLook, "kill_without_look")                  /* 5: abort of the unprepared kills */ \
  X(kAppsCommitIsLoss, "apps_commit_is_loss")               /* 5: withdraws the app's own vote */  \
  X(kEarlyPreparedWorks, "early_prepared_works")            /* 4.2: work after the vote */         \
  X(kOpenedTwice, "opened_twice")                           /* 16.3: a repeat begins anew */       \
  X(kAbortForgetsSession, "abort_forgets_session")          /* 5: PREPARE after the abort */       \
  X(kOldEpochOpened, "old_epoch_opened")                /* 4.2: works for a leader that is over */ \
  X(kAppSessionKept, "app_session_kept")                /* 5: ended, its session not closed */     \
  X(kUnlistedSessionClosed, "unlisted_session_closed")  /* 5: killed for no branch */              \
  X(kEarlierSessionClosed, "earlier_session_closed")    /* 5: an id of an earlier start */         \
  X(kUnlistedVotesYes, "unlisted_votes_yes")            /* 5: YES of an app-held, not seen */      \
  X(kOwnerIgnored, "owner_ignored")                     /* 5: ended under the agent's role */      \
  X(kClientMayServe, "client_may_serve")                /* TLS: a client's certificate serves */   \
  X(kClientsUnasked, "clients_unasked")                 /* TLS: servers take whoever comes */      \
  X(kAnswersBeforeOwnEntry, "answers_before_own_entry") /* 16.1: decisions may be unknown still */ \
  X(kNewerEpochAnswered, "newer_epoch_answered")        /* 16.1: by a leader that is over */       \
  X(kKeyTwice, "key_twice")                             /* 3: two commits under one client key */  \
  X(kAnyAttemptCommits, "any_attempt_commits")          /* 16.3: a branch decided, not its gid */  \
  X(kPhaseTwoNotResumed, "phase_two_not_resumed")       /* 4.1: by the next leader */              \
  X(kRolledBackByAge, "rolled_back_by_age")             /* 16.9 */                                 \
  /* Backup and restore. */                                                                        \
  X(kRestoreKeepsIncarnation, "restore_keeps_incarnation") /* 16.9 */                              \
  X(kOldIncarnationPresumed, "old_incarnation_presumed")   /* 4.3: aborted where unknown */        \
  X(kRestoreDropsEnded, "restore_drops_ended")             /* 4.3: of the older incarnations */    \
  X(kRestoreDropsUnfinished, "restore_drops_unfinished")   /* 4.3: decided, and never told */      \
  X(kBackupUnchecked, "backup_unchecked")                  /* damaged, and taken all the same */   \
  X(kBackupUnproved, "backup_unproved")                    /* by a leader that is over */          \
  X(kRepinUnasked, "repin_unasked")                        /* 1.1: any incarnation is taken */     \
  X(kRestoreNamedEarly, "restore_named_early")             /* etcd: a group before its state */    \
  X(kRestoreNamedBlindly, "restore_named_blindly")         /* etcd: whose pieces are gone */       \
  X(kRestoreSweepsLate, "restore_sweeps_late")             /* etcd: a later attempt's pieces */    \
  /* Files: txlog/storage and what joins it to the log. */                                         \
  X(kForceSkipped, "force_skipped")                       /* written taken for durable */          \
  X(kFailedForceIgnored, "failed_force_ignored")          /* goes on after a failed fsync */       \
  X(kSegmentDroppedEarly, "segment_dropped_early")        /* whose end no snapshot covers */       \
  X(kSnapshotOlderThanLabel, "snapshot_older_than_label") /* lacks the last entries */             \
  X(kJoinerIsOnlyMember, "joiner_is_only_member")         /* leads alone by half a log */          \
  /* Between nodes: txlog/transport. */                                                            \
  X(kFrameChecksumIgnored, "frame_checksum_ignored")                                               \
  X(kAnyCluster, "any_cluster")                  /* takes messages of another cluster */           \
  X(kAnyCertificate, "any_certificate")          /* of the authority, whoever it names */          \
  X(kOldConnectionKept, "old_connection_kept")   /* speaks beside the newer one */                 \
  X(kPeerQueueUnbounded, "peer_queue_unbounded") /* memory towards a slow peer */                  \
  X(kSilenceIgnored, "silence_ignored")          /* of a half-open connection */                   \
  X(kFullOwnerIgnored, "full_owner_ignored")     /* drops what its owner did not take */           \
  ASSENT_RAFT_MUTANTS(X)                                                                           \
  ASSENT_ETCD_MUTANTS(X)                                                                           \
  X(kHelperLeavesRest, "helper_leaves_rest")        /* base/helped_inbox.h: nobody is woken */     \
  X(kBrokenStreamIsWhole, "broken_stream_is_whole") /* an error among rows taken for their end */

enum class Mutant {
#define X(id, name) id,
  ASSENT_MUTANTS(X)
#undef X
};

#if defined(ASSENT_FAILPOINTS)
// Thread-safe.
bool MutantOn(Mutant mutant);

// Switches one seeded bug on for the life of the object. One at a time.
class ScopedMutant {
 public:
  explicit ScopedMutant(Mutant mutant);
  ~ScopedMutant();
  ScopedMutant(const ScopedMutant&) = delete;
  ScopedMutant& operator=(const ScopedMutant&) = delete;
};
#else
constexpr bool MutantOn(Mutant) { return false; }
#endif

}  // namespace assent
