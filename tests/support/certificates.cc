#include "tests/support/certificates.h"

#include <chrono>

#include "ctl/certs/store.h"

namespace assent::test_support {

using certs::Role;

Status MakeCertificates(const TempDir& dir, const std::vector<std::string>& node_hosts) {
  std::vector<std::string> hosts = {"127.0.0.1", "localhost"};
  hosts.insert(hosts.end(), node_hosts.begin(), node_hosts.end());
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (auto made = certs::InitAuthority(dir.path(), now); !made.ok()) return made.status();
  for (const certs::Request& request :
       {certs::Request{Role::kNode, "node", hosts}, certs::Request{Role::kAgent, "agent", {}},
        certs::Request{Role::kClient, "client", {}}}) {
    auto made = certs::Issue(dir.path(), request, false, now);
    if (!made.ok()) return made.status();
  }
  return Ok();
}

TlsPaths PathsOf(const std::string& directory, const std::string& name) {
  const std::string base = directory + "/";
  return {base + "ca.pem", base + name + ".pem", base + name + ".key"};
}

const std::string& TestCertificates() {
  static const TempDir dir = [] {
    TempDir made;
    ASSENT_CHECK(MakeCertificates(made).ok());
    return made;
  }();
  return dir.path();
}

}  // namespace assent::test_support
