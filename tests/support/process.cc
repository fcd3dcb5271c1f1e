#include "tests/support/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "base/random.h"
#include "tests/support/temp_dir.h"

extern char** environ;

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;

// PR_SET_PDEATHSIG fires when the *thread* that forked ends, not the process. All forks therefore
// happen on one thread that never ends.
class ForkThread {
 public:
  static ForkThread& Get() {
    static ForkThread* const thread = new ForkThread;  // Never destroyed, on purpose.
    return *thread;
  }

  void Run(const std::function<void()>& work) {
    // Shared: the fork thread may still be inside set_value when we go on.
    auto done = std::make_shared<std::promise<void>>();
    std::future<void> future = done->get_future();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back([&work, done] {
        work();
        done->set_value();
      });
    }
    filled_.notify_one();
    future.wait();
  }

 private:
  ForkThread() {
    std::thread([this] {
      while (true) {
        std::function<void()> work;
        {
          std::unique_lock<std::mutex> lock(mutex_);
          filled_.wait(lock, [this] { return !queue_.empty(); });
          work = std::move(queue_.front());
          queue_.pop_front();
        }
        work();
      }
    }).detach();
  }

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::function<void()>> queue_;
};

// Everything that the child needs, prepared before fork: afterwards only async-signal-safe calls
// are allowed, since other threads may have held the allocator's lock.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::string program;
  bool change_user = false;
  UnprivilegedUser user;
  const char* working_dir = nullptr;
  int stdout_fd = -1;
  int stderr_fd = -1;
  int death_signal = SIGKILL;
  pid_t parent = 0;
};

[[noreturn]] void RunChild(const ChildPlan& plan, int error_fd) {
  auto fail = [error_fd] {
    int error = errno;
    (void)!write(error_fd, &error, sizeof error);
    _exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  // Own process group: Ctrl-C at the terminal reaches the harness alone, which then stops the
  // children in order.
  setpgid(0, 0);
  int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0) fail();
  if (plan.stdout_fd >= 0 && dup2(plan.stdout_fd, STDOUT_FILENO) < 0) fail();
  if (plan.stderr_fd >= 0 && dup2(plan.stderr_fd, STDERR_FILENO) < 0) fail();
  if (plan.change_user) {
    // The bare system calls: glibc's wrappers would signal threads that this process lacks.
    if (syscall(SYS_setgroups, 0, nullptr) != 0) fail();
    if (syscall(SYS_setresgid, plan.user.gid, plan.user.gid, plan.user.gid) != 0) fail();
    if (syscall(SYS_setresuid, plan.user.uid, plan.user.uid, plan.user.uid) != 0) fail();
  }
  if (plan.working_dir != nullptr && chdir(plan.working_dir) != 0) fail();
  // After the change of user, which clears it.
  if (prctl(PR_SET_PDEATHSIG, plan.death_signal) != 0) fail();
  if (getppid() != plan.parent) _exit(127);  // The harness died meanwhile.
  execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  fail();
  _exit(127);
}

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "";
  rest += ":/usr/sbin:/sbin:/usr/bin:/bin";  // mariadbd stands in /usr/sbin.
  for (size_t begin = 0; begin <= rest.size();) {
    size_t end = std::min(rest.find(':', begin), rest.size());
    std::string candidate = rest.substr(begin, end - begin) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return "";
}

std::vector<std::string> BuildEnvironment(const Environment& env, bool inherit) {
  Environment all;
  if (inherit) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      std::string text = *entry;
      size_t equals = text.find('=');
      if (equals != std::string::npos) all[text.substr(0, equals)] = text.substr(equals + 1);
    }
  } else {
    const char* path = std::getenv("PATH");
    all["PATH"] = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
    all["LC_ALL"] = "C";
  }
  for (const auto& [name, value] : env) all[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : all) entries.push_back(name + "=" + value);
  return entries;
}

int OpenLog(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// 'Z' for a zombie, 0 if there is no such process.
char StateOf(pid_t pid) {
  std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  size_t paren = stat.rfind(')');  // The name before it may hold anything.
  return paren == std::string::npos || paren + 2 >= stat.size() ? 0 : stat[paren + 2];
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (signal == 0) return "exit " + std::to_string(code);
  return "signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

Result<std::unique_ptr<Process>> Process::Spawn(const Argv& argv, const Environment& env,
                                                const SpawnOptions& options) {
  ASSENT_CHECK(!argv.empty());
  ChildPlan plan;
  plan.program = FindProgram(argv[0]);
  if (plan.program.empty()) return NotFound("program " + argv[0] + " is not installed or built");
  for (const std::string& argument : argv) {
    plan.argv.push_back(const_cast<char*>(argument.c_str()));
  }
  plan.argv.push_back(nullptr);
  std::vector<std::string> entries = BuildEnvironment(env, options.inherit_environment);
  for (std::string& entry : entries) plan.envp.push_back(entry.data());
  plan.envp.push_back(nullptr);
  plan.change_user = options.unprivileged && geteuid() == 0;
  plan.user = FindUnprivilegedUser();
  if (!options.working_dir.empty()) plan.working_dir = options.working_dir.c_str();
  plan.death_signal = options.death_signal;
  plan.parent = getpid();

  if (!options.stdout_file.empty()) plan.stdout_fd = OpenLog(options.stdout_file);
  if (!options.stderr_file.empty()) plan.stderr_fd = OpenLog(options.stderr_file);
  int pipe_fds[2];
  ASSENT_CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);

  pid_t pid = -1;
  ForkThread::Get().Run([&] {
    pid = fork();
    if (pid == 0) RunChild(plan, pipe_fds[1]);
  });
  close(pipe_fds[1]);
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(pipe_fds[0], &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  close(pipe_fds[0]);
  if (plan.stdout_fd >= 0) close(plan.stdout_fd);
  if (plan.stderr_fd >= 0) close(plan.stderr_fd);
  if (pid < 0) return Internal("fork for " + argv[0] + " failed");
  if (got == sizeof error) {
    waitpid(pid, nullptr, 0);
    return Internal("can't start " + plan.program + ": " + std::strerror(error));
  }
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  ASSENT_CHECK(pidfd >= 0);
  return std::unique_ptr<Process>(new Process(pid, pidfd));
}

Process::~Process() {
  Kill9();
  close(pidfd_);
}

bool Process::Running() { return !Wait(milliseconds(0)).has_value(); }

void Process::Signal(int signal) {
  // While it is unreaped its pid can't be given to another process.
  if (!status_.has_value()) kill(pid_, signal);
}

void Process::Kill9() {
  Signal(SIGKILL);
  // Only a process stuck in the kernel would make this wait for long.
  ASSENT_CHECK(Wait(std::chrono::minutes(1)).has_value());
}

ExitStatus Process::Terminate(milliseconds timeout) {
  Signal(SIGTERM);
  if (!Wait(timeout).has_value()) Kill9();
  return *status_;
}

std::optional<ExitStatus> Process::Wait(milliseconds timeout) {
  if (status_.has_value()) return status_;
  auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    auto left =
        std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd waiting{pidfd_, POLLIN, 0};
    int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    break;
  }
  int raw = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &raw, 0);
  } while (reaped < 0 && errno == EINTR);
  ASSENT_CHECK(reaped == pid_);
  ExitStatus status;
  if (WIFEXITED(raw)) status.code = WEXITSTATUS(raw);
  if (WIFSIGNALED(raw)) status.signal = WTERMSIG(raw);
  status_ = status;
  return status_;
}

Result<Finished> Run(const Argv& argv, const Environment& env, SpawnOptions options,
                     const std::string& output_file, milliseconds timeout) {
  options.stdout_file = output_file;
  options.stderr_file = output_file;
  const size_t before = ReadFile(output_file).size();
  auto process = Process::Spawn(argv, env, options);
  if (!process.ok()) return process.status();
  std::optional<ExitStatus> status = (*process)->Wait(timeout);
  if (!status.has_value()) {
    return DeadlineExceeded(argv[0] + " did not end within " + std::to_string(timeout.count()) +
                            " ms: " + Tail(output_file));
  }
  return Finished{*status, ReadFile(output_file).substr(before)};
}

Status RunToEnd(const Argv& argv, const Environment& env, const SpawnOptions& options,
                const std::string& output_file, milliseconds timeout) {
  auto finished = Run(argv, env, options, output_file, timeout);
  if (!finished.ok()) return finished.status();
  if (finished->status.ok()) return Ok();
  return Internal(argv[0] + " failed with " + finished->status.ToString() + ": " +
                  Tail(output_file));
}

uint16_t PickFreePort() {
  constexpr uint64_t kFirst = 15'000;
  constexpr uint64_t kCount = 17'000;  // Up to 31999; outgoing connections start at 32768.
  for (int tries = 0; tries < 10'000; ++tries) {
    auto port = static_cast<uint16_t>(kFirst + SystemRandom64() % kCount);

    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSENT_CHECK(probe >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool is_free = bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    if (!is_free) continue;

    // An abstract unix socket of that number, held until we end, is the reservation: it needs no
    // file and can't be left behind.
    int reservation = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSENT_CHECK(reservation >= 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::string text = "assent-test-port-" + std::to_string(port);
    std::memcpy(name.sun_path + 1, text.data(), text.size());
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    if (bind(reservation, reinterpret_cast<sockaddr*>(&name), size) == 0) return port;
    close(reservation);
  }
  std::fprintf(stderr, "no free TCP port between %d and %d on 127.0.0.1\n", int{kFirst},
               int{kFirst + kCount - 1});
  std::abort();
}

bool WaitUntil(milliseconds timeout, const std::function<bool()>& condition) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::string stat = ReadFile(entry.path().string() + "/stat");
    size_t paren = stat.rfind(')');
    if (paren == std::string::npos || paren + 4 >= stat.size()) continue;
    if (std::atoi(stat.c_str() + paren + 4) == parent) children.push_back(pid);
  }
  return children;
}

void KillAllAndWait(const std::vector<pid_t>& pids) {
  for (pid_t pid : pids) kill(pid, SIGKILL);
  bool gone = WaitUntil(std::chrono::minutes(1), [&pids] {
    return std::all_of(pids.begin(), pids.end(), [](pid_t pid) {
      char state = StateOf(pid);
      return state == 0 || state == 'Z' || state == 'X';
    });
  });
  ASSENT_CHECK(gone);
}

}  // namespace assent::test_support
