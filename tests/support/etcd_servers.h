// A private etcd for tests: a few servers, on loopback unless they are given another place, each
// with its own directory, gone with their object. They come from the packages that
// tests/support/fetch-etcd fetches.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tests/support/assent_processes.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// Why there is no etcd on this machine and none can be fetched; empty: there is one.
std::string NoEtcd();

struct EtcdOptions {
  size_t servers = 1;
  TlsPaths tls;     // Of clients' connections; who has no certificate of the authority is refused.
  NodePlace place;  // Of all of them.
  // Further options, "--quota-backend-bytes=..." and the like.
  std::vector<std::string> arguments;
};

// Not thread-safe.
class EtcdServers {
 public:
  // Returns when they answer. NOT_FOUND: there is no etcd, and it can't be fetched; the message
  // says why. The errors of servers carry their logs.
  static Result<std::unique_ptr<EtcdServers>> Create(const EtcdOptions& options = {});

  size_t size() const { return servers_.size(); }
  std::vector<std::string> endpoints() const;
  pid_t pid(size_t which) const;
  // Which of them leads now. UNAVAILABLE: none does within 20 s.
  Result<size_t> Leader();

  void Kill9(size_t which);
  void Signal(size_t which, int signal);
  // On the same ports and directory; does not wait until it answers.
  Status Start(size_t which);
  // In place of those given to Create, for starts to come.
  void SetArguments(std::vector<std::string> arguments) {
    options_.arguments = std::move(arguments);
  }
  // Until each that runs answers a linearizable read.
  Status WaitHealthy();

  // Writes etcd's own snapshot of what is there now.
  Status SaveSnapshot(const std::string& file);
  // Stops all, and starts them with nothing but that snapshot, as an etcd of this token: what
  // operators do who have lost their etcd. Those given no token have `kToken`.
  Status RestoreSnapshot(const std::string& file, const std::string& token = kToken);
  static constexpr char kToken[] = "tests";

  // etcdctl with these arguments; what it printed. INTERNAL: it failed; the message says how.
  Result<std::string> Ctl(const std::vector<std::string>& arguments);

 private:
  struct Server {
    std::string client;
    std::string peer;
    std::unique_ptr<Process> process;
  };
  EtcdServers(EtcdOptions options, std::string programs)
      : options_(std::move(options)), programs_(std::move(programs)) {}
  Result<std::string> CtlOn(const std::string& endpoints,
                            const std::vector<std::string>& arguments);
  std::string NameOf(size_t which) const { return "n" + std::to_string(which + 1); }
  std::string DataDir(size_t which) const {
    return dir_.File(NameOf(which) + "." + std::to_string(restored_));
  }
  std::string InitialCluster() const;
  std::string Logs() const;

  EtcdOptions options_;
  const std::string programs_;
  TempDir dir_;
  std::vector<Server> servers_;
  std::string token_ = kToken;
  int restored_ = 0;  // So often.
};

}  // namespace assent::test_support
