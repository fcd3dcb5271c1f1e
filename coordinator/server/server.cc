#include "coordinator/server/server.h"

#include <future>
#include <utility>
#include <vector>

#include "base/http/health.h"
#include "base/log.h"
#include "base/random.h"
#include "base/rpc/listener.h"
#include "base/rpc/services.h"
#include "coordinator/server/etcd_health.h"
#include "coordinator/server/first_members.h"
#include "coordinator/server/metrics_page.h"
#include "txlog/etcd/group.h"
#include "txlog/storage/posix_disk.h"
#include "txlog/transport/metrics_page.h"

namespace assent::coordinator {
namespace {

// How long calls that are being answered may take to leave when the node stops.
constexpr std::chrono::milliseconds kGrace{500};

// What the certificate of every node of a group names beside its host, so that a node that others
// do not know (a new member, or the one that is new to them) can be told from everybody else.
constexpr char kPeerCertificateName[] = "assent-node";

}  // namespace

namespace {

txlog::NodeIdentity IdentityOf(const Options& options, std::string uuid) {
  return {.cluster = options.cluster,
          .cluster_uuid = std::move(uuid),
          .node_id = options.node_id,
          .group_incarnation = IncarnationOf(options),
          .directory = SystemRandom64()};
}

// Is this very group in etcd? A UUID that was drawn just now is nobody's: only who names one may
// bootstrap it again, as jobs do that are run until they succeed.
bool IsThere(const txlog::EtcdLogOptions& log, const std::string& uuid) {
  auto endpoints = txlog::etcd::Endpoints::Open(log.client);
  if (!endpoints.ok()) return false;
  auto identity = txlog::etcd::ReadIdentity(**endpoints, log.prefix);
  return identity.ok() && *identity == txlog::etcd::Identity{uuid, log.cluster};
}

}  // namespace

Result<std::string> BootstrapNode(const Options& options) {
  const std::string uuid = options.cluster_uuid.empty() ? RandomUuid() : options.cluster_uuid;
  // Several write this record, and must write the same: whoever leads first draws for all.
  // In etcd too, where a request may be done long after it was given up, and make it once more.
  const bool alone = !UsesEtcd(options) && options.members.size() <= 1;
  const GroupStart start{.cluster = options.cluster,
                         .cluster_uuid = uuid,
                         .group = 0,
                         .incarnation = alone ? SystemRandom64() : 0};
  if (UsesEtcd(options)) {
    auto log = EtcdLogOptionsOf(options);
    if (!log.ok()) return log.status();
    Status in_etcd = txlog::etcd::BootstrapGroup(log->client, log->prefix, {uuid, options.cluster},
                                                 RecordCodec().Encode(start));
    if (in_etcd.ok() || IsThere(*log, uuid)) return uuid;
    return in_etcd;
  }
  txlog::PosixDisk disk;
  const std::vector<txlog::Member> members = FirstMembers(options);
  txlog::NodeIdentity identity = IdentityOf(options, uuid);
  identity.first_members = txlog::DigestOf(members);
  Status made =
      txlog::BootstrapGroup(disk, options.data_dir, identity, RecordCodec().Encode(start), members);
  if (!made.ok()) return made;
  return uuid;
}

Status JoinNode(const Options& options) {
  txlog::PosixDisk disk;
  return txlog::BootstrapJoining(disk, options.data_dir, IdentityOf(options, options.cluster_uuid));
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
      admin_(driver_, options.node_id, [this](v1::LogStatus* status) { TellLog(status); }),
      links_(driver_, options.node_id, clock_, {.silence_max = options.link_silence_max}) {
  driver_.OnServing([this](bool serving) { OnServing(serving); });
}

Result<std::unique_ptr<Server>> Server::Start(const Options& options,
                                              std::function<void(Status)> on_fatal) {
  rpc::EnableHealthAndReflection();
  Options own = options;
  // Coordinators that keep nothing have no number of their own either.
  if (UsesEtcd(options)) own.node_id = txlog::DrawProcessId();
  std::unique_ptr<Server> server(new Server(own, std::move(on_fatal)));
  if (Status pages = server->OpenPages(); !pages.ok()) return pages;
  if (Status opened = server->OpenLog(); !opened.ok()) return opened;
  if (Status listening = server->Listen(); !listening.ok()) return listening;
  LogInfo("ready",
          {{"address", server->address_}, {"cluster", own.cluster}, {"node", own.node_id}});
  return server;
}

// Before all else, so that a node says what it is about while it reads a long log.
Status Server::OpenPages() {
  if (http::IsOff(options_.http_listen)) return Ok();
  auto health = [this] {
    std::vector<std::string> reasons = WhyNotServing(driver_.metrics());
    if (const auto* etcd = etcd_log_.load()) reasons = WithEtcd(std::move(reasons), etcd->health());
    return http::HealthReply(reasons);
  };
  auto scrape = [this]() -> http::Reply {
    metrics::Page page;
    Expose(driver_.metrics(), page);
    Expose(log_metrics_, page);
    ExposeQueues(driver_.metrics(), driver_.queue_depth(), page);
    rpc::LinkMetrics::Expose(rpc::LinkMetrics::End::kCoordinator, {&links_.metrics()}, page);
    if (const auto* peers = peer_metrics_.load()) txlog::Expose(*peers, page);
    if (const auto* etcd = etcd_log_.load()) Expose(etcd->health(), page);
    return {.content_type = metrics::kTextFormat, .body = page.Text()};
  };
  auto pages = http::Server::Start(
      {.option = "http_listen", .address = options_.http_listen, .tls = options_.tls},
      {{"/healthz", health}, {"/metrics", scrape}, {"/readyz", health}});
  if (!pages.ok()) return pages.status();
  pages_ = std::move(*pages);
  return Ok();
}

Status Server::OpenLog() { return UsesEtcd(options_) ? OpenEtcdLog() : OpenRaftLog(); }

Status Server::OpenEtcdLog() {
  auto options = EtcdLogOptionsOf(options_);
  if (!options.ok()) return options.status();
  options->observer = &log_metrics_;
  options->on_death = on_fatal_;
  auto log = txlog::EtcdLog::Open(std::move(*options), driver_);
  if (!log.ok()) return log.status();
  etcd_log_.store(log->get());
  log_ = std::move(*log);
  driver_.Attach(*log_);
  driver_thread_ = std::thread([this] { driver_.Run(); });
  return Ok();
}

Status Server::OpenRaftLog() {
  const bool alone = options_.peer_listen.empty();
  const txlog::TransportOptions transport{.listen = options_.peer_listen,
                                          .advertise = PeerAddress(options_),
                                          .tls = options_.tls,
                                          .stranger_certificate_name = kPeerCertificateName};
  auto log = txlog::ReplicatedLog::Open({.directory = options_.data_dir,
                                         .cluster = options_.cluster,
                                         .node_id = options_.node_id,
                                         .cluster_uuid = options_.cluster_uuid,
                                         .group_incarnation = IncarnationOf(options_),
                                         .segment_bytes = options_.segment_bytes,
                                         .snapshot_after_bytes = options_.snapshot_log_bytes,
                                         .election_timeout = options_.election_timeout,
                                         .observer = &log_metrics_,
                                         .on_death = on_fatal_},
                                        alone ? nullptr : &transport, driver_);
  if (!log.ok()) return log.status();
  peer_metrics_.store((*log)->transport_metrics());
  log_ = std::move(*log);
  driver_.Attach(*log_);
  driver_thread_ = std::thread([this] { driver_.Run(); });
  if (!alone) return Ok();
  MutexLock lock(mutex_);
  while (!serving_ && !failed_) changed_.Wait(mutex_);
  return failed_ ? failure_ : Ok();
}

void Server::HandOver() {
  if (options_.peer_listen.empty() && !UsesEtcd(options_)) return;
  std::promise<void> answered;
  const bool asked = driver_.Post(
      TransferCall{.drain = options_.transfer_drain,
                   .reply = [&answered](Answer<MembershipAnswer>) { answered.set_value(); }});
  if (asked) answered.get_future().wait();
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

void Server::TellLog(v1::LogStatus* status) const {
  status->set_engine(options_.engine);
  if (const auto* etcd = etcd_log_.load()) Fill(etcd->health(), status);
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
