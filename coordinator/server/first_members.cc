#include "coordinator/server/first_members.h"

#include <charconv>
#include <set>

#include "base/net/address.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kNodeIdMax = 1'000'000;

bool IsNodeId(const std::string& text, uint64_t* id) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, *id);
  return error == std::errc() && stop == end && *id >= 1 && *id <= kNodeIdMax;
}

}  // namespace

Result<txlog::Member> ParseFirstMember(const std::string& text) {
  const std::string where = "members: entry '" + text + "'";
  const size_t equals = text.find('=');
  const size_t comma = text.find(',');
  if (equals == std::string::npos || comma == std::string::npos || comma < equals) {
    return InvalidArgument(where +
                           " is not of the form ID=PEER_ADDRESS,ADDRESS, such as "
                           "1=10.0.0.1:7401,10.0.0.1:7400");
  }
  txlog::Member member{.peer_address = text.substr(equals + 1, comma - equals - 1),
                       .address = text.substr(comma + 1)};
  if (!IsNodeId(text.substr(0, equals), &member.id)) {
    return InvalidArgument(where + ": the id '" + text.substr(0, equals) +
                           "' is no number from 1 to " + std::to_string(kNodeIdMax));
  }
  for (const std::string* address : {&member.peer_address, &member.address}) {
    if (Status s = net::CheckDialAddress(where + ": address", *address); !s.ok()) return s;
  }
  return member;
}

std::string PeerAddress(const Options& options) {
  return options.peer_address.empty() ? options.peer_listen : options.peer_address;
}

std::string ClientAddress(const Options& options) {
  return options.address.empty() ? options.listen : options.address;
}

txlog::Member OnlyMember(const Options& options) {
  return {.id = options.node_id,
          .peer_address = PeerAddress(options),
          .address = ClientAddress(options)};
}

uint64_t IncarnationOf(const Options& options) {
  uint64_t number = 0;
  const std::string& text = options.group_incarnation;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && stop == text.data() + text.size() ? number : 0;
}

std::vector<txlog::Member> FirstMembers(const Options& options) {
  std::vector<txlog::Member> members;
  for (const std::string& text : options.members) members.push_back(*ParseFirstMember(text));
  if (members.empty()) members.push_back(OnlyMember(options));
  return members;
}

namespace {

// Of every host: dialled, it leads to the dialler's own.
bool LeadsAnywhere(const std::string& listen) {
  const std::string host = listen.substr(0, listen.rfind(':'));
  return host.empty() || host == "*" || host == "0.0.0.0" || host == "[::]";
}

}  // namespace

std::vector<std::string> CheckGroupOptions(const Options& o) {
  std::vector<std::string> problems;
  auto check = [&problems](const Status& s) {
    if (!s.ok()) problems.push_back(s.message());
  };
  const bool tls = !o.tls.empty();
  if (!o.peer_listen.empty()) check(net::CheckListenAddress("peer_listen", o.peer_listen, tls));
  if (!o.peer_address.empty()) check(net::CheckDialAddress("peer_address", o.peer_address));
  if (!o.address.empty()) check(net::CheckDialAddress("address", o.address));
  if (o.bootstrap + o.join + !o.restore.empty() > 1) {
    problems.push_back(
        "bootstrap, join, restore: give one of them; bootstrap makes a new group, join a further "
        "member of one that is there, restore a group that goes on from a backup");
  }
  if (!o.group_incarnation.empty() && IncarnationOf(o) == 0) {
    problems.push_back("group_incarnation '" + o.group_incarnation +
                       "' is no number from 1 to 18446744073709551615: take it from assentctl "
                       "status");
  }
  if (!o.group_incarnation.empty() && o.bootstrap) {
    problems.push_back(
        "group_incarnation is that of a restored group, which has been bootstrapped long ago: "
        "leave it out, or use --join");
  }
  if (IncarnationOf(o) != 0 && !o.restore.empty()) {
    problems.push_back(
        "group_incarnation is that of the group before: leave it out, the restored group gets one "
        "of its own, which its further members are given");
  }
  const bool is_only_member = !o.restore.empty() || (o.bootstrap && o.members.empty());
  if (is_only_member && o.address.empty() && LeadsAnywhere(o.listen)) {
    problems.push_back("address is empty, and listen = " + o.listen +
                       " is no address that clients and agents on other hosts could dial: give "
                       "address, such as coordinator-1.example.org:7400");
  }
  if ((o.join || o.members.size() > 1) && o.peer_listen.empty()) {
    problems.push_back(
        "peer_listen is empty: the members of a group need it to reach each other, "
        "such as 127.0.0.1:7401");
  }
  if ((o.join || (o.bootstrap && o.members.size() > 1)) && o.cluster_uuid.empty()) {
    problems.push_back(
        "cluster_uuid is empty: all members of a group are given the same; make one "
        "with uuidgen, or take it from assentctl status where the group is there");
  }
  std::set<uint64_t> ids;
  for (const std::string& text : o.members) {
    Result<txlog::Member> member = ParseFirstMember(text);
    check(member.status());
    if (member.ok() && !ids.insert(member->id).second) {
      problems.push_back("members: id " + std::to_string(member->id) + " stands there twice");
    }
  }
  if (o.bootstrap && !o.members.empty() && !ids.contains(o.node_id)) {
    problems.push_back("members does not list node_id = " + std::to_string(o.node_id) +
                       ": list it, or use --join to make it a later member");
  }
  return problems;
}

}  // namespace assent::coordinator
