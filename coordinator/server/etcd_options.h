// The options of assentd for a log in etcd.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/status.h"
#include "base/tls/files.h"

namespace assent::txlog {
struct EtcdLogOptions;
}

namespace assent::coordinator {

struct Options;

struct EtcdOptions {
  std::vector<std::string> endpoints;
  std::string prefix;  // Empty: "assent/" and the cluster's name.
  tls::TlsFiles tls;
  std::string user;
  std::string password_file;
  std::chrono::milliseconds lease{5000};
};

void DescribeEtcdOptions(OptionSet& set, EtcdOptions& options);

// Every problem, one sentence each; of the other options, those that make no sense with this
// engine. Reads the files.
std::vector<std::string> CheckEtcdOptions(const Options& options);

std::string EtcdPrefix(const Options& options);

// What the log is given. Errors: those of reading the password file.
Result<txlog::EtcdLogOptions> EtcdLogOptionsOf(const Options& options);

}  // namespace assent::coordinator
