#include "participant-agent/server/row_stream.h"

#include <utility>

#include "participant-agent/server/convert.h"
#include "participant-agent/server/work_session.h"

namespace assent::agent {

std::shared_ptr<RowStream> RowStream::Begin(const v1::ExecuteRequest* request) {
  std::shared_ptr<RowStream> stream(new RowStream(request));
  stream->self_ = stream;
  return stream;
}

bool RowStream::Columns(std::vector<adapters::Column> columns) {
  for (adapters::Column& column : columns) ToProto(std::move(column), filling_.add_columns());
  return true;
}

bool RowStream::Row(std::vector<adapters::Value> values) {
  v1::Row* row = filling_.add_rows();
  for (const adapters::Value& value : values) ToProto(value, row->add_values());
  const size_t bytes = row->ByteSizeLong();
  if (bytes > kReplyBytesMax) {
    filling_.mutable_rows()->RemoveLast();
    too_large_ = {.cause = Cause::kStatementFailed,
                  .code = std::string(CodeName(Code::kOutOfRange)),
                  .message = "a row has " + std::to_string(bytes) + " bytes: at most " +
                             std::to_string(kReplyBytesMax) + "; select less of it"};
    return false;
  }
  filling_bytes_ += bytes;
  if (filling_bytes_ < kPartBytes) return true;
  MutexLock lock(mutex_);
  while (!waiting_.empty() && !abandoned_) changed_.Wait(mutex_);
  if (abandoned_) return false;
  waiting_.push_back(std::exchange(filling_, {}));
  filling_bytes_ = 0;
  GoOn();
  return true;
}

std::optional<Refusal> RowStream::WhyStopped() {
  if (too_large_.has_value()) return too_large_;
  MutexLock lock(mutex_);
  if (!abandoned_) return std::nullopt;
  return Refusal{.cause = Cause::kStatementFailed,
                 .code = std::string(CodeName(Code::kCancelled)),
                 .message = reader_left_ ? "the reader of the rows left before their end"
                                         : "the branch ended before its rows were read"};
}

void RowStream::Abandon() {
  MutexLock lock(mutex_);
  abandoned_ = true;
  changed_.NotifyAll();
}

void RowStream::End(const v1::StatementResult& result) {
  filling_.set_end(true);
  filling_.set_rows_affected(result.rows_affected());
  if (result.has_error()) *filling_.mutable_error() = result.error();
  MutexLock lock(mutex_);
  if (!reader_left_) waiting_.push_back(std::exchange(filling_, {}));
  end_ = grpc::Status::OK;
  GoOn();
}

void RowStream::Fail(const CallError& error) {
  MutexLock lock(mutex_);
  waiting_.clear();
  end_ = ToGrpc(error);
  GoOn();
}

void RowStream::GoOn() {
  if (writing_ || finished_) return;
  if (!waiting_.empty()) {
    written_ = std::move(waiting_.front());
    waiting_.pop_front();
    writing_ = true;
    changed_.NotifyAll();
    StartWrite(&written_);
  } else if (end_.has_value()) {
    finished_ = true;
    Finish(*end_);
  }
}

void RowStream::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (!ok) {
    reader_left_ = abandoned_ = true;
    waiting_.clear();
    changed_.NotifyAll();
  }
  GoOn();
}

void RowStream::OnCancel() {
  MutexLock lock(mutex_);
  reader_left_ = abandoned_ = true;
  waiting_.clear();
  changed_.NotifyAll();
}

// Nobody is told any more: this may be the last holder.
void RowStream::OnDone() { const std::shared_ptr<RowStream> last = std::move(self_); }

}  // namespace assent::agent
