// An agent that misbehaves on request, without a database.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "assent/v1/branch_service.grpc.pb.h"
#include "tests/client/fake_coordinator.h"
#include "tests/client/fake_services.h"

namespace assent::client {

// Runs a statement by noting it. "fail <CAUSE number>" fails; "rows <n>" answers n rows, streamed
// in parts of 10, and "cut <n>" loses the answer after them.
class FakeAgent final : public v1::BranchService::Service {
 public:
  Script script;

  grpc::Status Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                    v1::OpenReply* reply) override {
    Step step = script.Next(
        "Open", request->gtrid() + " " + request->resource() + " " + request->open_id());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    if (!request->gid().empty() && request->agent_incarnation() != kFakeIncarnation) {
      return rpc::ToGrpc(InvalidArgument("agent_incarnation is not that of Begin"));
    }
    MutexLock lock(mutex_);
    auto [it, fresh] =
        opens_.try_emplace(request->gid() + request->gtrid() + " " + request->open_id());
    if (fresh) {
      it->second.set_gid(request->gid().empty() ? "b-" + std::to_string(opens_.size())
                                                : request->gid());
      uint64_t& last = last_seq_[it->second.gid()];
      last = request->statements().empty() ? 0 : 1;
      if (RunAll(request->statements(), it->second.mutable_results()) && request->prepare()) {
        Prepare(it->second.gid(), it->second.mutable_verdict());
      }
    }
    *reply = it->second;
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                       v1::ExecuteReply* reply) override {
    Step step = script.Next("Execute", request->gid() + " " + std::to_string(request->seq()));
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    uint64_t& last = last_seq_[request->gid()];
    if (request->seq() == last + 1) {
      last = request->seq();
      stored_[request->gid()].Clear();
      v1::ExecuteReply& stored = stored_[request->gid()];
      if (RunAll(request->statements(), stored.mutable_results()) && request->prepare()) {
        Prepare(request->gid(), stored.mutable_verdict());
      }
    } else if (request->seq() != last) {
      v1::ErrorDetail detail;
      detail.set_reason(v1::REASON_SEQUENCE_GAP);
      return rpc::ToGrpc(FailedPrecondition("seq " + std::to_string(request->seq())), detail);
    }
    *reply = stored_[request->gid()];
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status ExecuteStream(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                             grpc::ServerWriter<v1::ExecutePart>* writer) override {
    Step step = script.Next("ExecuteStream", request->gid() + " " + std::to_string(request->seq()));
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    const std::string sql = request->statements(0).sql();
    {
      MutexLock lock(mutex_);
      ran_.push_back(sql);
      last_seq_[request->gid()] = request->seq();
    }
    v1::ExecutePart part;
    part.add_columns()->set_name("n");
    if (sql.starts_with("fail ")) {
      part.mutable_error()->set_cause(static_cast<v1::BranchCause>(std::stoi(sql.substr(5))));
      part.mutable_error()->set_branch_doomed(!request->statements(0).keep_on_error());
      part.set_end(true);
      writer->Write(part);
      return grpc::Status::OK;
    }
    const int rows = std::stoi(sql.substr(sql.find(' ') + 1));
    for (int row = 0; row < rows; ++row) {
      part.add_rows()->add_values()->set_integer(row);
      if (part.rows_size() < 10) continue;
      writer->Write(part);
      part.Clear();
    }
    if (sql.starts_with("cut ")) return Lost();
    part.set_end(true);
    part.set_rows_affected(static_cast<uint64_t>(rows));
    writer->Write(part);
    return grpc::Status::OK;
  }

  grpc::Status Enlist(grpc::ServerContext* context, const v1::EnlistRequest* request,
                      v1::EnlistReply* reply) override {
    Step step = script.Next("Enlist", request->gtrid() + " " + request->resource());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    auto [it, fresh] = enlists_.try_emplace(request->open_id());
    if (fresh) {
      it->second.set_gid("e-" + std::to_string(enlists_.size()));
      it->second.set_kind(FakeKind(request->resource()));
      *it->second.mutable_statements() = FakeStatements(request->resource(), it->second.gid());
      enlisted_.push_back(*request);
    }
    *reply = it->second;
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Vote(grpc::ServerContext* context, const v1::VoteRequest* request,
                    v1::VoteReply* reply) override {
    Step step = script.Next("Vote", request->gid());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    Prepare(request->gid(), reply->mutable_verdict());
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  // What is prepared from now on votes no.
  void Refuse(bool refuse) {
    MutexLock lock(mutex_);
    refuse_ = refuse;
  }
  std::vector<v1::EnlistRequest> enlisted() {
    MutexLock lock(mutex_);
    return enlisted_;
  }

  // Every statement that ran, in order.
  std::vector<std::string> ran() {
    MutexLock lock(mutex_);
    return ran_;
  }
  size_t opened() {
    MutexLock lock(mutex_);
    return opens_.size();
  }

 private:
  using Statements = google::protobuf::RepeatedPtrField<v1::Statement>;
  using Results = google::protobuf::RepeatedPtrField<v1::StatementResult>;

  void Prepare(const std::string& gid, v1::BranchVerdict* verdict) REQUIRES(mutex_) {
    if (refuse_) {
      verdict->mutable_refusal()->set_cause(v1::BRANCH_CAUSE_NOT_PREPARED);
      verdict->mutable_refusal()->set_message("not listed");
      return;
    }
    verdict->mutable_ticket()->set_gid(gid);
    verdict->mutable_ticket()->set_agent_incarnation(7);
    verdict->mutable_ticket()->set_evidence("seen");
  }

  // False: one failed.
  bool RunAll(const Statements& statements, Results* results) REQUIRES(mutex_) {
    for (const v1::Statement& statement : statements) {
      ran_.push_back(statement.sql());
      v1::StatementResult* result = results->Add();
      if (statement.sql().starts_with("fail ")) {
        int cause = std::stoi(statement.sql().substr(5));
        result->mutable_error()->set_cause(static_cast<v1::BranchCause>(cause));
        result->mutable_error()->set_database_code("40P01");
        result->mutable_error()->set_message("as told");
        result->mutable_error()->set_branch_doomed(!statement.keep_on_error());
        return false;
      }
      // Echoes the parameters as one row.
      v1::Row* row = result->add_rows();
      for (const v1::Value& value : statement.parameters()) {
        result->add_columns()->set_name("p" + std::to_string(row->values_size()));
        *row->add_values() = value;
      }
      result->set_rows_affected(1);
    }
    return true;
  }

  Mutex mutex_;
  std::map<std::string, v1::OpenReply> opens_ GUARDED_BY(mutex_);  // By gtrid and open_id.
  std::map<std::string, uint64_t> last_seq_ GUARDED_BY(mutex_);
  std::map<std::string, v1::ExecuteReply> stored_ GUARDED_BY(mutex_);
  std::vector<std::string> ran_ GUARDED_BY(mutex_);
  std::map<std::string, v1::EnlistReply> enlists_ GUARDED_BY(mutex_);  // By open_id.
  std::vector<v1::EnlistRequest> enlisted_ GUARDED_BY(mutex_);
  bool refuse_ GUARDED_BY(mutex_) = false;
};

}  // namespace assent::client
