#include "participant-agent/server/server.h"

#include <utility>

#include "base/http/health.h"
#include "base/log.h"
#include "base/metrics/page.h"
#include "base/rpc/credentials.h"
#include "base/rpc/listener.h"
#include "base/rpc/services.h"

namespace assent::agent {

Server::Server(const Options& options, std::unique_ptr<Journal> journal, ManagerFactory factory)
    : options_(options), journal_(std::move(journal)) {
  driver_ = std::make_unique<Driver>(options_, *journal_, std::move(factory), inbox_);
}

Result<std::unique_ptr<Server>> Server::Start(const Options& options, ManagerFactory factory) {
  auto server_credentials = rpc::ServerCredentials(options.tls);
  if (!server_credentials.ok()) return server_credentials.status();
  auto channel_credentials = rpc::ChannelCredentials(options.tls);
  if (!channel_credentials.ok()) return channel_credentials.status();
  auto journal = Journal::Open(options.data_dir, options.agent_id);
  if (!journal.ok()) return journal.status();

  std::unique_ptr<Server> server(new Server(options, *std::move(journal), std::move(factory)));
  rpc::EnableHealthAndReflection();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(kRequestBytesMax));
  builder.RegisterService(&server->service_);
  std::vector<rpc::Listener> listeners{{.option = "listen",
                                        .address = options.listen,
                                        .credentials = *server_credentials,
                                        .has_tls = !options.tls.empty()}};
  auto grpc_server = rpc::StartServer(builder, listeners);
  if (!grpc_server.ok()) return grpc_server.status();
  server->grpc_ = *std::move(grpc_server);
  server->port_ = listeners.front().port;

  server->links_ = std::make_unique<Links>(
      LinkSecurity{*channel_credentials, options.tls_server_name}, server->inbox_);
  server->driver_->SetLinks(*server->links_);
  if (Status pages = server->OpenPages(); !pages.ok()) return pages;
  server->driver_thread_ = std::thread([driver = server->driver_.get()] { driver->Run(); });
  return server;
}

Status Server::OpenPages() {
  if (http::IsOff(options_.http_listen)) return Ok();
  auto health = [this] { return http::HealthReply(driver_->metrics().WhyNotServing()); };
  auto scrape = [this]() -> http::Reply {
    metrics::Page page;
    driver_->metrics().Expose(page);
    page.Gauges("assent_queue_depth", "What waits in a queue of this process.")
        .Series({{"queue", "driver"}}, static_cast<double>(inbox_.size()));
    std::vector<const rpc::LinkMetrics*> links;
    for (const Link* link : links_->All()) links.push_back(&link->metrics());
    rpc::LinkMetrics::Expose(rpc::LinkMetrics::End::kAgent, links, page);
    return {.content_type = metrics::kTextFormat, .body = page.Text()};
  };
  auto pages = http::Server::Start(
      {.option = "http_listen", .address = options_.http_listen, .tls = options_.tls},
      {{"/healthz", health}, {"/metrics", scrape}});
  if (!pages.ok()) return pages.status();
  pages_ = std::move(*pages);
  return Ok();
}

Server::~Server() {
  pages_.reset();
  if (grpc_ != nullptr) rpc::SetServing(*grpc_, false);
  inbox_.Close();
  if (driver_thread_.joinable()) driver_thread_.join();
  if (links_ != nullptr) {
    for (Link* link : links_->All()) link->Stop();
    links_.reset();
  }
  if (grpc_ != nullptr) {
    grpc_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    grpc_->Wait();
  }
}

}  // namespace assent::agent
