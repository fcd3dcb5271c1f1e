#include "tests/agent/fake_coordinator.h"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

namespace assent::agent {

FakeCoordinator::FakeCoordinator(int port) {
  {
    MutexLock lock(mutex_);
    welcome_.set_cluster("test");
    welcome_.set_cluster_uuid("11111111-2222-4333-8444-555555555555");
    welcome_.set_group(0);
    welcome_.set_group_incarnation(77);
    welcome_.mutable_leadership()->set_term(5);
    welcome_.mutable_leadership()->set_leader(true);
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeCoordinator::~FakeCoordinator() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

grpc::Status FakeCoordinator::Connect(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) {
  v1::AgentMessage said;
  if (!stream->Read(&said) || !said.has_hello()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no hello");
  }
  Peer peer{.context = context, .stream = stream, .resources = said.hello().resources_size()};
  {
    MutexLock lock(mutex_);
    agent_incarnation_ = said.hello().agent_incarnation();
    hellos_.push_back(said.hello());
    v1::CoordinatorMessage first;
    *first.mutable_welcome() = welcome_;
    stream->Write(first);
    peers_.push_back(&peer);
    changed_.NotifyAll();
  }
  while (stream->Read(&said)) {
    MutexLock lock(mutex_);
    ++messages_heard_;
    v1::CoordinatorMessage reply;
    reply.set_heartbeat(true);
    for (const auto& wanted : said.registers()) Register(wanted, &reply);
    registers_.insert(registers_.end(), said.registers().begin(), said.registers().end());
    votes_.insert(votes_.end(), said.votes().begin(), said.votes().end());
    finished_.insert(finished_.end(), said.finished().begin(), said.finished().end());
    inquiries_.insert(inquiries_.end(), said.inquiries().begin(), said.inquiries().end());
    lost_.insert(lost_.end(), said.lost().begin(), said.lost().end());
    if (!silent_) stream->Write(reply);
    changed_.NotifyAll();
  }
  MutexLock lock(mutex_);
  std::erase(peers_, &peer);
  changed_.NotifyAll();
  return grpc::Status::OK;
}

void FakeCoordinator::Register(const v1::RegisterBranch& wanted, v1::CoordinatorMessage* reply) {
  if (ignore_registrations_) return;
  v1::BranchRegistered* answer = reply->add_registered();
  if (refusal_.has_value()) *answer = *refusal_;
  answer->set_request_id(wanted.request_id());
  if (refusal_.has_value()) return;
  const Gid gid{.gtrid = *ParseGtrid(wanted.gtrid()),
                .bqual = {.mode = Mode::kTwoPhase,
                          .resource = wanted.resource(),
                          .branch = next_branch_++,
                          .attempt = 1}};
  answer->set_gid(ToString(gid));
  answer->set_remaining_ms(remaining_ms_);
}

v1::Welcome FakeCoordinator::welcome() {
  MutexLock lock(mutex_);
  return welcome_;
}

void FakeCoordinator::SetWelcome(const v1::Welcome& welcome) {
  MutexLock lock(mutex_);
  welcome_ = welcome;
}

void FakeCoordinator::RefuseRegistrations(std::optional<v1::BranchRegistered> refusal) {
  MutexLock lock(mutex_);
  refusal_ = std::move(refusal);
}

void FakeCoordinator::IgnoreRegistrations(bool ignore) {
  MutexLock lock(mutex_);
  ignore_registrations_ = ignore;
}

void FakeCoordinator::FallSilent(bool silent) {
  MutexLock lock(mutex_);
  silent_ = silent;
}

void FakeCoordinator::SetRemaining(uint32_t remaining_ms) {
  MutexLock lock(mutex_);
  remaining_ms_ = remaining_ms;
}

Gtrid FakeCoordinator::NextGtrid() {
  MutexLock lock(mutex_);
  return {.cluster = welcome_.cluster(),
          .incarnation = welcome_.group_incarnation(),
          .group = 0,
          .epoch = welcome_.leadership().term(),
          .seq = next_seq_++};
}

void FakeCoordinator::Say(const v1::CoordinatorMessage& message) {
  MutexLock lock(mutex_);
  for (Peer* peer : peers_) peer->stream->Write(message);
}

void FakeCoordinator::Prepare(const std::string& gid, const v1::AppHeld* app_held) {
  v1::CoordinatorMessage message;
  v1::PrepareBranch* prepare = message.add_prepares();
  prepare->set_gid(gid);
  prepare->set_remaining_ms(10'000);
  if (app_held != nullptr) *prepare->mutable_app_held() = *app_held;
  Say(message);
}

void FakeCoordinator::Finish(const std::string& gid, bool commit, const std::string& evidence,
                             const v1::AppHeld* app_held) {
  v1::CoordinatorMessage message;
  v1::FinishBranch* finish = message.add_finishes();
  finish->set_gid(gid);
  finish->set_commit(commit);
  finish->set_evidence(evidence);
  if (app_held != nullptr) *finish->mutable_app_held() = *app_held;
  Say(message);
}

void FakeCoordinator::Forget(const std::string& gid) {
  v1::CoordinatorMessage message;
  message.add_forget(gid);
  Say(message);
}

void FakeCoordinator::Answer(const std::string& gid, v1::InquiryAnswer::Answer answer) {
  v1::CoordinatorMessage message;
  v1::InquiryAnswer* said = message.add_answers();
  said->set_gid(gid);
  said->set_answer(answer);
  Say(message);
}

void FakeCoordinator::Lead(uint64_t term, bool leader) {
  v1::CoordinatorMessage message;
  message.mutable_leadership()->set_term(term);
  message.mutable_leadership()->set_leader(leader);
  {
    MutexLock lock(mutex_);
    *welcome_.mutable_leadership() = message.leadership();
  }
  Say(message);
}

void FakeCoordinator::DropLinks() {
  MutexLock lock(mutex_);
  const std::vector<Peer*> old = peers_;
  for (Peer* peer : old) peer->context->TryCancel();
  auto any_left = [&]() REQUIRES(mutex_) {
    return std::any_of(old.begin(), old.end(), [&](Peer* peer) REQUIRES(mutex_) {
      return std::find(peers_.begin(), peers_.end(), peer) != peers_.end();
    });
  };
  while (any_left()) changed_.Wait(mutex_);
}

uint64_t FakeCoordinator::agent_incarnation() {
  MutexLock lock(mutex_);
  return agent_incarnation_;
}

size_t FakeCoordinator::agents() {
  MutexLock lock(mutex_);
  return peers_.size();
}

void FakeCoordinator::Disregard() {
  MutexLock lock(mutex_);
  votes_.clear();
  finished_.clear();
  inquiries_.clear();
  lost_.clear();
  hellos_.clear();
  registers_.clear();
}

size_t FakeCoordinator::registers_waiting() {
  MutexLock lock(mutex_);
  return registers_.size();
}

size_t FakeCoordinator::verdicts_waiting() {
  MutexLock lock(mutex_);
  return votes_.size() + lost_.size();
}

size_t FakeCoordinator::inquiries_waiting() {
  MutexLock lock(mutex_);
  return inquiries_.size();
}

int FakeCoordinator::messages_heard() {
  MutexLock lock(mutex_);
  return messages_heard_;
}

bool FakeCoordinator::WaitServed(int resources) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  MutexLock lock(mutex_);
  while (true) {
    for (const Peer* peer : peers_) {
      if (peer->resources == resources) return true;
    }
    if (!changed_.WaitUntil(mutex_, until)) return false;
  }
}

}  // namespace assent::agent
