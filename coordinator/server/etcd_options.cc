#include "coordinator/server/etcd_options.h"

#include <utility>

#include "base/net/address.h"
#include "base/read_file.h"
#include "coordinator/server/first_members.h"
#include "coordinator/server/options.h"
#include "txlog/etcd/etcd_log.h"
#include "txlog/etcd/group.h"

namespace assent::coordinator {
namespace {

// gRPC takes such a word for the name of a host, and looks for it for ever.
bool IsEndpoint(const std::string& text) {
  return net::CheckDialAddress("", text).ok() && text.find_first_of(" \t/@,") == std::string::npos;
}

std::string Malformed(const std::string& endpoint) {
  std::string problem =
      "etcd_endpoints \"" + endpoint +
      "\": no address of a member of etcd; write HOST:PORT with a port from 1 to 65535, such as "
      "10.0.0.1:2379 or [fd00::1]:2379";
  if (endpoint.find("://") != std::string::npos) {
    problem += ", without https:// or http:// (etcd_tls_ca_file is what switches TLS on)";
  } else if (endpoint.find(',') != std::string::npos) {
    problem += "; of several, give the flag once for each";
  }
  return problem;
}

// Without TLS nothing leaves this machine (base/net/address.h).
std::vector<std::string> CheckEndpoints(const EtcdOptions& o) {
  std::vector<std::string> problems;
  std::string elsewhere;
  for (const std::string& one : o.endpoints) {
    if (!IsEndpoint(one)) {
      problems.push_back(Malformed(one));
    } else if (o.tls.empty() && !net::IsLoopback(net::SplitHostPort(one)->host)) {
      elsewhere += (elsewhere.empty() ? "\"" : ", \"") + one + '"';
    }
  }
  if (!elsewhere.empty()) {
    problems.push_back(
        "etcd_endpoints " + elsewhere +
        ": on other machines, but no certificate protects the way there; set etcd_tls_ca_file (and "
        "etcd_tls_cert_file, etcd_tls_key_file where etcd asks for a certificate), and give etcd "
        "--cert-file, --key-file, and https:// in --listen-client-urls and "
        "--advertise-client-urls; without TLS only an etcd on loopback, such as 127.0.0.1:2379, is "
        "spoken to");
  }
  return problems;
}

}  // namespace

void DescribeEtcdOptions(OptionSet& set, EtcdOptions& o) {
  set.Add("etcd_endpoints", &o.endpoints,
          "With engine = \"etcd\": the members of etcd, or some of them, HOST:PORT each. One is "
          "asked until it fails, then the next. Anything but loopback needs etcd_tls_ca_file.");
  set.Add("etcd_prefix", &o.prefix,
          "Where the group's keys are in etcd, without slashes at its ends; several groups may "
          "share one etcd. Empty: assent/ and the cluster's name.");
  set.Add("etcd_tls_ca_file", &o.tls.ca_file,
          "PEM file with the certificates of the authorities that etcd's must come from. Empty: "
          "etcd is spoken to without TLS, on loopback alone.");
  set.Add("etcd_tls_cert_file", &o.tls.cert_file,
          "PEM file with the certificate that is shown to etcd, if it asks for one.");
  set.Add("etcd_tls_key_file", &o.tls.key_file,
          "PEM file with its private key, unencrypted; other users must not be able to read it.");
  set.Add("etcd_user", &o.user,
          "User of etcd's authentication, who may read and write below etcd_prefix. Empty: it is "
          "off there, or goes by the certificate's name.");
  set.Add("etcd_password_file", &o.password_file,
          "File with the user's password alone; other users must not be able to read it.");
  set.Add("etcd_lease_ms", &o.lease,
          "A leader that vanishes is succeeded so long after etcd heard of it last. A leader that "
          "can't reach etcd for this long steps down.")
      .Between(2'000, 60'000);
}

std::string EtcdPrefix(const Options& options) {
  return options.etcd.prefix.empty() ? "assent/" + options.cluster : options.etcd.prefix;
}

std::vector<std::string> CheckEtcdOptions(const Options& o) {
  std::vector<std::string> problems;
  const auto check = [&problems](const Status& s) {
    if (!s.ok()) problems.push_back(s.message());
  };
  if (o.etcd.endpoints.empty()) {
    problems.push_back("etcd_endpoints is empty: engine = \"etcd\" needs the addresses of etcd");
  }
  for (std::string& problem : CheckEndpoints(o.etcd)) problems.push_back(std::move(problem));
  if (Status s = txlog::etcd::CheckPrefix(EtcdPrefix(o)); !s.ok()) {
    problems.push_back("etcd_" + s.message());
  }
  for (const std::string& problem : tls::CheckTlsFiles(o.etcd.tls, tls::Side::kClient)) {
    problems.push_back("of etcd: " + problem);
  }
  if (o.etcd.user.empty() != o.etcd.password_file.empty()) {
    problems.push_back("etcd_user and etcd_password_file: give both or none");
  }
  if (!o.etcd.password_file.empty()) {
    check(ReadPrivateFile("etcd_password_file", o.etcd.password_file).status());
  }
  if (o.join) {
    problems.push_back(
        "join: with engine = \"etcd\" coordinators are no members of anything; just start them");
  }
  if (!o.group_incarnation.empty()) {
    problems.push_back(
        "group_incarnation: with engine = \"etcd\" coordinators keep nothing that could be of the "
        "group before; leave it out");
  }
  if (!o.members.empty() || !o.peer_listen.empty()) {
    problems.push_back(
        "members, peer_listen: with engine = \"etcd\" coordinators do not talk to each other; "
        "leave them out");
  }
  return problems;
}

Result<txlog::EtcdLogOptions> EtcdLogOptionsOf(const Options& o) {
  txlog::EtcdLogOptions log{
      .client = {.endpoints = o.etcd.endpoints, .tls = o.etcd.tls, .user = o.etcd.user},
      .prefix = EtcdPrefix(o),
      .cluster = o.cluster,
      .cluster_uuid = o.cluster_uuid,
      .address = ClientAddress(o),
      .id = o.node_id,
      .lease = o.etcd.lease,
      .snapshot_after_bytes = o.snapshot_log_bytes};
  if (!o.etcd.password_file.empty()) {
    Result<std::string> password = ReadPrivateFile("etcd_password_file", o.etcd.password_file);
    if (!password.ok()) return password.status();
    log.client.password = password->substr(0, password->find_last_not_of("\r\n") + 1);
  }
  return log;
}

}  // namespace assent::coordinator
