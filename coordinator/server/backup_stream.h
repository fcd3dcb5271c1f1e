// One call of AdminService.Backup: the driver encodes the state once, and its bytes leave in chunks
// as fast as the caller reads them.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <string>

#include "assent/v1/admin_service.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

// Who sends a backup now: one at a time, since each holds a copy of the state. Thread-safe.
class BackupSlot {
 public:
  // False: somebody has it. If that one has not moved for kStalled, it is told to end, so that a
  // later call finds room.
  bool Take(grpc::CallbackServerContext& context) EXCLUDES(mutex_);
  void NoteProgress() EXCLUDES(mutex_);
  void Release() EXCLUDES(mutex_);

  static constexpr auto kStalled = std::chrono::minutes(1);

 private:
  Mutex mutex_;
  grpc::CallbackServerContext* holder_ GUARDED_BY(mutex_) = nullptr;
  MonotonicTime moved_ GUARDED_BY(mutex_){};
};

// Deletes itself when the call is over.
class BackupStream final : public grpc::ServerWriteReactor<v1::BackupChunk> {
 public:
  static grpc::ServerWriteReactor<v1::BackupChunk>* Start(grpc::CallbackServerContext& context,
                                                          Driver& driver, BackupSlot& slot);

 private:
  explicit BackupStream(BackupSlot* slot) : slot_(slot) {}

  // On the driver's thread.
  void Begin(Answer<BackupAnswer> answer);
  void OnWriteDone(bool ok) override;
  void OnDone() override;

  BackupSlot* const slot_;  // Null if it was refused.
  std::string state_;
  size_t sent_ = 0;  // Of the state.
  uint32_t crc_ = 0;
  bool ended_ = false;  // The last chunk is on its way.
  v1::BackupChunk chunk_;
};

}  // namespace assent::coordinator
