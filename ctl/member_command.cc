#include "ctl/member_command.h"

#include <CLI/CLI.hpp>

#include <chrono>

#include "ctl/ctl.h"
#include "ctl/render.h"

namespace assent::ctl {
namespace {

constexpr uint64_t kDrainMsMax = 600'000;

int DoList(bool json, Connection& connection, std::ostream& out, std::ostream& err) {
  auto members = connection.ListMembers();
  if (!members.ok()) return Fail(members.status(), err);
  out << (json ? MembersJson(*members) : MembersText(*members));
  if (members->node() != members->leader()) return kExitNeedsOperator;  // Nobody leads.
  for (const v1::Member& member : members->members()) {
    if (!member.reachable()) return kExitNeedsOperator;
  }
  return kExitOk;
}

}  // namespace

void DescribeMember(CLI::App& app, MemberArguments& arguments) {
  CLI::App* member = app.add_subcommand("member", "The group of coordinators");
  member->require_subcommand(1);
  auto id = [&arguments](CLI::App* command, const char* what) {
    return command->add_option("id", arguments.id, what)->check(CLI::Range(1, 1'000'000));
  };
  member->add_subcommand("list", "Who belongs to the group, who leads, and how far each is");
  CLI::App* add = member->add_subcommand(
      "add", "Add a learner: it gets the log, and has no vote before it is promoted");
  id(add, "Its node_id; never one that was used before")->required();
  add->add_option("peer-address", arguments.peer_address,
                  "Where the other nodes reach it, host:port (its peer_listen)")
      ->required();
  add->add_option("address", arguments.address,
                  "Where clients and agents reach it, host:port (its listen)")
      ->required();
  id(member->add_subcommand("promote", "Make a learner that has caught up a voter"), "The learner")
      ->required();
  id(member->add_subcommand("remove", "Remove a member for good, dead or alive"), "The member")
      ->required();
  CLI::App* transfer =
      member->add_subcommand("transfer", "Hand the lead over, once live transactions have ended");
  id(transfer, "The voter that shall lead; without it, whoever is furthest");
  transfer
      ->add_option("--drain-ms", arguments.drain_ms,
                   "How long live transactions may take to end; the rest aborts")
      ->check(CLI::Range(uint64_t{1}, kDrainMsMax))
      ->capture_default_str();
  transfer->add_flag("--if-leading", arguments.if_leading,
                     "Ask the first endpoint alone, and do nothing if that node does not lead: "
                     "for whoever is about to stop it");
}

int RunMember(const CLI::App& member, const MemberArguments& arguments, bool json,
              Connection& connection, std::ostream& out, std::ostream& err) {
  if (member.got_subcommand("list")) return DoList(json, connection, out, err);
  const std::string who = "member " + std::to_string(arguments.id);
  Status done;
  std::string what;
  if (member.got_subcommand("add")) {
    v1::AddMemberRequest request;
    request.set_id(arguments.id);
    request.set_peer_address(arguments.peer_address);
    request.set_address(arguments.address);
    done = connection.AddMember(request);
    what = who + " is a learner now: start it, then promote it once it has caught up";
  } else if (member.got_subcommand("promote")) {
    done = connection.PromoteMember(arguments.id);
    what = who + " is a voter now";
  } else if (member.got_subcommand("remove")) {
    done = connection.RemoveMember(arguments.id);
    what = who + " is no member any more: stop it, and never use its id again";
  } else if (arguments.if_leading) {
    auto led =
        connection.TransferIfLeading(arguments.id, std::chrono::milliseconds(arguments.drain_ms));
    done = led.status();
    what =
        done.ok() && *led ? "the lead was handed over" : "it does not lead: nothing to hand over";
  } else {
    done =
        connection.TransferLeadership(arguments.id, std::chrono::milliseconds(arguments.drain_ms));
    what = arguments.id == 0 ? "the lead was handed over" : who + " was handed the lead";
  }
  if (!done.ok()) return Fail(done, err);
  out << (json ? "{\"done\": true}\n" : what + "\n");
  return kExitOk;
}

}  // namespace assent::ctl
