#include "coordinator/server/restore_node.h"

#include <string>
#include <utility>

#include "base/random.h"
#include "coordinator/core/restore.h"
#include "coordinator/server/first_members.h"
#include "coordinator/server/record_codec.h"
#include "txlog/etcd/etcd_log.h"
#include "txlog/etcd/group.h"
#include "txlog/replicated/replicated_log.h"
#include "txlog/storage/posix_disk.h"

namespace assent::coordinator {
namespace {

Status CheckCluster(const Options& options, const BackupHeader& backup) {
  auto refuse = [&options](const std::string& what, const std::string& theirs,
                           const std::string& ours) {
    return FailedPrecondition("backup " + options.restore + " is of " + what + " " + theirs +
                              ", this node is configured as " + ours +
                              ": name another backup, or correct the configuration");
  };
  if (backup.cluster != options.cluster) {
    return refuse("cluster", backup.cluster, options.cluster);
  }
  if (!options.cluster_uuid.empty() && backup.cluster_uuid != options.cluster_uuid) {
    return refuse("the cluster of uuid", backup.cluster_uuid, options.cluster_uuid);
  }
  return Ok();
}

// The group that the header names and the one in the state, which decides.
Status CheckState(const Options& options, const BackupHeader& header,
                  const DecisionTable::State& state) {
  if (state.group && state.group->cluster == header.cluster &&
      state.group->cluster_uuid == header.cluster_uuid && state.group->group == header.group &&
      state.group->incarnation == header.group_incarnation) {
    return Ok();
  }
  return DataLoss("backup " + options.restore +
                  " is damaged: its state is not of the group that its header names. Take another "
                  "copy, or another backup");
}

Status MakeDirectory(const Options& options, const GroupStart& group, const std::string& state) {
  const txlog::NodeIdentity identity{.cluster = group.cluster,
                                     .cluster_uuid = group.cluster_uuid,
                                     .node_id = options.node_id,
                                     .group_incarnation = group.incarnation,
                                     .directory = SystemRandom64()};
  txlog::PosixDisk disk;
  return txlog::RestoreGroup(disk, options.data_dir, identity, state, OnlyMember(options));
}

Status MakeInEtcd(const Options& options, const GroupStart& group, const std::string& state) {
  auto log = EtcdLogOptionsOf(options);
  if (!log.ok()) return log.status();
  return txlog::etcd::RestoreGroup(log->client, log->prefix, {group.cluster_uuid, group.cluster},
                                   state);
}

}  // namespace

Result<RestoredNode> RestoreNode(const Options& options) {
  std::string bytes;
  Result<BackupHeader> header = ReadBackup(options.restore, &bytes);
  if (!header.ok()) return header.status();
  if (Status s = CheckCluster(options, *header); !s.ok()) return s;
  const RecordCodec codec;
  Result<DecisionTable::State> backup = codec.DecodeState(bytes);
  if (!backup.ok()) {
    return Status(backup.status().code(),
                  "backup " + options.restore + ": " + backup.status().message());
  }
  if (Status s = CheckState(options, *header, *backup); !s.ok()) return s;
  const uint64_t incarnation = SystemRandom64();
  Result<DecisionTable::State> state = RestoredState(std::move(*backup), incarnation);
  if (!state.ok()) return state.status();
  const std::string encoded = codec.EncodeState(*state);
  Status made = UsesEtcd(options) ? MakeInEtcd(options, *state->group, encoded)
                                  : MakeDirectory(options, *state->group, encoded);
  if (!made.ok()) return made;
  return RestoredNode{.backup = std::move(*header), .incarnation = state->group->incarnation};
}

}  // namespace assent::coordinator
