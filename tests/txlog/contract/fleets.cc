#include <utility>

#include "tests/support/etcd_servers.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/txlog/contract/fleet.h"
#include "txlog/etcd/etcd_log.h"
#include "txlog/etcd/group.h"
#include "txlog/replicated/replicated_log.h"
#include "txlog/storage/posix_disk.h"

namespace assent::txlog {
namespace {

constexpr char kCluster[] = "bank";
constexpr char kUuid[] = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";

class RaftFleet final : public Fleet {
 public:
  static Result<std::unique_ptr<Fleet>> Make(size_t size) {
    auto fleet = std::make_unique<RaftFleet>();
    for (uint64_t id = 1; id <= size; ++id) {
      const std::string address = "127.0.0.1:" + std::to_string(test_support::PickFreePort());
      fleet->members_.push_back({.id = id, .peer_address = address, .address = address});
    }
    for (const Member& member : fleet->members_) {
      PosixDisk disk;
      Status made = BootstrapGroup(disk, fleet->Directory(member), {kCluster, kUuid, member.id},
                                   kFirstRecord, fleet->members_);
      if (!made.ok()) return made;
    }
    return std::unique_ptr<Fleet>(std::move(fleet));
  }

  size_t size() const override { return members_.size(); }
  Result<std::unique_ptr<DecisionLog>> Open(size_t which, Listener& listener,
                                            uint64_t snapshot_after_bytes) override {
    const Member& member = members_[which];
    ReplicatedLogOptions options{.directory = Directory(member),
                                 .cluster = kCluster,
                                 .node_id = member.id,
                                 .segment_bytes = 256 << 10,
                                 .snapshot_after_bytes = snapshot_after_bytes};
    const TransportOptions transport{.listen = member.peer_address,
                                     .advertise = member.peer_address};
    auto log = ReplicatedLog::Open(options, size() == 1 ? nullptr : &transport, listener);
    if (!log.ok()) return log.status();
    return std::unique_ptr<DecisionLog>(std::move(*log));
  }

 private:
  std::string Directory(const Member& member) const {
    return dir_.File("node" + std::to_string(member.id));
  }

  test_support::TempDir dir_;
  std::vector<Member> members_;
};

class EtcdFleet final : public Fleet {
 public:
  static Result<std::unique_ptr<Fleet>> Make() {
    auto fleet = std::make_unique<EtcdFleet>();
    // One etcd for all of the process: groups have their own prefixes in it.
    static auto servers = test_support::EtcdServers::Create();
    if (!servers.ok()) return servers.status();
    static int groups = 0;
    fleet->prefix_ = "assent/group" + std::to_string(++groups);
    fleet->client_.endpoints = (*servers)->endpoints();
    Status made =
        etcd::BootstrapGroup(fleet->client_, fleet->prefix_, {kUuid, kCluster}, kFirstRecord);
    if (!made.ok()) return made;
    return std::unique_ptr<Fleet>(std::move(fleet));
  }

  size_t size() const override { return 3; }
  Result<std::unique_ptr<DecisionLog>> Open(size_t which, Listener& listener,
                                            uint64_t snapshot_after_bytes) override {
    EtcdLogOptions options{.client = client_,
                           .prefix = prefix_,
                           .cluster = kCluster,
                           .address = "process" + std::to_string(which) + ":7400",
                           .lease = std::chrono::seconds(2),
                           .snapshot_after_bytes = snapshot_after_bytes};
    auto log = EtcdLog::Open(options, listener);
    if (!log.ok()) return log.status();
    return std::unique_ptr<DecisionLog>(std::move(*log));
  }

 private:
  etcd::ClientOptions client_;
  std::string prefix_;
};

}  // namespace

std::vector<EngineUnderTest> Engines() {
  return {{"RaftOfOne", 1, false, [] { return RaftFleet::Make(1); }},
          {"RaftOfThree", 3, false, [] { return RaftFleet::Make(3); }},
          {"Etcd", 3, true, [] { return EtcdFleet::Make(); }}};
}

}  // namespace assent::txlog
