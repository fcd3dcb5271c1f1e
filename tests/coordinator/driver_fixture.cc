#include "tests/coordinator/driver_fixture.h"

#include <algorithm>

namespace assent::coordinator {
namespace {

template <typename T>
void MoveAll(std::vector<T>& from, std::vector<T>& to) {
  for (T& one : from) to.push_back(std::move(one));
}

size_t Count(const std::vector<FinishOrder>& orders, const Gid& gid, bool commit) {
  return static_cast<size_t>(std::count_if(
      orders.begin(), orders.end(),
      [&](const FinishOrder& order) { return order.gid == gid && order.commit == commit; }));
}

}  // namespace

void FakeAgent::Send(AgentOutput batch) {
  ++batches;
  if (batch.leadership) told.leadership = batch.leadership;
  if (batch.members) told.members = batch.members;
  MoveAll(batch.registered, told.registered);
  MoveAll(batch.prepares, told.prepares);
  MoveAll(batch.finishes, told.finishes);
  MoveAll(batch.answers, told.answers);
  MoveAll(batch.forget, told.forget);
}

bool FakeAgent::ToldToPrepare(const Gid& gid) const {
  return std::any_of(told.prepares.begin(), told.prepares.end(),
                     [&](const PrepareOrder& order) { return order.gid == gid; });
}

size_t FakeAgent::ToldToCommit(const Gid& gid) const { return Count(told.finishes, gid, true); }
size_t FakeAgent::ToldToAbort(const Gid& gid) const { return Count(told.finishes, gid, false); }

bool FakeAgent::ToldToForget(const Gid& gid) const {
  return std::find(told.forget.begin(), told.forget.end(), gid) != told.forget.end();
}

std::optional<AgentAnswer> FakeAgent::AnswerTo(const Gid& gid) const {
  for (auto it = told.answers.rbegin(); it != told.answers.rend(); ++it) {
    if (it->gid == gid) return it->answer;
  }
  return std::nullopt;
}

DriverTest::DriverTest() {
  log_.Append(
      1, codec_.Encode(GroupStart{
             .cluster = "bank", .cluster_uuid = kUuid, .group = 0, .incarnation = kIncarnation}));
}

void DriverTest::Boot() {
  driver_ = std::make_unique<Driver>(limits_, clock_, codec_,
                                     [this](Status why) { fatal_ = std::move(why); });
  driver_->Attach(log_);
  log_.Start(*driver_);
  Pump();
}

void DriverTest::Restart() {
  driver_.reset();
  pg_.reset();
  my_.reset();
  Boot();
}

void DriverTest::Pass(std::chrono::milliseconds time) {
  clock_.now += time;
  Pump();
}

std::shared_ptr<FakeAgent> DriverTest::Dial(AgentHello hello) {
  auto agent = std::make_shared<FakeAgent>();
  agent->link = next_link_++;
  agent->hello = hello;
  agent->heard = clock_.now;
  driver_->Post(LinkOpened{
      .link = agent->link,
      .hello = std::move(hello),
      .outbox = agent,
      .reply = [agent](Answer<AgentWelcome> answer) { agent->welcome = std::move(answer); }});
  Pump();
  return agent;
}

std::shared_ptr<FakeAgent> DriverTest::Connect(const std::string& agent_id,
                                               std::vector<std::string> resources,
                                               uint64_t incarnation) {
  AgentHello hello{.agent_id = agent_id, .incarnation = incarnation, .peer = "test"};
  for (const std::string& name : resources) {
    hello.resources.push_back(
        {.name = name, .kind = "postgresql", .identity = "id-of-" + name, .server = "test"});
  }
  auto agent = Dial(std::move(hello));
  EXPECT_TRUE(agent->welcome && std::holds_alternative<AgentWelcome>(*agent->welcome));
  return agent;
}

void DriverTest::Disconnect(FakeAgent& agent) {
  driver_->Post(LinkClosed{agent.link});
  Pump();
}

Pending<BeginAnswer> DriverTest::TryBegin(const std::string& key, Duration timeout) {
  Pending<BeginAnswer> pending;
  driver_->Post(
      BeginCall{.timeout = timeout, .client_key = key, .label = "label", .reply = pending.reply()});
  Pump();
  return pending;
}

Gtrid DriverTest::Begin(const std::string& key) {
  auto begun = TryBegin(key);
  EXPECT_TRUE(begun.answered() && !begun.refused());
  return begun->gtrid;
}

Pending<BeginAnswer> DriverTest::TryBeginWith(std::vector<BranchAsked> branches,
                                              std::vector<Gid> finished) {
  Pending<BeginAnswer> pending;
  driver_->Post(BeginCall{.client_key = "",
                          .label = "label",
                          .branches = std::move(branches),
                          .finished = std::move(finished),
                          .reply = pending.reply()});
  Pump();
  return pending;
}

std::vector<Gid> DriverTest::BeginWith(std::vector<BranchAsked> branches) {
  auto begun = TryBeginWith(std::move(branches));
  std::vector<Gid> gids;
  EXPECT_FALSE(begun.refused());
  if (begun.refused()) return gids;
  for (const BegunBranch& branch : begun->branches) {
    EXPECT_TRUE(branch.gid) << branch.resource;
    gids.push_back(branch.gid.value_or(Gid{}));
  }
  return gids;
}

void DriverTest::Say(FakeAgent& agent, AgentInput input) {
  driver_->Post(LinkInput{agent.link, std::move(input)});
  Pump();
}

RegisterAnswer DriverTest::TryOpen(FakeAgent& agent, const Gtrid& gtrid,
                                   const std::string& resource, uint64_t request) {
  return TryRegister(agent, {.request = request, .gtrid = gtrid, .resource = resource});
}

RegisterAnswer DriverTest::TryRegister(FakeAgent& agent, RegisterAsked asked) {
  agent.told.registered.clear();
  Say(agent, {.registers = {std::move(asked)}});
  EXPECT_EQ(agent.told.registered.size(), 1u);
  return agent.told.registered.empty() ? RegisterAnswer{} : agent.told.registered.back();
}

Gid DriverTest::Open(FakeAgent& agent, const Gtrid& gtrid, const std::string& resource) {
  RegisterAnswer answer = TryOpen(agent, gtrid, resource, next_request_++);
  EXPECT_TRUE(answer.gid) << answer.refusal.status.ToString();
  return answer.gid.value_or(Gid{});
}

void DriverTest::VoteOn(FakeAgent& agent, const Gid& gid, Vote vote, const std::string& evidence) {
  Say(agent, {.votes = {{.gid = gid, .vote = vote, .evidence = evidence}}});
}

void DriverTest::Report(FakeAgent& agent, const Gid& gid, BranchViewState state,
                        std::string detail) {
  Say(agent, {.finished = {{.gid = gid, .state = state, .detail = std::move(detail)}}});
}

AgentAnswer DriverTest::Ask(FakeAgent& agent, const Gid& gid) {
  agent.told.answers.clear();
  Say(agent, {.inquiries = {gid}});
  EXPECT_TRUE(agent.AnswerTo(gid));
  return agent.AnswerTo(gid).value_or(AgentAnswer::kRetry);
}

Pending<CommitAnswer> DriverTest::Commit(const Gtrid& gtrid, bool for_applied,
                                         std::vector<Ticket> tickets, std::vector<Gid> finished) {
  Pending<CommitAnswer> pending;
  driver_->Post(CommitCall{.gtrid = gtrid,
                           .wait_for_applied = for_applied,
                           .tickets = std::move(tickets),
                           .finished = std::move(finished),
                           .reply = pending.reply()});
  Pump();
  return pending;
}

Pending<ReportAnswer> DriverTest::ReportFinished(std::vector<Gid> gids) {
  Pending<ReportAnswer> pending;
  driver_->Post(ReportCall{std::move(gids), pending.reply()});
  Pump();
  return pending;
}

Pending<RollbackAnswer> DriverTest::Rollback(const Gtrid& gtrid) {
  Pending<RollbackAnswer> pending;
  driver_->Post(RollbackCall{gtrid, pending.reply()});
  Pump();
  return pending;
}

Pending<TransactionView> DriverTest::Get(const Gtrid& gtrid) {
  Pending<TransactionView> pending;
  driver_->Post(GetCall{gtrid, pending.reply()});
  Pump();
  return pending;
}

ListAnswer DriverTest::List() {
  Pending<ListAnswer> pending;
  driver_->Post(ListCall{.reply = pending.reply()});
  Pump();
  return *pending;
}

StatusAnswer DriverTest::GetStatus() {
  Pending<StatusAnswer> pending;
  driver_->Post(StatusCall{pending.reply()});
  Pump();
  return *pending;
}

Pending<ForgetAnswer> DriverTest::Forget(const Gtrid& gtrid) {
  Pending<ForgetAnswer> pending;
  driver_->Post(ForgetCall{gtrid, pending.reply()});
  Pump();
  return pending;
}

DriverTest::Pair DriverTest::BeginPair(const std::string& key) {
  if (!pg_) pg_ = Connect("agent-pg", {"pg"});
  if (!my_) my_ = Connect("agent-my", {"my"});
  Pair pair{.gtrid = Begin(key)};
  pair.pg = Open(*pg_, pair.gtrid, "pg");
  pair.my = Open(*my_, pair.gtrid, "my");
  return pair;
}

Pending<CommitAnswer> DriverTest::CommitPair(const Pair& pair, bool for_applied) {
  auto pending = Commit(pair.gtrid, for_applied);
  VoteOn(*pg_, pair.pg, Vote::kYes, "xid:1");
  VoteOn(*my_, pair.my, Vote::kYes);
  return pending;
}

}  // namespace assent::coordinator
