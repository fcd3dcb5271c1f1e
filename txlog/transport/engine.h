// The transport's thread: one loop that waits for sockets, time and the owner's calls.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "txlog/transport/acceptor.h"
#include "txlog/transport/dialer.h"
#include "txlog/transport/resolver.h"
#include "txlog/transport/shared.h"

namespace assent::txlog {

class Engine {
 public:
  Engine(Shared& shared, ListeningSocket listening);

  // The loop, until Stop.
  void Run();

  // Any thread.
  void SetPeers(std::vector<Peer> peers) EXCLUDES(mutex_);
  void Resume() EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_);

 private:
  // What other threads have asked for since the last look.
  struct Wishes {
    std::optional<std::vector<Peer>> peers;
    bool resume = false;
    bool stop = false;
  };

  // Does what others wish. False: stop.
  bool Obey();
  MonotonicTime NextDeadline() const;
  Wishes TakeWishes() EXCLUDES(mutex_);
  void ChangePeers(std::vector<Peer> peers);
  void SendAll();

  Shared& shared_;
  Resolver resolver_;
  Acceptor acceptor_;
  std::map<MemberId, std::unique_ptr<Dialer>> dialers_;
  Mutex mutex_;
  Wishes wishes_ GUARDED_BY(mutex_);
};

}  // namespace assent::txlog
