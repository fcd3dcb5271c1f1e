#include "tests/support/certificates.h"

#include <chrono>
#include <vector>

#include "tests/support/process.h"

namespace assent::test_support {

Status MakeCertificates(const TempDir& dir) {
  const std::vector<Argv> commands = {
      {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-days", "2", "-subj", "/CN=test authority", "-keyout", dir.File("ca.key"), "-out",
       dir.File("ca.pem")},
      {"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
       "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout",
       dir.File("node.key"), "-out", dir.File("node.csr")},
      {"openssl", "x509", "-req", "-in", dir.File("node.csr"), "-CA", dir.File("ca.pem"), "-CAkey",
       dir.File("ca.key"), "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out",
       dir.File("node.pem")},
      {"chmod", "600", dir.File("node.key")},
  };
  for (Argv argv : commands) {
    argv[0] = "/usr/bin/" + argv[0];
    Status made = RunToEnd(argv, {}, {}, dir.File("openssl.log"), std::chrono::seconds(20));
    if (!made.ok()) return made;
  }
  return Ok();
}

}  // namespace assent::test_support
