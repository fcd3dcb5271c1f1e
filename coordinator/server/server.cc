#include "coordinator/server/server.h"

#include <utility>
#include <vector>

#include "base/http/health.h"
#include "base/log.h"
#include "base/random.h"
#include "base/rpc/listener.h"
#include "base/rpc/services.h"
#include "coordinator/server/metrics_page.h"
#include "txlog/storage/posix_disk.h"

namespace assent::coordinator {
namespace {

// How long calls that are being answered may take to leave when the node stops.
constexpr std::chrono::milliseconds kGrace{500};

}  // namespace

Result<std::string> BootstrapNode(const Options& options) {
  GroupStart start{.cluster = options.cluster, .cluster_uuid = RandomUuid(), .group = 0};
  while (start.incarnation == 0) start.incarnation = SystemRandom64();
  txlog::PosixDisk disk;
  Status made = txlog::Bootstrap(
      disk, options.data_dir,
      {.cluster = options.cluster, .cluster_uuid = start.cluster_uuid, .node_id = options.node_id},
      RecordCodec().Encode(start));
  if (!made.ok()) return made;
  return start.cluster_uuid;
}

Server::Server(const Options& options, std::function<void(Status)> on_fatal)
    : options_(options),
      on_fatal_(std::move(on_fatal)),
      driver_(LimitsOf(options), clock_, codec_,
              [this](Status why) {
                {
                  MutexLock lock(mutex_);
                  failed_ = true;
                  failure_ = why;
                  changed_.NotifyAll();
                }
                on_fatal_(std::move(why));
              }),
      transactions_(driver_),
      admin_(driver_, std::to_string(options.node_id)),
      links_(driver_, clock_, {.silence_max = options.link_silence_max}) {
  driver_.OnServing([this](bool serving) { OnServing(serving); });
}

Result<std::unique_ptr<Server>> Server::Start(const Options& options,
                                              std::function<void(Status)> on_fatal) {
  rpc::EnableHealthAndReflection();
  std::unique_ptr<Server> server(new Server(options, std::move(on_fatal)));
  if (Status pages = server->OpenPages(); !pages.ok()) return pages;
  if (Status opened = server->OpenLog(); !opened.ok()) return opened;
  if (Status listening = server->Listen(); !listening.ok()) return listening;
  LogInfo("ready", {{"address", server->address_},
                    {"cluster", options.cluster},
                    {"node", options.node_id},
                    {"term", server->log_->term()}});
  return server;
}

// Before all else, so that a node says what it is about while it reads a long log.
Status Server::OpenPages() {
  if (http::IsOff(options_.http_listen)) return Ok();
  auto health = [this] { return http::HealthReply(WhyNotServing(driver_.metrics())); };
  auto scrape = [this]() -> http::Reply {
    metrics::Page page;
    Expose(driver_.metrics(), page);
    Expose(log_metrics_, page);
    ExposeQueues(driver_.metrics(), driver_.queue_depth(), page);
    rpc::LinkMetrics::Expose(rpc::LinkMetrics::End::kCoordinator, {&links_.metrics()}, page);
    return {.content_type = metrics::kTextFormat, .body = page.Text()};
  };
  auto pages = http::Server::Start(
      {.option = "http_listen", .address = options_.http_listen, .tls = options_.tls},
      {{"/healthz", health}, {"/metrics", scrape}});
  if (!pages.ok()) return pages.status();
  pages_ = std::move(*pages);
  return Ok();
}

Status Server::OpenLog() {
  auto log = txlog::LocalLog::Open({.directory = options_.data_dir,
                                    .cluster = options_.cluster,
                                    .node_id = options_.node_id,
                                    .segment_bytes = options_.segment_bytes,
                                    .snapshot_after_bytes = options_.snapshot_log_bytes,
                                    .observer = &log_metrics_},
                                   driver_);
  if (!log.ok()) return log.status();
  log_ = std::move(*log);
  driver_.Attach(*log_);
  driver_thread_ = std::thread([this] { driver_.Run(); });
  MutexLock lock(mutex_);
  while (!serving_ && !failed_) changed_.Wait(mutex_);
  return failed_ ? failure_ : Ok();
}

Status Server::Listen() {
  auto credentials = rpc::ServerCredentials(options_.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::ServerBuilder builder;
  builder.RegisterService(&transactions_);
  builder.RegisterService(&admin_);
  builder.RegisterService(&links_);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.message_bytes_max));
  std::vector<rpc::Listener> listeners{{.option = "listen",
                                        .address = options_.listen,
                                        .credentials = *credentials,
                                        .has_tls = !options_.tls.empty()}};
  auto started = rpc::StartServer(builder, listeners);
  if (!started.ok()) return started.status();
  grpc_ = std::move(*started);
  address_ = options_.listen;
  if (address_.rfind("unix:", 0) != 0) {
    address_ = address_.substr(0, address_.rfind(':') + 1) + std::to_string(listeners[0].port);
  }
  MutexLock lock(mutex_);
  health_ = grpc_.get();
  rpc::SetServing(*health_, serving_);
  return Ok();
}

void Server::OnServing(bool serving) {
  MutexLock lock(mutex_);
  serving_ = serving;
  changed_.NotifyAll();
  if (health_ != nullptr) rpc::SetServing(*health_, serving);
}

Server::~Server() {
  pages_.reset();
  {
    MutexLock lock(mutex_);
    if (health_ != nullptr) rpc::SetServing(*health_, false);
    health_ = nullptr;
  }
  driver_.Stop();
  if (driver_thread_.joinable()) driver_thread_.join();
  if (grpc_) grpc_->Shutdown(std::chrono::system_clock::now() + kGrace);
}

}  // namespace assent::coordinator
