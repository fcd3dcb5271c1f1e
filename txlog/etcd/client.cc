#include "txlog/etcd/client.h"

#include <grpcpp/client_context.h>

#include <atomic>
#include <optional>
#include <utility>

#include "base/log.h"
#include "txlog/etcd/convert.h"

namespace assent::txlog::etcd {

using std::chrono::seconds;

// Something on the queue. Of the queue's thread, once begun; others may only cancel it.
struct Client::Call {
  Call(Client& c, size_t e) : client(c), endpoint(e) {}
  virtual ~Call() = default;
  // The operation that was asked for last is over. The call ends itself with Client::End.
  virtual void Proceed(bool ok) = 0;

  Client& client;
  const size_t endpoint;
  grpc::ClientContext context;
  grpc::Status status;
};

template <typename Response>
struct Client::Unary final : Client::Call {
  using Call::Call;
  void Proceed(bool) override {
    if (is_request) client.Judge(status, endpoint);
    done(status, response);
    client.End(this);
  }

  Response response;
  bool is_request = true;  // Of the core.
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  std::function<void(const grpc::Status&, Response&)> done;
};

// One keep-alive of a lease: a stream that carries one request and one answer.
struct Client::LeaseCall final : Client::Call {
  LeaseCall(Client& c, size_t e, const KeepLease& a) : Call(c, e), action(a) {}
  void Proceed(bool ok) override {
    switch (step++) {
      case 0:  // Connected.
        if (!ok) return Finish();
        request.set_id(action.lease);
        return stream->Write(request, this);
      case 1:  // Written.
        if (!ok) return Finish();
        return stream->Read(&response, this);
      case 2:  // Read.
        answered = ok;
        // The answer is all that was wanted of the stream.
        context.TryCancel();
        return Finish();
      default: {
        if (!answered) client.Judge(status, endpoint);
        LeaseAnswered event{.request = action.request, .lease = action.lease};
        if (answered) {
          event.what = response.ttl() > 0 ? LeaseAnswered::What::kHeld : LeaseAnswered::What::kGone;
          event.ttl = seconds(response.ttl());
        } else {
          event.message = status.error_message();
        }
        client.Post(std::move(event));
        return client.End(this);
      }
    }
  }
  void Finish() {
    step = 3;
    stream->Finish(&status, this);
  }

  const KeepLease action;
  int step = 0;
  bool answered = false;
  etcdserverpb::LeaseKeepAliveRequest request;
  etcdserverpb::LeaseKeepAliveResponse response;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<etcdserverpb::LeaseKeepAliveRequest,
                                                etcdserverpb::LeaseKeepAliveResponse>>
      stream;
};

struct Client::WatchCall final : Client::Call {
  WatchCall(Client& c, size_t e, const StartWatch& a) : Call(c, e), action(a) {}
  void Proceed(bool ok) override {
    switch (step) {
      case 0: {  // Connected.
        if (!ok) return Finish();
        step = 1;
        auto& create = *request.mutable_create_request();
        create.set_key(action.key);
        create.set_range_end(action.end);
        create.set_start_revision(action.from);
        return stream->Write(request, this);
      }
      case 1:  // Written.
        if (!ok) return Finish();
        step = 2;
        return stream->Read(&response, this);
      case 2:  // Read.
        if (!ok) return Finish();
        if (response.canceled()) {
          reason = response.compact_revision() != 0 ? "what was asked for is compacted"
                                                    : response.cancel_reason();
          context.TryCancel();
          return Finish();
        }
        if (response.events_size() > 0) {
          client.Post(Watched{action.watch, FromProto(response)});
        }
        response.Clear();
        return stream->Read(&response, this);
      default: {
        const bool stopped = client.Forget(this);
        if (!stopped) {
          client.Judge(status, endpoint);
          if (reason.empty() && !moved) reason = status.error_message();
          client.Post(WatchEnded{action.watch, std::move(reason)});
        }
        return client.End(this);
      }
    }
  }
  void Finish() {
    step = 3;
    stream->Finish(&status, this);
  }

  const StartWatch action;
  std::atomic<bool> moved{false};  // It is ended because requests go elsewhere now.
  int step = 0;
  std::string reason;
  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchResponse response;
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream;
};

Client::Client(std::unique_ptr<Endpoints> endpoints, std::function<void(Event)> post)
    : endpoints_(std::move(endpoints)), post_(std::move(post)) {
  for (size_t i = 0; i < endpoints_->size(); ++i) {
    kv_.push_back(etcdserverpb::KV::NewStub(endpoints_->channel(i)));
  }
  thread_ = std::thread([this] { Run(); });
}

Client::~Client() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
    for (Call* call : calls_) call->context.TryCancel();
    // Streams begin another operation before they end: the queue stays until then.
    while (!calls_.empty()) changed_.Wait(mutex_);
  }
  queue_.Shutdown();
  thread_.join();
}

void Client::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) static_cast<Call*>(tag)->Proceed(ok);
}

void Client::Begin(Call* call) {
  MutexLock lock(mutex_);
  calls_.insert(call);
  if (closing_) call->context.TryCancel();
}

void Client::End(Call* call) {
  MutexLock lock(mutex_);
  calls_.erase(call);
  delete call;
  changed_.NotifyAll();
}

bool Client::Forget(WatchCall* call) {
  MutexLock lock(mutex_);
  if (watch_ != call) return true;
  watch_ = nullptr;
  return false;
}

void Client::Post(Event event) {
  {
    MutexLock lock(mutex_);
    if (closing_) return;
  }
  post_(std::move(event));
}

void Client::Judge(const grpc::Status& status, size_t endpoint) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::UNIMPLEMENTED:  // A proxy, or no etcd at all.
      endpoints_->Failed(endpoint);
      break;
    default:
      break;
  }
  if (endpoints_->uses_token() && WantsToken(status)) {
    endpoints_->SetToken({});
    Authenticate();
  }
}

// At most one at a time; until it has succeeded, calls are answered as busy.
void Client::Authenticate() {
  {
    MutexLock lock(mutex_);
    if (authenticating_ || closing_) return;
    authenticating_ = true;
  }
  size_t which = 0;
  auto channel = endpoints_->Current(&which);
  auto* call = new Unary<etcdserverpb::AuthenticateResponse>(*this, which);
  call->context.set_deadline(std::chrono::system_clock::now() +
                             endpoints_->options().request_timeout);
  call->done = [this](const grpc::Status& status, etcdserverpb::AuthenticateResponse& response) {
    if (status.ok()) {
      endpoints_->SetToken(response.token());
    } else {
      LogWarning("etcd_user_refused",
                 {{"user", endpoints_->options().user}, {"reason", status.error_message()}});
    }
    MutexLock lock(mutex_);
    authenticating_ = false;
  };
  etcdserverpb::AuthenticateRequest request;
  request.set_name(endpoints_->options().user);
  request.set_password(endpoints_->options().password);
  Begin(call);
  auto stub = etcdserverpb::Auth::NewStub(channel);
  call->reader = stub->AsyncAuthenticate(&call->context, request, &queue_);
  call->reader->Finish(&call->response, &call->status, call);
}

void Client::EndWatchElsewhere() {
  size_t current = 0;
  (void)endpoints_->Current(&current);
  MutexLock lock(mutex_);
  if (watch_ == nullptr || watch_->endpoint == current) return;
  watch_->moved = true;
  watch_->context.TryCancel();
}

void Client::AskWhoLeads() {
  if (endpoints_->size() == 1) return;
  EndWatchElsewhere();
  for (size_t which = 0; which < endpoints_->size(); ++which) {
    auto* call = new Unary<etcdserverpb::StatusResponse>(*this, which);
    call->context.set_deadline(std::chrono::system_clock::now() +
                               endpoints_->options().request_timeout);
    // One that does not answer is not judged by it: other requests may never need it.
    call->is_request = false;
    call->done = [this, which](const grpc::Status& status, etcdserverpb::StatusResponse& response) {
      const bool leads =
          response.leader() != 0 && response.leader() == response.header().member_id();
      if (status.ok()) endpoints_->Heard(which, response.raft_term(), leads);
    };
    Begin(call);
    auto stub = etcdserverpb::Maintenance::NewStub(endpoints_->channel(which));
    call->reader = stub->AsyncStatus(&call->context, {}, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }
}

void Client::Send(const SendTxn& action) {
  size_t which = 0;
  (void)endpoints_->Current(&which);
  auto call = std::make_unique<Unary<etcdserverpb::TxnResponse>>(*this, which);
  if (!endpoints_->Prepare(call->context)) {
    Authenticate();
    return Post(TxnAnswered{action.request,
                            NotDone{NotDone::Why::kBusy, "etcd has not accepted the user " +
                                                             endpoints_->options().user + " yet"}});
  }
  call->done = [this, request = action.request, which](const grpc::Status& status,
                                                       etcdserverpb::TxnResponse& response) {
    TxnAnswered event{request, {}};
    if (status.ok()) {
      event.outcome = FromProto(response);
    } else {
      event.outcome = Classify(status);
      if (auto* no = std::get_if<NoAnswer>(&event.outcome)) {
        no->message = endpoints_->address(which) + ": " + no->message;
      } else if (auto* not_done = std::get_if<NotDone>(&event.outcome)) {
        not_done->message = endpoints_->address(which) + ": " + not_done->message;
      }
    }
    Post(std::move(event));
  };
  auto* raw = call.release();
  Begin(raw);
  raw->reader = kv_[which]->AsyncTxn(&raw->context, ToProto(action.txn), &queue_);
  raw->reader->Finish(&raw->response, &raw->status, raw);
}

void Client::Send(const GrantLease& action) {
  AskWhoLeads();
  size_t which = 0;
  auto channel = endpoints_->Current(&which);
  auto call = std::make_unique<Unary<etcdserverpb::LeaseGrantResponse>>(*this, which);
  if (!endpoints_->Prepare(call->context)) {
    Authenticate();
    return Post(
        LeaseAnswered{.request = action.request, .message = "etcd has not accepted the user yet"});
  }
  call->done = [this, request = action.request](const grpc::Status& status,
                                                etcdserverpb::LeaseGrantResponse& response) {
    LeaseAnswered event{.request = request};
    if (status.ok() && response.error().empty()) {
      event.what = LeaseAnswered::What::kHeld;
      event.lease = response.id();
      event.ttl = seconds(response.ttl());
    } else {
      event.message = status.ok() ? response.error() : status.error_message();
    }
    Post(std::move(event));
  };
  auto* raw = call.release();
  Begin(raw);
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(std::chrono::ceil<seconds>(action.ttl).count());
  auto stub = etcdserverpb::Lease::NewStub(channel);
  raw->reader = stub->AsyncLeaseGrant(&raw->context, request, &queue_);
  raw->reader->Finish(&raw->response, &raw->status, raw);
}

void Client::Send(const KeepLease& action) {
  AskWhoLeads();
  size_t which = 0;
  auto channel = endpoints_->Current(&which);
  auto call = std::make_unique<LeaseCall>(*this, which, action);
  if (!endpoints_->Prepare(call->context)) {
    Authenticate();
    return Post(
        LeaseAnswered{.request = action.request, .message = "etcd has not accepted the user yet"});
  }
  call->context.AddMetadata("hasleader", "true");
  auto* raw = call.release();
  Begin(raw);
  auto stub = etcdserverpb::Lease::NewStub(channel);
  raw->stream = stub->PrepareAsyncLeaseKeepAlive(&raw->context, &queue_);
  raw->stream->StartCall(raw);
}

void Client::Watch(const StartWatch& action) {
  StopWatching();
  size_t which = 0;
  auto channel = endpoints_->Current(&which);
  auto call = std::make_unique<WatchCall>(*this, which, action);
  if (!endpoints_->Prepare(call->context, false)) {
    Authenticate();
    return Post(WatchEnded{action.watch, "etcd has not accepted the user yet"});
  }
  // A member that is cut off from the others then ends it, instead of telling nothing.
  call->context.AddMetadata("hasleader", "true");
  auto* raw = call.release();
  {
    MutexLock lock(mutex_);
    watch_ = raw;
  }
  Begin(raw);
  auto stub = etcdserverpb::Watch::NewStub(channel);
  raw->stream = stub->PrepareAsyncWatch(&raw->context, &queue_);
  raw->stream->StartCall(raw);
}

void Client::StopWatching() {
  MutexLock lock(mutex_);
  if (watch_ == nullptr) return;
  watch_->context.TryCancel();
  watch_ = nullptr;
}

std::string Client::endpoint() const {
  size_t which = 0;
  (void)endpoints_->Current(&which);
  return endpoints_->address(which);
}

}  // namespace assent::txlog::etcd
