// A directory of certificates: ca.pem and ca.key, and NAME.pem and NAME.key of each that the
// authority has signed. Keys have mode 0600. A file appears whole or not at all, and none is
// replaced but by a renewal.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "ctl/certs/plan.h"
#include "ctl/certs/x509.h"

namespace assent::certs {

struct Files {
  std::string certificate;
  std::string key;
};

// Makes an authority in `directory`, which is made (mode 0700) if it is missing.
// ALREADY_EXISTS: it has one. FAILED_PRECONDITION: the directory can't be made or written in.
Result<Files> InitAuthority(const std::string& directory, WallTime now);

// Signs a certificate with the directory's authority.
//
// With `renew`, the certificate of that name is replaced by one with a new key; it must be of the
// same role and from the same authority. Its hosts are kept if the request has none.
//
// INVALID_ARGUMENT: see PlanCertificate. NOT_FOUND: no authority there. ALREADY_EXISTS: the name is
// taken, and `renew` is false. FAILED_PRECONDITION: what stands there is not to be replaced; the
// authority is no good; others can read its key; writing failed.
Result<Files> Issue(const std::string& directory, Request request, bool renew, WallTime now);

struct Shown {
  std::string file;
  std::vector<Facts> certificates;  // Empty: the file holds none.
};

// One file, or each *.pem of a directory: the authority first, then by name.
// NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION: it can't be read, or holds no certificate.
Result<std::vector<Shown>> Show(const std::string& path);

}  // namespace assent::certs
