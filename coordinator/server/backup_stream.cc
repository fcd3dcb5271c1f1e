#include "coordinator/server/backup_stream.h"

#include <grpcpp/server_context.h>

#include <ctime>
#include <utility>
#include <variant>

#include "base/backup/backup_file.h"
#include "base/crc32c.h"
#include "base/options.h"
#include "coordinator/server/call.h"

namespace assent::coordinator {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

std::string WallTime() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string HeaderOf(const BackupAnswer& answer) {
  return EncodeBackupHeader({.program = std::string(Version()),
                             .cluster = answer.group.cluster,
                             .cluster_uuid = answer.group.cluster_uuid,
                             .group = answer.group.group,
                             .group_incarnation = answer.group.incarnation,
                             .term = answer.term,
                             .index = answer.index,
                             .taken = WallTime(),
                             .decisions = answer.decisions,
                             .unfinished = answer.unfinished,
                             .state_bytes = answer.state.size()});
}

}  // namespace

bool BackupSlot::Take(grpc::CallbackServerContext& context) {
  const MonotonicTime now = std::chrono::steady_clock::now();
  MutexLock lock(mutex_);
  if (holder_ != nullptr) {
    if (now - moved_ > kStalled) holder_->TryCancel();
    return false;
  }
  holder_ = &context;
  moved_ = now;
  return true;
}

void BackupSlot::NoteProgress() {
  MutexLock lock(mutex_);
  moved_ = std::chrono::steady_clock::now();
}

void BackupSlot::Release() {
  MutexLock lock(mutex_);
  holder_ = nullptr;
}

grpc::ServerWriteReactor<v1::BackupChunk>* BackupStream::Start(grpc::CallbackServerContext& context,
                                                               Driver& driver, BackupSlot& slot) {
  if (!slot.Take(context)) {
    auto* refused = new BackupStream(nullptr);
    refused->Finish(
        ToGrpc({ResourceExhausted("another backup of this coordinator is being sent: repeat this "
                                  "one when that is over"),
                Reason::kLimit,
                1000,
                {}}));
    return refused;
  }
  auto* stream = new BackupStream(&slot);
  const bool taken = driver.TryPost(
      BackupCall{[stream](Answer<BackupAnswer> answer) { stream->Begin(std::move(answer)); }});
  if (!taken) stream->Finish(NotTaken(driver));
  return stream;
}

void BackupStream::Begin(Answer<BackupAnswer> answer) {
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    Finish(ToGrpc(*refusal));
    return;
  }
  auto& backup = std::get<BackupAnswer>(answer);
  const std::string header = HeaderOf(backup);
  crc_ = Crc32c(header);
  state_ = std::move(backup.state);
  chunk_.set_data(header);
  StartWrite(&chunk_);
}

void BackupStream::OnWriteDone(bool ok) {
  if (!ok) {
    Finish(grpc::Status::CANCELLED);
    return;
  }
  slot_->NoteProgress();
  if (ended_) {
    Finish(grpc::Status::OK);
    return;
  }
  const std::string_view piece = std::string_view(state_).substr(sent_, kChunkBytes);
  sent_ += piece.size();
  crc_ = Crc32c(piece, crc_);
  ended_ = piece.empty();
  chunk_.set_data(ended_ ? EncodeBackupEnd(crc_) : std::string(piece));
  StartWrite(&chunk_);
}

void BackupStream::OnDone() {
  if (slot_ != nullptr) slot_->Release();
  delete this;
}

}  // namespace assent::coordinator
