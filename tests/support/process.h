// Child processes that never outlive the harness, and the small helpers that go with them: free
// ports and waiting for a condition.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace assent::test_support {

using Argv =
    std::vector<std::string>;  // argv[0] is the program: a path, or a name to find in PATH.
using Environment = std::map<std::string, std::string>;

struct SpawnOptions {
  // Run as FindUnprivilegedUser() when we are root.
  bool unprivileged = false;
  // Start from our own environment; otherwise only PATH, LC_ALL=C and what `env` gives.
  bool inherit_environment = true;
  // Appended to; empty: inherited. The same name may be given for both.
  std::string stdout_file;
  std::string stderr_file;
  std::string working_dir;  // Empty: ours.
  // What the child gets when the harness dies, however it dies.
  int death_signal = SIGKILL;
};

struct ExitStatus {
  int code = -1;   // Exit code, or -1 if a signal ended it.
  int signal = 0;  // The signal, or 0.
  bool ok() const { return code == 0; }
  // "exit 1" or "signal 9 (Killed)".
  std::string ToString() const;
};

// One child. Always reaped; killed with SIGKILL at destruction if it still runs. Not thread-safe:
// one thread at a time; only pid() may be asked from any.
class Process {
 public:
  // Starts argv[0] with `env` added to the environment. NOT_FOUND: no such program. INTERNAL: fork
  // or exec failed otherwise.
  static Result<std::unique_ptr<Process>> Spawn(const Argv& argv, const Environment& env = {},
                                                const SpawnOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  // Sends a signal if it still runs.
  void Signal(int signal);
  // SIGKILL, then waits until it is gone and reaped.
  void Kill9();
  // SIGTERM, and SIGKILL if it has not ended within `timeout`.
  ExitStatus Terminate(std::chrono::milliseconds timeout = std::chrono::seconds(10));
  // Nothing if it has not ended within `timeout`. Asked again after the end: the same answer.
  std::optional<ExitStatus> Wait(std::chrono::milliseconds timeout);

 private:
  Process(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}

  const pid_t pid_;
  const int pidfd_;
  std::optional<ExitStatus> status_;
};

struct Finished {
  ExitStatus status;
  std::string output;  // Standard output and error, as they came.
};
// Runs a program to its end; its output also goes to `output_file`. DEADLINE_EXCEEDED: it was
// killed after `timeout`; the message carries the end of its output.
Result<Finished> Run(const Argv& argv, const Environment& env, SpawnOptions options,
                     const std::string& output_file, std::chrono::milliseconds timeout);

// As Run, but anything else than exit code 0 is INTERNAL with the end of the output.
Status RunToEnd(const Argv& argv, const Environment& env, const SpawnOptions& options,
                const std::string& output_file, std::chrono::milliseconds timeout);

// A TCP port on 127.0.0.1 that nobody listens on, set apart for this process until it ends (other
// harnesses on this machine will not be given it). It lies below the range from which the kernel
// draws ports of outgoing connections, so that it is still free after a server was killed.
uint16_t PickFreePort();

// Asks `condition` every few milliseconds; false if it did not hold within `timeout`. For
// conditions of other processes, which have nothing better to wait on.
bool WaitUntil(std::chrono::milliseconds timeout, const std::function<bool()>& condition);

// Kills with SIGKILL these processes and waits until none runs. For the children of a killed
// PostgreSQL, which are not ours to reap.
void KillAllAndWait(const std::vector<pid_t>& pids);
// Pids of the children of a process.
std::vector<pid_t> ChildrenOf(pid_t parent);

}  // namespace assent::test_support
