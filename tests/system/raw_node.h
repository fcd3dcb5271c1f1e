// One coordinator node, asked directly: no redirects, no repeats. For what a node itself answers.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "assent/v1/transaction_service.grpc.pb.h"
#include "tests/support/assent_processes.h"

namespace assent::system_tests {

// Thread-safe.
class RawNode {
 public:
  // Connected when this returns.
  explicit RawNode(const test_support::AssentdProcess& node,
                   const test_support::TlsPaths& tls = {});

  // What it says of the transaction; OUTCOME_UNSPECIFIED: it refused, or did not answer in time.
  struct Word {
    std::string call;
    v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
    std::string refusal;
    v1::Reason reason = v1::REASON_UNSPECIFIED;
    std::string leader;  // Its hint.
    std::string ToString() const;
  };
  Word Get(const std::string& gtrid, std::chrono::milliseconds limit) const;
  Word Commit(const std::string& gtrid, std::chrono::milliseconds limit) const;
  Word Rollback(const std::string& gtrid, std::chrono::milliseconds limit) const;
  // How it answers a Begin that it should refuse.
  Word Begin(std::chrono::milliseconds limit) const;

 private:
  template <typename Request, typename Reply, typename Method>
  Word Call(const char* call, const Request& request, Reply* reply, Method method,
            std::chrono::milliseconds limit) const;

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TransactionService::Stub> stub_;
};

}  // namespace assent::system_tests
