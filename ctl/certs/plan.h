// What goes into a certificate: who it names, what it may be used for, how long. Pure: how
// certificates are made stands in x509.h, where they lie in store.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assent::certs {

// UTC.
using WallTime = std::chrono::sys_seconds;
using Days = std::chrono::days;

// Who a certificate speaks for. It stands in the subject: O=assent, OU=<role>, CN=<name>.
enum class Role { kAuthority, kNode, kAgent, kClient };

// "authority", "node", "agent", "client".
std::string_view RoleName(Role role);
std::optional<Role> ParseRole(std::string_view name);

inline constexpr Days kAuthorityDays{3650};
inline constexpr Days kDays{365};
// Below it a certificate wants to be renewed.
inline constexpr Days kRenewBefore{30};
// Stands in the certificate of every node, beside its hosts: by it nodes know each other that do
// not know each other's hosts yet, as when one joins a group.
inline constexpr char kAnyNode[] = "assent-node";
// Clocks may differ by so much: what is signed now is valid from so long ago.
inline constexpr std::chrono::hours kClockSkew{1};

struct Validity {
  WallTime not_before;
  WallTime not_after;
};

enum class Age { kNotYetValid, kValid, kExpiring, kExpired };
Age AgeOf(const Validity& validity, WallTime now);
// Whole days until not_after; negative after it.
int DaysLeft(const Validity& validity, WallTime now);

struct Plan {
  Role role = Role::kClient;
  std::string name;
  std::vector<std::string> hosts;  // DNS names and IP addresses that servers are dialled by.
  Validity validity;
};

// Wanted of an authority.
struct Request {
  Role role = Role::kClient;  // Not kAuthority.
  // Also the name of its files: a letter or digit, then letters, digits, '.', '_', '-', in all at
  // most 64; not "ca".
  std::string name;
  // Nodes need one. Agents without any are dialled on their own machine: localhost, 127.0.0.1 and
  // ::1. Clients have none.
  std::vector<std::string> hosts;
  Days days = kDays;
};

// `number` tells authorities apart, for people and for OpenSSL, which looks them up by name.
Plan PlanAuthority(std::string_view number, WallTime now);

// INVALID_ARGUMENT: not a name as Request.name says. Before it, a name must not become a path.
Status CheckName(const std::string& name);

// INVALID_ARGUMENT: the name, a host or the days are no good. FAILED_PRECONDITION: it would outlive
// the authority.
Result<Plan> PlanCertificate(const Request& request, const Validity& authority, WallTime now);

// An X.509 extension in the notation of OpenSSL's configuration files (x509v3_config(5)).
struct Extension {
  std::string name;
  std::string value;
  bool operator==(const Extension&) const = default;
};

// Nodes and agents may serve and dial; clients may only dial, so that a client's certificate can't
// pose as a server. The authority signs certificates, but no other authority.
std::vector<Extension> ExtensionsOf(const Plan& plan);

}  // namespace assent::certs
