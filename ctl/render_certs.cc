#include "ctl/render_certs.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "ctl/table.h"

namespace assent::ctl {
namespace {

using Json = nlohmann::ordered_json;
using certs::Age;

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Timestamp(certs::WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

const char* AgeName(Age age) {
  switch (age) {
    case Age::kNotYetValid:
      return "NOT_YET_VALID";
    case Age::kValid:
      return "VALID";
    case Age::kExpiring:
      return "EXPIRING";
    case Age::kExpired:
      return "EXPIRED";
  }
  return "";
}

std::string RoleOf(const certs::Facts& facts) {
  return facts.role ? std::string(certs::RoleName(*facts.role)) : "";
}

std::string DaysText(const certs::Validity& validity, certs::WallTime now) {
  const int days = certs::DaysLeft(validity, now);
  return std::to_string(days) + (days == 1 ? " day" : " days");
}

std::string Warning(const certs::Facts& facts, certs::WallTime now) {
  std::string remedy =
      facts.role == certs::Role::kAuthority
          ? "make another authority in a new directory, and certificates of it for everybody"
          : "renew it, and start again what uses it";
  switch (certs::AgeOf(facts.validity, now)) {
    case Age::kValid:
      return "";
    case Age::kNotYetValid:
      return "  WARNING: not valid yet; is this machine's clock right?\n";
    case Age::kExpiring:
      return "  WARNING: " + DaysText(facts.validity, now) + " left; " + remedy + "\n";
    case Age::kExpired:
      return "  WARNING: expired; " + remedy + "\n";
  }
  return "";
}

std::string FactsText(const std::string& file, const certs::Facts& facts, certs::WallTime now) {
  std::string hosts;
  for (const std::string& host : facts.hosts) hosts += (hosts.empty() ? "" : ", ") + host;
  std::vector<Cells> rows = {{"subject", Clean(facts.subject)},
                             {"role", facts.role ? RoleOf(facts) : "none of Assent's"}};
  if (!hosts.empty()) rows.push_back({"hosts", Clean(hosts)});
  rows.push_back({"issuer", Clean(facts.issuer)});
  rows.push_back({"serial", facts.serial});
  std::string valid =
      Timestamp(facts.validity.not_before) + " to " + Timestamp(facts.validity.not_after);
  if (now <= facts.validity.not_after) valid += ", " + DaysText(facts.validity, now) + " left";
  rows.push_back({"valid", valid});
  return Clean(file) + "\n" + Table(rows, "  ") + Warning(facts, now);
}

}  // namespace

std::string IssuedText(const std::string& role, const certs::Files& files) {
  return Table({{role, Clean(files.certificate)}, {"key", Clean(files.key)}});
}

std::string IssuedJson(const certs::Files& files) {
  return Dump({{"certificate", files.certificate}, {"key", files.key}});
}

std::string CertificatesText(const std::vector<certs::Shown>& shown, certs::WallTime now) {
  std::string text;
  for (const certs::Shown& file : shown) {
    if (file.certificates.empty()) {
      text += (text.empty() ? "" : "\n") + Clean(file.file) + "\n  holds no certificate\n";
    }
    for (const certs::Facts& facts : file.certificates) {
      text += (text.empty() ? "" : "\n") + FactsText(file.file, facts, now);
    }
  }
  return text;
}

std::string CertificatesJson(const std::vector<certs::Shown>& shown, certs::WallTime now) {
  Json object;
  Json& all = object["certificates"] = Json::array();
  for (const certs::Shown& file : shown) {
    for (const certs::Facts& facts : file.certificates) {
      all.push_back({{"file", file.file},
                     {"subject", facts.subject},
                     {"role", RoleOf(facts)},
                     {"name", facts.name},
                     {"hosts", facts.hosts},
                     {"issuer", facts.issuer},
                     {"serial", facts.serial},
                     {"not_before", Timestamp(facts.validity.not_before)},
                     {"not_after", Timestamp(facts.validity.not_after)},
                     {"days_left", certs::DaysLeft(facts.validity, now)},
                     {"state", AgeName(certs::AgeOf(facts.validity, now))}});
    }
  }
  return Dump(object);
}

}  // namespace assent::ctl
