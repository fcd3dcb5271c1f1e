// The answer of one ExecuteStream: rows on their way from a session's thread to their reader. It
// holds what gRPC writes, one part that waits, and one that is being filled; whoever brings more
// waits for the reader. So a result of any size takes the memory of three parts.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>

#include "adapters/resource_manager.h"
#include "assent/v1/branch_service.pb.h"
#include "base/mutex.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

// A part is sent when it has as many bytes, or at the end. A row is never divided: a large one is a
// part by itself, up to kReplyBytesMax.
inline constexpr size_t kPartBytes = 64 << 10;

// Thread-safe where nothing else is said.
class RowStream final : public grpc::ServerWriteReactor<v1::ExecutePart>, public adapters::RowSink {
 public:
  // gRPC keeps it alive until the call is over, its other holders beyond that. `request` stays good
  // until End or Fail.
  static std::shared_ptr<RowStream> Begin(const v1::ExecuteRequest* request);

  const v1::ExecuteRequest& request() const { return *request_; }

  // By the session's thread alone, as WhyStopped.
  bool Columns(std::vector<adapters::Column> columns) override;
  bool Row(std::vector<adapters::Value> values) override EXCLUDES(mutex_);
  // Set: some row was not taken, so whoever reads the stream can't have what was asked for.
  std::optional<Refusal> WhyStopped() EXCLUDES(mutex_);

  // No rows are taken any more, and who waits in Row goes on. The reader hears of the end only by
  // End or Fail.
  void Abandon() EXCLUDES(mutex_);

  // One of them, once, when no more rows come: the rest of the rows and how it ended, or why the
  // call failed.
  void End(const v1::StatementResult& result) EXCLUDES(mutex_);
  void Fail(const CallError& error) EXCLUDES(mutex_);

  // From gRPC.
  void OnWriteDone(bool ok) override EXCLUDES(mutex_);
  void OnCancel() override EXCLUDES(mutex_);
  void OnDone() override;

 private:
  explicit RowStream(const v1::ExecuteRequest* request) : request_(request) {}

  void GoOn() REQUIRES(mutex_);

  const v1::ExecuteRequest* const request_;
  std::shared_ptr<RowStream> self_;  // gRPC's hold on it.
  // Of the session's thread, then of End.
  v1::ExecutePart filling_;
  size_t filling_bytes_ = 0;
  std::optional<Refusal> too_large_;

  Mutex mutex_;
  CondVar changed_;
  bool writing_ GUARDED_BY(mutex_) = false;
  v1::ExecutePart written_;  // By gRPC, while writing_.
  std::deque<v1::ExecutePart> waiting_ GUARDED_BY(mutex_);
  bool abandoned_ GUARDED_BY(mutex_) = false;
  bool reader_left_ GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ GUARDED_BY(mutex_);  // When all that waits is written.
  bool finished_ GUARDED_BY(mutex_) = false;
};

}  // namespace assent::agent
