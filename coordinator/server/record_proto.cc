#include "coordinator/server/record_proto.h"

#include <string>
#include <utility>

namespace assent::coordinator {
namespace {

void Fill(const GroupStart& from, v1::GroupStart* to) {
  to->set_cluster(from.cluster);
  to->set_cluster_uuid(from.cluster_uuid);
  to->set_group(from.group);
  to->set_incarnation(from.incarnation);
}

void Fill(const Decision& from, v1::DecideCommit* to) {
  to->set_gtrid(ToString(from.gtrid));
  to->set_client_key(from.client_key);
  for (const DecidedBranch& branch : from.branches) {
    v1::DecidedBranch* one = to->add_branches();
    one->set_bqual(ToString(branch.bqual));
    one->set_evidence(branch.evidence);
  }
  for (uint32_t branch : from.voided_readers) to->add_voided_readers(branch);
}

void Fill(const Heuristic& from, v1::Heuristic* to) {
  to->set_gtrid(ToString(from.gid.gtrid));
  to->set_bqual(ToString(from.gid.bqual));
  to->set_state(static_cast<uint32_t>(from.end));
  to->set_detail(from.detail);
}

Result<GroupStart> Read(const v1::GroupStart& from) {
  if (!IsClusterName(from.cluster())) return DataLoss("cluster '" + from.cluster() + "'");
  return GroupStart{.cluster = from.cluster(),
                    .cluster_uuid = from.cluster_uuid(),
                    .group = from.group(),
                    .incarnation = from.incarnation()};
}

Result<Decision> Read(const v1::DecideCommit& from) {
  Result<Gtrid> gtrid = ParseGtrid(from.gtrid());
  if (!gtrid.ok()) return DataLoss(gtrid.status().message());
  Decision decision{.gtrid = std::move(*gtrid), .client_key = from.client_key()};
  for (const v1::DecidedBranch& branch : from.branches()) {
    Result<Bqual> bqual = ParseBqual(branch.bqual());
    if (!bqual.ok()) return DataLoss(bqual.status().message());
    decision.branches.push_back({std::move(*bqual), branch.evidence()});
  }
  decision.voided_readers.assign(from.voided_readers().begin(), from.voided_readers().end());
  return decision;
}

Result<End> Read(const v1::End& from) {
  End end;
  for (const std::string& text : from.gtrids()) {
    Result<Gtrid> gtrid = ParseGtrid(text);
    if (!gtrid.ok()) return DataLoss(gtrid.status().message());
    end.gtrids.push_back(std::move(*gtrid));
  }
  return end;
}

Result<Heuristic> Read(const v1::Heuristic& from) {
  Result<Gtrid> gtrid = ParseGtrid(from.gtrid());
  if (!gtrid.ok()) return DataLoss(gtrid.status().message());
  Result<Bqual> bqual = ParseBqual(from.bqual());
  if (!bqual.ok()) return DataLoss(bqual.status().message());
  const BranchEnd end = static_cast<BranchEnd>(from.state());
  if (end != BranchEnd::kHeuristicRollback && end != BranchEnd::kHeuristicCommit &&
      end != BranchEnd::kHazard) {
    return DataLoss("heuristic state " + std::to_string(from.state()));
  }
  return Heuristic{
      .gid = {std::move(*gtrid), std::move(*bqual)}, .end = end, .detail = from.detail()};
}

Result<ForgetHeuristic> Read(const v1::ForgetHeuristic& from) {
  Result<Gtrid> gtrid = ParseGtrid(from.gtrid());
  if (!gtrid.ok()) return DataLoss(gtrid.status().message());
  return ForgetHeuristic{std::move(*gtrid)};
}

template <typename T>
Result<Record> AsRecord(Result<T> read) {
  if (!read.ok()) return read.status();
  return Record{std::move(*read)};
}

// A TableSnapshot and an OlderIncarnation have the same fields for this.
template <typename Proto>
void Fill(const EndedTransactions& from, Proto* to) {
  if (from.watermark) {
    to->set_watermark_epoch(from.watermark->epoch);
    to->set_watermark_seq(from.watermark->seq);
  }
  if (from.newest) {
    to->set_newest_epoch(from.newest->epoch);
    to->set_newest_seq(from.newest->seq);
  }
  for (const auto& [epoch, words] : from.bits) {
    v1::EndedEpoch* one = to->add_ended();
    one->set_epoch(epoch);
    for (const auto& [index, bits] : words) {
      v1::EndedWord* word = one->add_words();
      word->set_index(index);
      word->set_bits(bits);
    }
  }
  for (const auto& [position, branches] : from.attempts) {
    for (const auto& [branch, attempt] : branches) {
      v1::EndedAttempt* one = to->add_attempts();
      one->set_epoch(position.epoch);
      one->set_seq(position.seq);
      one->set_branch(branch);
      one->set_attempt(attempt);
    }
  }
  for (const auto& [tick, position] : from.marks) {
    v1::RetentionMark* mark = to->add_marks();
    mark->set_tick(tick);
    mark->set_epoch(position.epoch);
    mark->set_seq(position.seq);
  }
}

template <typename Proto>
EndedTransactions ReadEnded(const Proto& from) {
  EndedTransactions to;
  // Terms begin at 1, so epoch 0 stands for none.
  if (from.watermark_epoch() != 0) {
    to.watermark = Position{from.watermark_epoch(), from.watermark_seq()};
  }
  if (from.newest_epoch() != 0) to.newest = Position{from.newest_epoch(), from.newest_seq()};
  for (const v1::EndedEpoch& epoch : from.ended()) {
    for (const v1::EndedWord& word : epoch.words()) {
      to.bits[epoch.epoch()][word.index()] = word.bits();
    }
  }
  for (const v1::EndedAttempt& one : from.attempts()) {
    to.attempts[{one.epoch(), one.seq()}][one.branch()] = one.attempt();
  }
  for (const v1::RetentionMark& mark : from.marks()) {
    to.marks[mark.tick()] = {mark.epoch(), mark.seq()};
  }
  return to;
}

Status ReadUnfinished(const v1::TableSnapshot& from, DecisionTable::State* to) {
  for (const v1::UnfinishedCommit& one : from.unfinished()) {
    Result<Decision> decision = Read(one.decision());
    if (!decision.ok()) return decision.status();
    DecisionTable::Unfinished entry{.decision = std::move(*decision)};
    for (const v1::Heuristic& report : one.heuristics()) {
      Result<Heuristic> heuristic = Read(report);
      if (!heuristic.ok()) return heuristic.status();
      entry.heuristics.push_back(std::move(*heuristic));
    }
    Gtrid gtrid = entry.decision.gtrid;
    to->unfinished.emplace(std::move(gtrid), std::move(entry));
  }
  return Ok();
}

Status ReadKeys(const v1::TableSnapshot& from, DecisionTable::State* to) {
  for (const v1::KeptKey& key : from.keys()) {
    Result<Gtrid> gtrid = ParseGtrid(key.gtrid());
    if (!gtrid.ok()) return DataLoss(gtrid.status().message());
    to->keys.emplace(key.client_key(),
                     DecisionTable::Key{.gtrid = std::move(*gtrid), .tick = key.tick()});
  }
  return Ok();
}

}  // namespace

v1::LogRecord ToProto(const GroupStart& record) {
  v1::LogRecord proto;
  Fill(record, proto.mutable_group_start());
  return proto;
}

v1::LogRecord ToProto(const Decision& record) {
  v1::LogRecord proto;
  Fill(record, proto.mutable_decide_commit());
  return proto;
}

v1::LogRecord ToProto(const End& record) {
  v1::LogRecord proto;
  v1::End* end = proto.mutable_end();
  for (const Gtrid& gtrid : record.gtrids) end->add_gtrids(ToString(gtrid));
  return proto;
}

v1::LogRecord ToProto(const Heuristic& record) {
  v1::LogRecord proto;
  Fill(record, proto.mutable_heuristic());
  return proto;
}

v1::LogRecord ToProto(const ForgetHeuristic& record) {
  v1::LogRecord proto;
  proto.mutable_forget_heuristic()->set_gtrid(ToString(record.gtrid));
  return proto;
}

v1::LogRecord ToProto(const Tick&) {
  v1::LogRecord proto;
  proto.mutable_tick();
  return proto;
}

Result<Record> FromProto(const v1::LogRecord& proto) {
  switch (proto.kind_case()) {
    case v1::LogRecord::kGroupStart:
      return AsRecord(Read(proto.group_start()));
    case v1::LogRecord::kDecideCommit:
      return AsRecord(Read(proto.decide_commit()));
    case v1::LogRecord::kEnd:
      return AsRecord(Read(proto.end()));
    case v1::LogRecord::kHeuristic:
      return AsRecord(Read(proto.heuristic()));
    case v1::LogRecord::kForgetHeuristic:
      return AsRecord(Read(proto.forget_heuristic()));
    case v1::LogRecord::kTick:
      return Record{Tick{}};
    case v1::LogRecord::KIND_NOT_SET:
      break;
  }
  return DataLoss("no kind");
}

v1::TableSnapshot ToProto(const DecisionTable::State& state) {
  v1::TableSnapshot proto;
  if (state.group) Fill(*state.group, proto.mutable_group());
  proto.set_ticks(state.ticks);
  for (const auto& [gtrid, entry] : state.unfinished) {
    v1::UnfinishedCommit* one = proto.add_unfinished();
    Fill(entry.decision, one->mutable_decision());
    for (const Heuristic& report : entry.heuristics) Fill(report, one->add_heuristics());
  }
  for (const auto& [gtrid, reports] : state.strays) {
    for (const Heuristic& report : reports) Fill(report, proto.add_strays());
  }
  Fill(state.ended, &proto);
  for (const auto& [incarnation, ended] : state.older) {
    v1::OlderIncarnation* one = proto.add_older();
    one->set_incarnation(incarnation);
    Fill(ended, one);
  }
  for (const auto& [name, key] : state.keys) {
    v1::KeptKey* one = proto.add_keys();
    one->set_client_key(name);
    one->set_gtrid(ToString(key.gtrid));
    one->set_tick(key.tick);
  }
  return proto;
}

Result<DecisionTable::State> FromProto(const v1::TableSnapshot& proto) {
  DecisionTable::State state;
  if (proto.has_group()) {
    Result<GroupStart> group = Read(proto.group());
    if (!group.ok()) return group.status();
    state.group = std::move(*group);
  }
  state.ticks = proto.ticks();
  state.ended = ReadEnded(proto);
  for (const v1::OlderIncarnation& one : proto.older()) {
    state.older[one.incarnation()] = ReadEnded(one);
  }
  if (Status read = ReadUnfinished(proto, &state); !read.ok()) return read;
  for (const v1::Heuristic& report : proto.strays()) {
    Result<Heuristic> stray = Read(report);
    if (!stray.ok()) return stray.status();
    state.strays[stray->gid.gtrid].push_back(*stray);
  }
  if (Status read = ReadKeys(proto, &state); !read.ok()) return read;
  return state;
}

}  // namespace assent::coordinator
