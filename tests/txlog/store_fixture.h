// A LogStore on a simulated disk, and a directory worth damaging.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "tests/txlog/sim_disk.h"
#include "txlog/storage/files.h"
#include "txlog/storage/log_store.h"

namespace assent::txlog {

inline const NodeIdentity kTestIdentity{"bank", "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", 1};

// What a log begins with.
inline std::vector<Entry> First(std::string record) {
  return {{.index = 1, .term = 1, .payload = std::move(record)}};
}

class InlineExecutor final : public Executor {
 public:
  void Run(std::function<void()> task) override { task(); }
};

class StoreTest : public testing::Test {
 protected:
  StoreTest() { SetLogLevel(LogLevel::kError); }

  void Create() {
    Status s = LogStore::Create(disk_, kDirectory, kTestIdentity, First("first"));
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  LogStoreOptions Options() const {
    return {.directory = kDirectory, .cluster = "bank", .segment_bytes = 4096};
  }

  Result<std::unique_ptr<LogStore>> TryOpen(LogStoreOptions options) {
    store_.reset();
    recovered_ = Recovered();
    return LogStore::Open(
        disk_, std::move(options), executor_, [](const Status&) {}, &recovered_);
  }
  // Reopened as after a process's death.
  Status TryOpen() {
    store_.reset();
    disk_.ProcessDeath();
    Result<std::unique_ptr<LogStore>> store = TryOpen(Options());
    if (!store.ok()) return store.status();
    store_ = std::move(*store);
    return Ok();
  }
  void Open() {
    Status s = TryOpen();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void SetTerm(Term term) {
    Status s = store_->SaveHardState({.term = term, .vote = 1, .log_floor = floor_});
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  // One batch.
  Status Append(const std::vector<std::string>& records) {
    std::vector<Entry> entries;
    for (const std::string& record : records) {
      entries.push_back({.index = store_->last_index() + 1 + entries.size(),
                         .term = store_->hard_state().term,
                         .payload = record});
    }
    if (Status s = store_->Write(entries); !s.ok()) return s;
    return store_->Force();
  }
  // Segments from entry 1, 4 and 6; the last one has three batches (6), (7, 8) and (9).
  void MakeThreeSegments() {
    Create();
    Open();
    SetTerm(2);
    const std::string third(1300, 'x');
    ASSERT_TRUE(Append({third}).ok());            // 2
    ASSERT_TRUE(Append({third}).ok());            // 3
    ASSERT_TRUE(Append({third, third}).ok());     // 4, 5
    ASSERT_TRUE(Append({third, third}).ok());     // 6, 7
    ASSERT_TRUE(Append({"eight", "nine"}).ok());  // 8, 9
    ASSERT_TRUE(Append({"ten"}).ok());            // 10
    store_.reset();
  }
  std::vector<std::string> Payloads() const {
    std::vector<std::string> payloads;
    for (const Entry& entry : recovered_.entries) payloads.push_back(entry.payload);
    return payloads;
  }
  static std::string Segment(Index first) { return kDirectory + "/" + SegmentName(first); }

  inline static const std::string kDirectory = "/sim";
  SimDisk disk_{1};
  InlineExecutor executor_;
  Recovered recovered_;
  Index floor_ = 0;
  std::unique_ptr<LogStore> store_;
};

}  // namespace assent::txlog
