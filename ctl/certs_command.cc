#include "ctl/certs_command.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "ctl/certs/store.h"
#include "ctl/ctl.h"
#include "ctl/render_certs.h"

namespace assent::ctl {
namespace {

using certs::Role;

constexpr Role kIssued[] = {Role::kNode, Role::kAgent, Role::kClient};

const char* Meaning(Role role) {
  switch (role) {
    case Role::kNode:
      return "Certificate of a coordinator node (assentd)";
    case Role::kAgent:
      return "Certificate of a participant agent (assent-agent); NAME is its agent_id";
    case Role::kClient:
      return "Certificate of a service, a monitor or a person";
    case Role::kAuthority:
      break;
  }
  return "";
}

void DescribeIssue(CLI::App& parent, Role role, CertsArguments& arguments) {
  CLI::App* app = parent.add_subcommand(std::string(certs::RoleName(role)), Meaning(role));
  app->add_option("DIR", arguments.directory, "Directory of the authority")->required();
  app->add_option("NAME", arguments.name, "Whom it names; its files are NAME.pem and NAME.key")
      ->required();
  if (role != Role::kClient) {
    app->add_option("--host", arguments.hosts,
                    role == Role::kNode
                        ? "Name or address that it is dialled by; give it once for each"
                        : "The same; without any: localhost, 127.0.0.1 and ::1")
        ->allow_extra_args(false)
        ->delimiter(',');
  }
  app->add_option("--days", arguments.days, "How long it is valid")
      ->check(CLI::Range(1, 36'500))
      ->capture_default_str();
  app->add_flag("--force", arguments.force,
                "Renew: replace the certificate of this name and role by one with a new key");
}

int DoInit(const CertsArguments& arguments, bool json, WallTime now, std::ostream& out,
           std::ostream& err) {
  auto files = certs::InitAuthority(arguments.directory, now);
  if (!files.ok()) return Fail(files.status(), err);
  out << (json ? IssuedJson(*files)
               : IssuedText("authority", *files) +
                     "Keep ca.key here, and a backup in a safe place: who has it can make "
                     "certificates. ca.pem goes to every machine.\n");
  return kExitOk;
}

int DoIssue(Role role, const CertsArguments& arguments, bool json, WallTime now, std::ostream& out,
            std::ostream& err) {
  auto files = certs::Issue(arguments.directory,
                            {.role = role,
                             .name = arguments.name,
                             .hosts = arguments.hosts,
                             .days = certs::Days(static_cast<int>(arguments.days))},
                            arguments.force, now);
  if (!files.ok()) return Fail(files.status(), err);
  out << (json ? IssuedJson(*files) : IssuedText(std::string(certs::RoleName(role)), *files));
  return kExitOk;
}

int DoShow(const CertsArguments& arguments, bool json, WallTime now, std::ostream& out,
           std::ostream& err) {
  auto shown = certs::Show(arguments.path);
  if (!shown.ok()) return Fail(shown.status(), err);
  out << (json ? CertificatesJson(*shown, now) : CertificatesText(*shown, now));
  bool all_good = true;
  for (const certs::Shown& file : *shown) {
    for (const certs::Facts& facts : file.certificates) {
      all_good = all_good && certs::AgeOf(facts.validity, now) == certs::Age::kValid;
    }
  }
  return all_good ? kExitOk : kExitNeedsOperator;
}

}  // namespace

void DescribeCerts(CLI::App& app, CertsArguments& arguments) {
  CLI::App* all = app.add_subcommand("certs", "Makes and shows certificates for TLS");
  all->require_subcommand(1);
  all->fallthrough();
  all->add_subcommand("init", "Make an authority: the root that everybody trusts")
      ->add_option("DIR", arguments.directory, "Directory for its files, made if missing")
      ->required();
  for (Role role : kIssued) DescribeIssue(*all, role, arguments);
  all->add_subcommand("show", "What certificates say, and how long they are valid")
      ->add_option("PATH", arguments.path, "A PEM file, or a directory of them")
      ->required();
}

int RunCerts(const CLI::App& certs, const CertsArguments& arguments, bool json, WallTime now,
             std::ostream& out, std::ostream& err) {
  if (certs.got_subcommand("init")) return DoInit(arguments, json, now, out, err);
  for (Role role : kIssued) {
    if (certs.got_subcommand(std::string(certs::RoleName(role)))) {
      return DoIssue(role, arguments, json, now, out, err);
    }
  }
  return DoShow(arguments, json, now, out, err);
}

}  // namespace assent::ctl
