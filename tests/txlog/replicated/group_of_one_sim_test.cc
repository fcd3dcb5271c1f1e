// The real engine and storage, alone in their group, on a simulated disk, through random lives and
// deaths. A ledger that knows what was promised looks at everything the log tells and answers.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "base/log.h"
#include "base/mutant.h"
#include "tests/txlog/replicated/held_executor.h"
#include "tests/txlog/replicated/ledger.h"
#include "tests/txlog/sim_disk.h"
#include "txlog/replicated/engine.h"
#include "txlog/replicated/replicated_log.h"

namespace assent::txlog {
namespace {

const NodeIdentity kIdentity{"bank", "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", 1};
const std::string kDirectory = "/sim";

// Thousands of simulated deaths each log a line.
class Quiet {
 public:
  Quiet() {
    SetLogLevel(LogLevel::kError);
    testing::internal::CaptureStderr();
  }
  ~Quiet() { testing::internal::GetCapturedStderr(); }
};

// One seed's whole story. `Run` answers with what went wrong, or nothing.
class Story final : public PeerLinks {
 public:
  explicit Story(uint64_t seed)
      : random_(seed), disk_(seed * 31 + 7), before_groups_(seed % 5 == 0), ledger_(First()) {}

  const Met& met() const { return ledger_.met; }

  std::string Run() {
    if (Status s = Bootstrap(); !s.ok()) return s.ToString();
    for (int life = 0; life < 12 && !Wrong(); ++life) Live();
    // The last start is undisturbed and must find everything.
    SetRoom(std::nullopt);
    if (!Wrong() && Start(/*disturbed=*/false)) Stop();
    return ledger_.wrong();
  }

  // There is nobody to talk to.
  void Send(uint64_t, std::string) override { ledger_.Wrong("spoke to a peer"); }
  void SetMembers(const std::vector<Member>& members) override {
    if (members.size() != 1) ledger_.Wrong("not alone");
  }

 private:
  // Some directories are from before groups, which name no members.
  std::vector<Seen> First() const {
    if (before_groups_) return {{1, 1, "first"}};
    return {{1, 1, "first"}, {2, 1, ""}};
  }
  Status Bootstrap() {
    if (before_groups_) {
      const std::vector<Entry> first = {{.index = 1, .term = 1, .payload = "first"}};
      return LogStore::Create(disk_, kDirectory, kIdentity, first);
    }
    return BootstrapGroup(disk_, kDirectory, kIdentity, "first",
                          {{.id = 1, .peer_address = "a:1", .address = "a:2"}});
  }

  uint64_t Draw(uint64_t below) { return random_() % below; }
  int Draw1To(int most) { return 1 + static_cast<int>(Draw(static_cast<uint64_t>(most))); }
  bool Chance(int percent) { return Draw(100) < static_cast<uint64_t>(percent); }
  bool Wrong() const { return !ledger_.wrong().empty(); }
  bool Dead() { return died_ || disk_.crashed() || Wrong(); }

  void SetRoom(std::optional<uint64_t> bytes) {
    has_room_ = !bytes.has_value();
    bytes ? disk_.SetRoom(*bytes) : disk_.UnlimitedRoom();
  }

  void Live() {
    if (!Start(/*disturbed=*/true)) return;
    // Faults that may strike at any of the next calls.
    if (Chance(50)) disk_.CrashAt(Draw1To(100));
    if (Chance(15)) disk_.FailSyncAt(Draw1To(20));
    for (uint64_t steps = Draw(40); steps > 0 && !Dead(); --steps) {
      const bool led = owner_->leads;
      Act();
      ledger_.Look(*owner_);
      if (!led && owner_->leads) ++ledger_.met.led_again;
    }
    if (!Dead() && Chance(40)) {
      disk_.CrashAt(0);
      disk_.FailSyncAt(0);
      Stop();
    } else {
      Bury();
    }
  }

  void Act() {
    switch (Draw(12)) {
      case 0:
        if (owner_->seen.size() > 1) SaveSnapshot();
        break;
      case 1:
      case 2:
        spares_.RunOne();
        break;
      case 3:
        slow_.RunOne();
        break;
      case 4:
        disk_.FillAt(Draw1To(3));
        break;
      case 5:
        Chance(50) ? SetRoom(Draw(6000)) : SetRoom(std::nullopt);
        break;
      case 6:
        // Short of, or beyond, the time after which a full disk is tried again.
        for (int ticks = Draw1To(40); ticks > 0 && !Dead(); --ticks) {
          inputs_.push_back(TickCame{});
          GiveAll();
        }
        break;
      case 7:
        inputs_.push_back(BarrierAsked{[this](const Status& s) {
          if (s.ok()) ledger_.ReadAnswered(*owner_);
        }});
        GiveAll();
        break;
      default:
        Propose();
    }
  }

  void Propose() {
    const bool leads = owner_->leads;
    for (uint64_t count = 1 + Draw(8); count > 0; --count) {
      const std::string name = "r" + std::to_string(next_name_++);
      const std::string filling(Chance(10) ? Draw(6000) : Draw(300), static_cast<char>(Draw(256)));
      const bool wrong_term = Chance(5);
      const Term term = engine_->raft().term() - (wrong_term ? 1 : 0);
      ledger_.Proposed(name, term);
      auto done = [this, name, leads, wrong_term](Fate fate) {
        const bool refused = fate == Fate::kRefused;
        if ((wrong_term || !leads) && fate == Fate::kDurable) ledger_.Wrong("taken: " + name);
        if (refused && leads && !wrong_term) ++ledger_.met.refused_for_room;
        ledger_.Answered(name, fate);
      };
      inputs_.push_back(ProposalAsked{name + " " + filling, term, std::move(done)});
    }
    GiveAll();
  }

  void SaveSnapshot() {
    const size_t size = 1 + Draw(owner_->seen.size());
    inputs_.push_back(SnapshotGiven{owner_->seen[size - 1].index, owner_->State(size)});
    GiveAll();
  }

  // Whatever has gathered; sometimes more is to come before it is written.
  void GiveAll() {
    engine_->Take(std::exchange(inputs_, {}));
    if (Chance(80)) engine_->Flush();
  }

  ReplicatedLogOptions Options() {
    return {.directory = kDirectory,
            .cluster = "bank",
            .segment_bytes = 4096,
            .snapshot_after_bytes = 8192,
            .seed = 1 + Draw(1000),
            .disk = &disk_,
            .on_death = [this](const Status&) { died_ = true; }};
  }

  bool Start(bool disturbed) {
    while (!TryStart(disturbed)) {
      if (Wrong()) return false;
      ++ledger_.met.failed_starts;
      Bury();
    }
    return true;
  }

  // False: it died in the middle, or something is wrong.
  bool TryStart(bool disturbed) {
    if (disturbed && Chance(30)) disk_.CrashAt(Draw1To(25));
    if (disturbed && Chance(5)) disk_.FailSyncAt(Draw1To(5));
    owner_ = std::make_unique<AppliedState>();
    died_ = false;
    ledger_.LifeBegins();
    Result<std::unique_ptr<ReplicatedEngine>> engine =
        ReplicatedEngine::Open(Options(), *owner_, *this, spares_, slow_,
                               [this](EngineInput input) { inputs_.push_back(std::move(input)); });
    if (!engine.ok()) {
      if (disturbed && engine.status().code() == Code::kResourceExhausted) {
        SetRoom(std::nullopt);
      } else if (!disturbed || engine.status().message().find("simulated") == std::string::npos) {
        ledger_.Wrong("start: " + engine.status().ToString());
      }
      return false;
    }
    engine_ = std::move(*engine);
    engine_->Announce();
    ledger_.Look(*owner_);
    ledger_.met.started_from_snapshot += owner_->from_snapshot;
    if (Dead()) {
      if (!disturbed) ledger_.Wrong("died of nothing");
      return false;
    }
    disk_.CrashAt(0);
    disk_.FailSyncAt(0);
    // There is nobody to wait for, unless it is for room.
    if (has_room_ && !owner_->Whole()) ledger_.Wrong("does not lead at once");
    return !Wrong();
  }

  void Stop() {
    do {
      GiveAll();
    } while (spares_.RunOne() || slow_.RunOne());
    engine_->Close();
    ledger_.Look(*owner_);
    Discard();
    Chance(50) ? disk_.PowerLoss() : disk_.ProcessDeath();
  }

  void Bury() {
    Discard();
    const bool power = disk_.crashed() || Chance(50);
    power ? disk_.PowerLoss() : disk_.ProcessDeath();
  }

  void Discard() {
    spares_.Drop();
    slow_.Drop();
    inputs_.clear();
    engine_.reset();
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  const bool before_groups_;
  Ledger ledger_;
  HeldExecutor spares_;
  HeldExecutor slow_;
  std::vector<EngineInput> inputs_;
  std::unique_ptr<AppliedState> owner_;
  std::unique_ptr<ReplicatedEngine> engine_;
  bool died_ = false;
  bool has_room_ = true;
  int next_name_ = 1;
};

TEST(GroupOfOneOnSimulatedDisk, KeepsEveryPromiseThroughFiveHundredSeeds) {
  Quiet quiet;
  const char* only = std::getenv("ASSENT_SEED");
  const uint64_t from = only != nullptr ? std::stoull(only) : 1;
  const uint64_t to = only != nullptr ? from : 500;
  int failed = 0;
  Met met;
  for (uint64_t seed = from; seed <= to && failed < 5; ++seed) {
    Story story(seed);
    std::string wrong = story.Run();
    for (int Met::*count :
         {&Met::durable, &Met::refused_for_room, &Met::in_doubt_survived, &Met::in_doubt_gone,
          &Met::started_from_snapshot, &Met::failed_starts, &Met::led_again, &Met::reads}) {
      met.*count += story.met().*count;
    }
    if (!wrong.empty()) {
      ++failed;
      ADD_FAILURE() << "ASSENT_SEED=" << seed << ": " << wrong;
    }
  }
  if (only != nullptr) return;
  EXPECT_GT(met.durable, 20000);
  EXPECT_GT(met.refused_for_room, 500);
  EXPECT_GT(met.in_doubt_survived, 100);
  EXPECT_GT(met.in_doubt_gone, 100);
  EXPECT_GT(met.started_from_snapshot, 500);
  EXPECT_GT(met.failed_starts, 100);
  EXPECT_GT(met.led_again, 100);
  EXPECT_GT(met.reads, 1000);
}

#if defined(ASSENT_FAILPOINTS)
struct Bug {
  const char* name;
  Mutant mutant;
};

class CaughtOnSimulatedDisk : public testing::TestWithParam<Bug> {};

TEST_P(CaughtOnSimulatedDisk, ByFiftySeeds) {
  int caught = 0;
  {
    Quiet quiet;
    ScopedMutant mutant(GetParam().mutant);
    for (uint64_t seed = 1; seed <= 50; ++seed) caught += !Story(seed).Run().empty();
  }
  EXPECT_GT(caught, 10) << "a seeded bug that hardly shows is no proof that tests look";
}

INSTANTIATE_TEST_SUITE_P(
    SeededBugs, CaughtOnSimulatedDisk,
    testing::Values(Bug{"ReplyBeforeFsync", Mutant::kReplyBeforeFsync},
                    Bug{"ForceSkipped", Mutant::kForceSkipped},
                    Bug{"FailedForceIgnored", Mutant::kFailedForceIgnored},
                    Bug{"SegmentDroppedEarly", Mutant::kSegmentDroppedEarly},
                    Bug{"SnapshotOlderThanLabel", Mutant::kSnapshotOlderThanLabel},
                    Bug{"OwnVoteUnforced", Mutant::kRaftOwnVoteUnforced},
                    Bug{"SkipNoop", Mutant::kRaftSkipNoop}),
    [](const testing::TestParamInfo<Bug>& bug) { return std::string(bug.param.name); });
#endif

}  // namespace
}  // namespace assent::txlog
