#include "tests/simulation/etcd_text.h"

#include <string_view>

#include "txlog/etcd/core/batch.h"

namespace assent::simulation {

using namespace txlog::etcd;  // NOLINT

namespace {

// Behind "PREFIX/group/" or "PREFIX/"; of slots and chunks only the digits that matter.
std::string Short(std::string key) {
  for (std::string_view folder : {"/group/", "/"}) {
    const size_t at = key.find(folder, key.find('/') + 1);
    if (at == std::string::npos) continue;
    key = key.substr(at + folder.size());
    break;
  }
  for (size_t at = key.find("00"); at != std::string::npos; at = key.find("00")) {
    size_t end = at;
    while (end + 1 < key.size() && key[end] == '0' && isxdigit(key[end + 1])) ++end;
    if (end == at) break;
    key.erase(at, end - at);
  }
  if (!key.empty() && key.back() == '\0') key.back() = '+';
  return key;
}

std::string Value(const Put& put) {
  if (const auto batch = DecodeBatch(put.value)) {
    std::string text =
        "term " + std::to_string(batch->term) + " from " + std::to_string(batch->first_index) + ":";
    for (const std::string& record : batch->records) text += record.empty() ? " -" : " " + record;
    return text;
  }
  return put.value;
}

std::string Text(const Operation& operation) {
  if (const auto* put = std::get_if<Put>(&operation)) {
    return "put " + Short(put->key) + "=(" + Value(*put) + ")" +
           (put->lease == 0 ? "" : " lease " + std::to_string(put->lease));
  }
  if (const auto* gone = std::get_if<Delete>(&operation)) {
    return "delete " + Short(gone->key) + (gone->end.empty() ? "" : ".." + Short(gone->end));
  }
  const auto& range = std::get<Range>(operation);
  return "read " + Short(range.key) + (range.end.empty() ? "" : ".." + Short(range.end)) +
         (range.limit == 0 ? "" : " limit " + std::to_string(range.limit)) +
         (range.revision == 0 ? "" : " at " + std::to_string(range.revision));
}

std::string Text(const Compare& compare) {
  return Short(compare.key) +
         (compare.what == Compare::What::kCreateRevision ? " created" : " changed") +
         (compare.is == Compare::Is::kEqual ? "=" : ">") + std::to_string(compare.revision);
}

std::string Ids(const std::vector<uint64_t>& ids) {
  std::string text;
  for (uint64_t id : ids) text += " " + std::to_string(id);
  return text;
}

struct Writer {
  std::string operator()(const SendTxn& a) const {
    return "send " + std::to_string(a.request) + ": " + simulation::Text(a.txn);
  }
  std::string operator()(const GrantLease& a) const {
    return "grant lease " + std::to_string(a.request);
  }
  std::string operator()(const KeepLease& a) const {
    return "keep lease " + std::to_string(a.request) + ": " + std::to_string(a.lease);
  }
  std::string operator()(const StartWatch& a) const {
    return "watch " + std::to_string(a.watch) + " from " + std::to_string(a.from);
  }
  std::string operator()(const StopWatch&) const { return "stop watching"; }
  std::string operator()(const Restore& a) const {
    return "restore " + std::to_string(a.index) + " term " + std::to_string(a.term) + " (" +
           a.state + ")";
  }
  std::string operator()(const Apply& a) const {
    std::string text = "apply";
    for (const txlog::Applied& one : a.entries) {
      text += " " + std::to_string(one.index) + "/" + std::to_string(one.term) + "=" +
              (one.record.empty() ? "-" : one.record.substr(0, one.record.find(' ')));
    }
    return text;
  }
  std::string operator()(const ProposalFates& a) const {
    const char* fate = a.fate == txlog::Fate::kDurable   ? "durable"
                       : a.fate == txlog::Fate::kRefused ? "refused"
                                                         : "in doubt";
    return fate + Ids(a.ids);
  }
  std::string operator()(const LeadershipChanged& a) const {
    return (a.leads ? "lead " : "follow ") + std::to_string(a.term);
  }
  std::string operator()(const LeaderKnown& a) const {
    return "leader of term " + std::to_string(a.term) + ": " +
           (a.owner == 0 ? "nobody" : std::to_string(a.owner) + " " + a.address);
  }
  std::string operator()(const ReadReady& a) const { return "reads ready" + Ids(a.ids); }
  std::string operator()(const ReadsRefused& a) const { return "reads refused" + Ids(a.ids); }
  std::string operator()(const SnapshotWanted&) const { return "snapshot wanted"; }
  std::string operator()(const Resigned& a) const {
    return (a.moved ? "resigned " : "nothing to resign ") + std::to_string(a.id);
  }
  std::string operator()(const SnapshotTaken& a) const {
    return "snapshot taken " + std::to_string(a.index);
  }
  std::string operator()(const Trouble& a) const {
    return a.what.empty() ? "no trouble" : "trouble: " + a.what;
  }
  std::string operator()(const Halt& a) const { return "halt: " + a.why; }
};

}  // namespace

std::string Text(const Txn& txn) {
  std::string text;
  for (const Compare& one : txn.compares) text += (text.empty() ? "if " : ", ") + Text(one);
  if (!text.empty()) text += ": ";
  for (size_t i = 0; i < txn.then.size(); ++i) text += (i == 0 ? "" : "; ") + Text(txn.then[i]);
  for (size_t i = 0; i < txn.otherwise.size(); ++i) {
    text += (i == 0 ? " else " : "; ") + Text(txn.otherwise[i]);
  }
  return text;
}

std::string Text(const Action& action) { return std::visit(Writer(), action); }

}  // namespace assent::simulation
