#include "tests/txlog/replicated/group_fixture.h"

#include <utility>

#include "base/log.h"
#include "txlog/replicated/replicated_log.h"

namespace assent::txlog {
namespace {

const std::string kDirectory = "/sim";

Member MemberOf(uint64_t id) {
  const std::string host = "node" + std::to_string(id);
  return {.id = id, .peer_address = host + ":7401", .address = host + ":7400"};
}

}  // namespace

GroupFixture::GroupFixture() { SetLogLevel(LogLevel::kError); }

GroupFixture::~GroupFixture() {
  for (auto& [id, node] : nodes_) {
    if (node->engine != nullptr) node->engine->Close();
  }
}

void GroupFixture::Node::Send(uint64_t to, std::string bytes) {
  if (said) said->push_back(bytes);
  auto found = group.nodes_.find(to);
  if (found == group.nodes_.end() || found->second->engine == nullptr) return;
  if (group.cut_.contains({id, to})) return;
  found->second->inputs.push_back(MessageCame{id, std::move(bytes)});
}

void GroupFixture::Bootstrap(uint64_t n) {
  std::vector<Member> members;
  for (uint64_t id = 1; id <= n; ++id) members.push_back(MemberOf(id));
  for (uint64_t id = 1; id <= n; ++id) {
    auto node = std::make_unique<Node>(*this, id);
    Status s = BootstrapGroup(node->disk, kDirectory, {"bank", kUuid, id}, "first", members);
    ASSERT_TRUE(s.ok()) << s.ToString();
    nodes_.emplace(id, std::move(node));
  }
}

GroupFixture::Node& GroupFixture::Add(uint64_t id) {
  auto node = std::make_unique<Node>(*this, id);
  Status s = BootstrapJoining(node->disk, kDirectory, {"bank", kUuid, id});
  EXPECT_TRUE(s.ok()) << s.ToString();
  return *(nodes_[id] = std::move(node));
}

Status GroupFixture::Start(uint64_t id) {
  Node& node = At(id);
  node.listener = std::make_unique<RecordingListener>();
  ReplicatedLogOptions options = options_;
  options.directory = kDirectory;
  options.cluster = "bank";
  options.node_id = id;
  options.seed = seed_++;
  options.disk = &node.disk;
  options.on_death = [&node](const Status& s) { node.deaths.push_back(s); };
  auto engine = ReplicatedEngine::Open(
      options, *node.listener, node, node.spares, node.slow,
      [&node](EngineInput input) { node.inputs.push_back(std::move(input)); });
  if (!engine.ok()) return engine.status();
  node.engine = std::move(*engine);
  node.engine->Announce();
  return Ok();
}

void GroupFixture::StartAll() {
  for (auto& [id, node] : nodes_) {
    if (node->engine != nullptr) continue;
    Status s = Start(id);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  Settle();
}

void GroupFixture::Kill(uint64_t id, bool power_loss) {
  Node& node = At(id);
  node.spares.Drop();
  node.slow.Drop();
  node.inputs.clear();
  node.engine.reset();
  if (power_loss) {
    node.disk.PowerLoss();
  } else {
    node.disk.ProcessDeath();
  }
}

void GroupFixture::Settle() {
  for (bool worked = true; worked;) {
    worked = false;
    for (auto& [id, node] : nodes_) {
      if (node->engine == nullptr) continue;
      if (!node->inputs.empty()) {
        std::vector<EngineInput> inputs(std::make_move_iterator(node->inputs.begin()),
                                        std::make_move_iterator(node->inputs.end()));
        node->inputs.clear();
        node->engine->Handle(std::move(inputs));
        worked = true;
      }
      while (node->spares.RunOne() || node->slow.RunOne()) worked = true;
    }
  }
}

void GroupFixture::Tick(int times) {
  for (int i = 0; i < times; ++i) {
    for (auto& [id, node] : nodes_) {
      if (node->engine != nullptr) node->inputs.push_back(TickCame{});
    }
    Settle();
  }
}

void GroupFixture::TickOnly(uint64_t id, int times) {
  for (int i = 0; i < times; ++i) {
    At(id).inputs.push_back(TickCame{});
    Settle();
  }
}

uint64_t GroupFixture::Leader() {
  uint64_t leader = 0;
  Term term = 0;
  for (auto& [id, node] : nodes_) {
    if (node->engine == nullptr || node->engine->raft().role() != raft::Role::kLeader) continue;
    if (node->engine->raft().term() > term) {
      leader = id;
      term = node->engine->raft().term();
    }
  }
  return leader;
}

uint64_t GroupFixture::WaitLeader() {
  for (int i = 0; i < 200; ++i) {
    Tick();
    const uint64_t leader = Leader();
    // Its term's no-op is committed.
    if (leader != 0 &&
        At(leader).engine->raft().commit_index() == At(leader).engine->raft().last_index()) {
      Tick(3);  // Everybody has heard of it.
      return Leader();
    }
  }
  return 0;
}

std::shared_ptr<std::vector<Fate>> GroupFixture::Propose(uint64_t at,
                                                         std::vector<std::string> records) {
  auto fates = std::make_shared<std::vector<Fate>>();
  Node& node = At(at);
  for (std::string& record : records) {
    node.inputs.push_back(ProposalAsked{std::move(record), node.engine->raft().term(),
                                        [fates](Fate fate) { fates->push_back(fate); }});
  }
  return fates;
}

std::shared_ptr<std::vector<Status>> GroupFixture::Change(uint64_t at, MembershipChange change) {
  auto answer = std::make_shared<std::vector<Status>>();
  if (change.kind == MembershipChange::Kind::kAddLearner) {
    change.member = MemberOf(change.member.id);
    change.member.voter = false;
  }
  At(at).inputs.push_back(
      ChangeAsked{std::move(change), [answer](Status s) { answer->push_back(std::move(s)); }});
  Settle();
  return answer;
}

std::shared_ptr<std::vector<Status>> GroupFixture::Transfer(uint64_t at, uint64_t to) {
  auto answer = std::make_shared<std::vector<Status>>();
  At(at).inputs.push_back(
      TransferAsked{to, [answer](Status s) { answer->push_back(std::move(s)); }});
  Settle();
  return answer;
}

std::shared_ptr<std::vector<Status>> GroupFixture::Barrier(uint64_t at) {
  auto answer = std::make_shared<std::vector<Status>>();
  At(at).inputs.push_back(BarrierAsked{[answer](Status s) { answer->push_back(std::move(s)); }});
  Settle();
  return answer;
}

GroupProgress GroupFixture::Members(uint64_t at) {
  GroupProgress members;
  At(at).inputs.push_back(MembersAsked{[&](GroupProgress got) { members = std::move(got); }});
  Settle();
  return members;
}

void GroupFixture::SaveSnapshot(uint64_t at, std::string state) {
  Node& node = At(at);
  node.inputs.push_back(SnapshotGiven{node.engine->raft().applied_index(), std::move(state)});
  Settle();
}

std::vector<std::string> GroupFixture::Applied(uint64_t id) {
  std::vector<std::string> records;
  for (const txlog::Applied& entry : At(id).listener->applied()) {
    if (!entry.record.empty()) records.push_back(entry.record);
  }
  return records;
}

void GroupFixture::Isolate(uint64_t id) {
  for (auto& [other, node] : nodes_) {
    if (other != id) Cut(id, other);
  }
}

}  // namespace assent::txlog
