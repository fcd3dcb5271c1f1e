#include "ctl/certs/plan.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/mutant.h"

namespace assent::certs {
namespace {

constexpr size_t kNameBytesMax = 64;  // Of a common name, RFC 5280.
constexpr size_t kHostBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsAddress(const std::string& host) {
  in6_addr any = {};
  return inet_pton(AF_INET, host.c_str(), &any) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

// A name of letters, digits, '-' and '_' between dots, with a letter in its last part: "10.0.0"
// would be a mistyped address.
bool IsDnsName(const std::string& host) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  size_t label = 0;
  bool has_letter = false;
  for (char c : host) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      has_letter = false;
    } else {
      if (!IsLetterOrDigit(c) && c != '-' && c != '_') return false;
      if (++label > kLabelBytesMax) return false;
      has_letter = has_letter || c < '0' || c > '9';
    }
  }
  return label > 0 && has_letter;
}

Status CheckHosts(const Request& request) {
  if (request.role == Role::kNode && request.hosts.empty()) {
    return InvalidArgument("node " + request.name +
                           " has no --host: give each name or address that clients, agents and "
                           "other nodes dial it by, such as --host node1.example --host 127.0.0.1");
  }
  if (request.role == Role::kClient && !request.hosts.empty()) {
    return InvalidArgument("client " + request.name + " has a --host '" + request.hosts[0] +
                           "', but nobody dials clients; leave it out");
  }
  for (const std::string& host : request.hosts) {
    if (IsAddress(host) || IsDnsName(host)) continue;
    return InvalidArgument("--host '" + host +
                           "' is neither a host name nor an IP address; write it without port, "
                           "brackets or wildcards, such as node1.example, 10.0.0.1 or ::1");
  }
  return Ok();
}

std::string Date(WallTime time) {
  const std::chrono::year_month_day day{std::chrono::floor<Days>(time)};
  auto two = [](unsigned number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return std::to_string(static_cast<int>(day.year())) + "-" +
         two(static_cast<unsigned>(day.month())) + "-" + two(static_cast<unsigned>(day.day()));
}

std::string AltNames(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) {
    text += (text.empty() ? "" : ",") + std::string(IsAddress(host) ? "IP:" : "DNS:") + host;
  }
  return text;
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kAuthority:
      return "authority";
    case Role::kNode:
      return "node";
    case Role::kAgent:
      return "agent";
    case Role::kClient:
      return "client";
  }
  return "";
}

std::optional<Role> ParseRole(std::string_view name) {
  for (Role role : {Role::kAuthority, Role::kNode, Role::kAgent, Role::kClient}) {
    if (name == RoleName(role)) return role;
  }
  return std::nullopt;
}

Age AgeOf(const Validity& validity, WallTime now) {
  if (now < validity.not_before) return Age::kNotYetValid;
  if (now > validity.not_after) return Age::kExpired;
  return validity.not_after - now < kRenewBefore ? Age::kExpiring : Age::kValid;
}

int DaysLeft(const Validity& validity, WallTime now) {
  return static_cast<int>(std::chrono::floor<Days>(validity.not_after - now).count());
}

Plan PlanAuthority(std::string_view number, WallTime now) {
  return {.role = Role::kAuthority,
          .name = "assent authority " + std::string(number),
          .hosts = {},
          .validity = {now - kClockSkew, now + kAuthorityDays}};
}

Status CheckName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kNameBytesMax && IsLetterOrDigit(name[0]) &&
              std::all_of(name.begin(), name.end(), [](char c) {
                return IsLetterOrDigit(c) || c == '.' || c == '_' || c == '-';
              });
  if (!good) {
    return InvalidArgument("name '" + name +
                           "' is no good: it names files too; give a letter or digit, then up to "
                           "63 letters, digits, '.', '_', '-'");
  }
  if (name == "ca") {
    return InvalidArgument("name 'ca' is that of the authority's own files; choose another");
  }
  return Ok();
}

Result<Plan> PlanCertificate(const Request& request, const Validity& authority, WallTime now) {
  if (Status name = CheckName(request.name); !name.ok()) return name;
  if (Status hosts = CheckHosts(request); !hosts.ok()) return hosts;
  if (request.days < Days(1)) {
    return InvalidArgument("--days " + std::to_string(request.days.count()) +
                           " is no good; give at least 1");
  }
  if (AgeOf(authority, now) == Age::kExpired) {
    return FailedPrecondition("the authority has expired on " + Date(authority.not_after) +
                              "; make another one in a new directory, with certs init");
  }
  if (request.days > DaysLeft(authority, now) * Days(1)) {
    return FailedPrecondition("--days " + std::to_string(request.days.count()) +
                              " would outlive the authority, which ends on " +
                              Date(authority.not_after) + "; give at most --days " +
                              std::to_string(DaysLeft(authority, now)) +
                              ", or make another authority in a new directory, with certs init");
  }
  Plan plan{.role = request.role, .name = request.name, .hosts = {}, .validity = {}};
  for (const std::string& host : request.hosts) {
    if (std::count(plan.hosts.begin(), plan.hosts.end(), host) == 0) plan.hosts.push_back(host);
  }
  if (plan.role == Role::kAgent && plan.hosts.empty()) {
    plan.hosts = {"localhost", "127.0.0.1", "::1"};
  }
  if (plan.role == Role::kNode && std::count(plan.hosts.begin(), plan.hosts.end(), kAnyNode) == 0) {
    plan.hosts.push_back(kAnyNode);
  }
  plan.validity = {std::max(now - kClockSkew, authority.not_before), now + request.days};
  return plan;
}

std::vector<Extension> ExtensionsOf(const Plan& plan) {
  if (plan.role == Role::kAuthority) {
    return {{"basicConstraints", "critical,CA:TRUE,pathlen:0"},
            {"keyUsage", "critical,keyCertSign,cRLSign"},
            {"subjectKeyIdentifier", "hash"}};
  }
  const bool serves = plan.role != Role::kClient || MutantOn(Mutant::kClientMayServe);
  std::vector<Extension> all = {
      {"basicConstraints", "critical,CA:FALSE"},
      {"keyUsage", "critical,digitalSignature"},
      {"extendedKeyUsage", serves ? "serverAuth,clientAuth" : "clientAuth"},
      {"subjectKeyIdentifier", "hash"},
      {"authorityKeyIdentifier", "keyid:always"}};
  if (!plan.hosts.empty()) all.push_back({"subjectAltName", AltNames(plan.hosts)});
  return all;
}

}  // namespace assent::certs
