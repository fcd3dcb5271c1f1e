// One life of a whole system, drawn from a seed: coordinators, agents, databases, applications and
// the network between them, with a selection of faults. Then everything is mended, and must come
// right (docs/protocols.md, AC5).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/system/operator.h"
#include "tests/simulation/system/sim_client.h"

namespace assent::simulation {

enum class Tracing {
  kNone,
  kTail,   // The last steps are kept, for tail().
  kPrint,  // And every one printed.
};

class SystemStory {
 public:
  // `codec`: the real one, or null.
  explicit SystemStory(uint64_t seed, Tracing tracing = Tracing::kNone,
                       const coordinator::Codec* codec = nullptr);

  // Empty, or what went wrong first.
  std::string Run();
  // The last steps, oldest first.
  std::string tail() const { return timeline_.Tail(); }

  // What was met, so that a test can tell that its stories are not empty.
  struct Met {
    size_t steps = 0;
    size_t committed = 0;
    size_t told = 0;
    size_t terms = 0;
    size_t node_crashes = 0;
    size_t agent_crashes = 0;
    size_t database_crashes = 0;
    size_t disk_faults = 0;
    size_t refused_starts = 0;
    size_t installed = 0;
    size_t changes = 0;
    size_t cuts = 0;

    Met& operator+=(const Met& other);
  };
  Met met() const;

 private:
  using Fault = void (SystemStory::*)();
  bool Chance(unsigned permille) { return timeline_.Chance(permille); }
  void Draw();
  void DrawLogLimits();
  void Build();
  void RunFor(Micros time);
  bool Fine() const { return checker_.wrong().empty(); }

  void FaultLoop();
  SimNode* AnyNode();
  SimNode* MostlyLeader();
  void CrashNode();
  void CrashAllNodes();
  void CrashWhileWriting();
  void CrashBetweenEffects();
  void FailSync();
  void FillDisk();
  void FlipByte();
  void SlowDown();
  void Freeze();
  void JumpClock();
  void CutNetwork();
  void CutNodesApart();
  void CutLeaderOff();
  void PassLeadAround();
  void CutFor(Micros time, std::vector<std::pair<Place, Place>> cut);
  void CutLink();
  void CrashAgent();
  void FreezeAgent();
  // It has prepared a branch, and does not get to hear or say so.
  void FailPreparer(SimAgent& agent);
  void CrashAgent(SimAgent& agent);
  void CrashDatabase();
  void StallDatabase();
  // Just when it has voted, and back at once, while the others are still at it.
  void CrashVoter(uint64_t id);
  void AskBarrier();
  void BarrierLoop();
  void RestartNode(uint64_t id, Micros after);
  // Everything that happened to die by itself is started again.
  void WatchLoop();

  void Mend();
  std::string WhyNotCalm();
  std::string WhyNotOver();
  bool Until(const std::function<std::string()>& why_not, Micros patience, const char* what);

  Timeline timeline_;
  Network network_{timeline_};
  SimCodec codec_;
  coordinator::Limits limits_;
  SystemChecker checker_;
  World world_;
  std::vector<std::unique_ptr<SimDatabase>> databases_;
  std::map<uint64_t, std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  Operator operator_;
  std::vector<Fault> faults_;
  Micros between_faults_ = 0;
  bool towns_ = false;           // Nodes stand far from each other.
  unsigned voters_die_ = 0;      // Of a thousand votes.
  unsigned preparers_fail_ = 0;  // Of a thousand branches that agents prepare.
  bool faulty_ = true;
  std::set<uint64_t> restarting_;
  std::set<uint64_t> long_dead_;
  Met met_;
};

}  // namespace assent::simulation
