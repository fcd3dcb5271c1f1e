#include "ctl/ctl.h"

#include <CLI/CLI.hpp>

#include <cctype>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/options.h"
#include "ctl/backup_command.h"
#include "ctl/certs_command.h"
#include "ctl/connection.h"
#include "ctl/member_command.h"
#include "ctl/render.h"

namespace assent::ctl {
namespace {

struct Arguments {
  ConnectionOptions connection;
  uint64_t timeout_ms = 5'000;
  bool json = false;
  std::vector<std::string> states;
  uint32_t limit = 100;
  std::string gtrid;
  CertsArguments certs;
  MemberArguments member;
  BackupArguments backup;
};

// "heuristic", "HEURISTIC" -> STATE_HEURISTIC.
Result<v1::State> ParseState(const std::string& text) {
  std::string name = "STATE_";
  for (char c : text) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::State state;
  if (v1::State_Parse(name, &state) && state != v1::STATE_UNSPECIFIED) return state;
  return InvalidArgument("--state '" + text +
                         "' is no state; choose among active, preparing, proposed, committed, "
                         "aborted, ended, heuristic, expired");
}

Status CheckGtrid(const std::string& gtrid) {
  Result<Gtrid> parsed = ParseGtrid(gtrid);
  if (parsed.ok()) return Ok();
  // A branch's gid is what databases show; people paste it.
  if (Result<Gid> gid = ParseGid(gtrid); gid.ok()) {
    return InvalidArgument(
        "'" + gtrid + "' is the gid of a branch; give its transaction: " + ToString(gid->gtrid));
  }
  return InvalidArgument(parsed.status().message() +
                         "; copy it from `assentctl list` or from the service's log");
}

int DoStatus(const Arguments& arguments, Connection& connection, std::ostream& out,
             std::ostream& err) {
  auto status = connection.GetStatus();
  if (!status.ok()) return Fail(status.status(), err);
  out << (arguments.json ? StatusJson(*status) : StatusText(*status, connection.answered_by()));
  const bool operator_wanted = status->heuristic_transactions() > 0 || status->log().no_space();
  return operator_wanted ? kExitNeedsOperator : kExitOk;
}

int DoList(const Arguments& arguments, Connection& connection, std::ostream& out,
           std::ostream& err) {
  std::vector<v1::State> states;
  for (const std::string& text : arguments.states) {
    Result<v1::State> state = ParseState(text);
    if (!state.ok()) return Fail(state.status(), err);
    states.push_back(*state);
  }
  auto list = connection.List(states, arguments.limit);
  if (!list.ok()) return Fail(list.status(), err);
  out << (arguments.json ? ListJson(*list) : ListText(*list));
  return kExitOk;
}

int DoShow(const Arguments& arguments, Connection& connection, std::ostream& out,
           std::ostream& err) {
  if (Status status = CheckGtrid(arguments.gtrid); !status.ok()) return Fail(status, err);
  auto transaction = connection.Get(arguments.gtrid);
  if (!transaction.ok()) return Fail(transaction.status(), err);
  out << (arguments.json ? TransactionJson(*transaction) : TransactionText(*transaction));
  return transaction->state() == v1::STATE_HEURISTIC ? kExitNeedsOperator : kExitOk;
}

int DoForget(const Arguments& arguments, Connection& connection, std::ostream& out,
             std::ostream& err) {
  if (Status status = CheckGtrid(arguments.gtrid); !status.ok()) return Fail(status, err);
  if (Status status = connection.Forget(arguments.gtrid); !status.ok()) return Fail(status, err);
  out << (arguments.json ? ForgetJson(arguments.gtrid) : "forgotten " + arguments.gtrid + "\n");
  return kExitOk;
}

int RunCommand(const CLI::App& app, Arguments& arguments, std::ostream& out, std::ostream& err) {
  if (app.got_subcommand("certs")) {
    const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    return RunCerts(*app.get_subcommand("certs"), arguments.certs, arguments.json, now, out, err);
  }
  arguments.connection.timeout = std::chrono::milliseconds(arguments.timeout_ms);
  if (app.got_subcommand("backup")) {
    return RunBackup(arguments.backup, arguments.json, arguments.connection, out, err);
  }
  Result<Connection> connection = Connection::Make(arguments.connection);
  if (!connection.ok()) return Fail(connection.status(), err);
  if (app.got_subcommand("status")) return DoStatus(arguments, *connection, out, err);
  if (app.got_subcommand("list")) return DoList(arguments, *connection, out, err);
  if (app.got_subcommand("show")) return DoShow(arguments, *connection, out, err);
  if (app.got_subcommand("member")) {
    return RunMember(*app.get_subcommand("member"), arguments.member, arguments.json, *connection,
                     out, err);
  }
  return DoForget(arguments, *connection, out, err);
}

// Every option may stand before or behind the command.
void Describe(CLI::App& app, Arguments& arguments) {
  app.set_version_flag("--version", "assentctl " + std::string(Version()));
  app.add_option("--endpoint", arguments.connection.endpoint,
                 "Coordinators, host:port, with commas between")
      ->envname("ASSENT_ENDPOINT")
      ->capture_default_str();
  app.add_option("--timeout-ms", arguments.timeout_ms, "Longest wait for an answer")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_option("--tls-ca-file", arguments.connection.tls.ca_file,
                 "Authority of the coordinator's certificate (PEM); without it: no TLS")
      ->envname("ASSENT_TLS_CA_FILE");
  app.add_option("--tls-cert-file", arguments.connection.tls.cert_file, "Own certificate (PEM)")
      ->envname("ASSENT_TLS_CERT_FILE");
  app.add_option("--tls-key-file", arguments.connection.tls.key_file, "Its key (PEM)")
      ->envname("ASSENT_TLS_KEY_FILE");
  app.add_option("--tls-server-name", arguments.connection.tls_server_name,
                 "Name that the coordinator's certificate must carry, if not the endpoint's host")
      ->envname("ASSENT_TLS_SERVER_NAME");
  app.add_flag("--json", arguments.json, "Answer as JSON, with stable keys");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 done; 1 failed; 2 wrong usage; 3 answered, and an operator is needed.");

  app.add_subcommand("status", "The coordinator, its agents and resources, what is under way");
  CLI::App* list = app.add_subcommand("list", "Live and unfinished transactions, oldest first");
  list->add_option("--state", arguments.states,
                   "Only these: active, preparing, proposed, committed, aborted, ended, heuristic, "
                   "expired")
      ->delimiter(',');
  list->add_option("--limit", arguments.limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_subcommand("show", "One transaction, and the SQL to end its branches by hand")
      ->add_option("gtrid", arguments.gtrid, "The transaction")
      ->required();
  app.add_subcommand("forget", "Drop a heuristic transaction that has been settled by hand")
      ->add_option("gtrid", arguments.gtrid, "The transaction")
      ->required();
  DescribeMember(app, arguments.member);
  DescribeBackup(app, arguments.backup);
  DescribeCerts(app, arguments.certs);
}

}  // namespace

int Fail(const Status& status, std::ostream& err) {
  err << "assentctl: " << status.message() << "\n";
  return status.code() == Code::kInvalidArgument ? kExitUsage : kExitError;
}

int Run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  Arguments arguments;
  CLI::App app("assentctl: shows and settles the transactions of an Assent coordinator",
               "assentctl");
  Describe(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kExitOk : kExitUsage;
  }
  return RunCommand(app, arguments, out, err);
}

}  // namespace assent::ctl
