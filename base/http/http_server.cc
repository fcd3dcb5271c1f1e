#include "base/http/http_server.h"

#include <httplib.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <chrono>
#include <deque>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/net/address.h"
#include "base/tls/context.h"

namespace assent::http {
namespace {

constexpr size_t kWaitingMax = 16;  // Accepted connections without a thread.
// How long to wait before listening anew, should the system end it.
constexpr std::chrono::seconds kListenAgain{1};

// The library's own queue has no bound. Here whoever accepts waits instead.
class BoundedQueue final : public httplib::TaskQueue {
 public:
  BoundedQueue() {
    for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
  }

  void enqueue(std::function<void()> task) override {
    MutexLock lock(mutex_);
    while (tasks_.size() >= kWaitingMax) changed_.Wait(mutex_);
    tasks_.push_back(std::move(task));
    changed_.NotifyAll();
  }

  void shutdown() override {
    {
      MutexLock lock(mutex_);
      ending_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Run() {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(mutex_);
        while (tasks_.empty() && !ending_) changed_.Wait(mutex_);
        if (tasks_.empty()) return;  // A task owns its socket, so each is run.
        task = std::move(tasks_.front());
        tasks_.pop_front();
        changed_.NotifyAll();
      }
      task();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mutex_);
  bool ending_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

bool SetUpTls(SSL_CTX& context, const tls::TlsFiles& files) {
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  return tls::ConfigureContext(context, files, tls::Side::kServer).ok();
}

std::unique_ptr<httplib::Server> MakeServer(const tls::TlsFiles& tls) {
  if (tls.empty()) return std::make_unique<httplib::Server>();
  return std::make_unique<httplib::SSLServer>(
      [&tls](SSL_CTX& context) { return SetUpTls(context, tls); });
}

std::string Index(const std::map<std::string, Handler>& pages) {
  std::string text;
  for (const auto& [path, handler] : pages) text += path + "\n";
  return text;
}

}  // namespace

bool IsOff(const std::string& address) { return address.empty() || address.ends_with(":0"); }

Status CheckAddress(const std::string& option, const std::string& address, bool has_tls) {
  if (address.empty()) return Ok();
  if (address.starts_with("unix:")) {
    return InvalidArgument(option + " \"" + address +
                           "\": monitors can't reach a unix socket; write HOST:PORT, or nothing "
                           "to have no such pages");
  }
  Status status = net::CheckListenAddress(option, address, has_tls);
  if (status.code() != Code::kInvalidArgument) return status;
  return InvalidArgument(option + " \"" + address +
                         "\": not an address; write HOST:PORT with a port up to 65535 or "
                         "[IPv6]:PORT, or nothing to have no such pages");
}

class Server::Impl {
 public:
  Impl(const ServerOptions& options, std::map<std::string, Handler> pages)
      : option_(options.option),
        address_(options.address),
        at_(*net::SplitHostPort(options.address)),
        pages_(std::move(pages)),
        server_(MakeServer(options.tls)) {}

  ~Impl() {
    if (!thread_.joinable()) return;
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
      // Before it runs, stop() would do nothing; a second time, it must not be called.
      for (bool told = false; !ended_;) {
        if (!told && server_->is_running()) {
          server_->stop();
          told = true;
        }
        changed_.WaitUntil(mutex_,
                           std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
      }
    }
    thread_.join();
  }

  Status Start() {
    if (!server_->is_valid()) {
      return FailedPrecondition(option_ + " " + address_ +
                                ": tls_cert_file, tls_key_file or tls_ca_file can't be used; "
                                "--check-config says what is wrong with them");
    }
    SetUp();
    if (!server_->bind_to_port(at_.host, std::stoi(at_.port))) {
      return FailedPrecondition(option_ + " " + address_ + ": cannot listen");
    }
    thread_ = std::thread([this] { Run(); });
    return Ok();
  }

 private:
  void SetUp() {
    server_->new_task_queue = [] { return new BoundedQueue; };
    // A connection that stays open would hold a thread.
    server_->set_keep_alive_max_count(1);
    server_->set_keep_alive_timeout(kSilenceSecondsMax);
    server_->set_read_timeout(kSilenceSecondsMax);
    server_->set_write_timeout(kSilenceSecondsMax);
    server_->set_payload_max_length(1024);
    // By default the library shares the port with other processes.
    server_->set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    for (const auto& page : pages_) {
      server_->Get(page.first,
                   [&handler = page.second](const httplib::Request&, httplib::Response& answer) {
                     Reply reply = handler();
                     answer.status = reply.status;
                     answer.set_content(reply.body, reply.content_type);
                     answer.set_header("Cache-Control", "no-store");
                   });
    }
    server_->Get("/", [this](const httplib::Request&, httplib::Response& answer) {
      answer.set_content(Index(pages_), "text/plain");
    });
    server_->set_error_handler([this](const httplib::Request&, httplib::Response& answer) {
      if (answer.status == 404) answer.set_content("Pages:\n" + Index(pages_), "text/plain");
    });
  }

  void Run() {
    while (true) {
      server_->listen_after_bind();
      if (!WaitToListenAgain()) break;
      server_->bind_to_port(at_.host, std::stoi(at_.port));  // If that fails, so does listening.
    }
    MutexLock lock(mutex_);
    ended_ = true;
    changed_.NotifyAll();
  }

  // The system may fail an accept for reasons that pass. False: stop.
  bool WaitToListenAgain() {
    const auto until = std::chrono::steady_clock::now() + kListenAgain;
    MutexLock lock(mutex_);
    if (!stopping_) LogWarning("http_interrupted", {{"option", option_}, {"address", address_}});
    while (!stopping_ && changed_.WaitUntil(mutex_, until)) {
    }
    return !stopping_;
  }

  const std::string option_;
  const std::string address_;
  const net::HostPort at_;
  const std::map<std::string, Handler> pages_;
  const std::unique_ptr<httplib::Server> server_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                              std::map<std::string, Handler> pages) {
  if (Status s = CheckAddress(options.option, options.address, !options.tls.empty()); !s.ok()) {
    return s;
  }
  if (Status s = net::CheckCanListen(options.option, options.address, !options.tls.empty());
      !s.ok()) {
    return s;
  }
  auto impl = std::make_unique<Impl>(options, std::move(pages));
  if (Status started = impl->Start(); !started.ok()) return started;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace assent::http
