// One fake coordinator, one fake agent, and a client with short patience.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "client/assent.h"
#include "tests/client/fake_agent.h"
#include "tests/client/fake_coordinator.h"
#include "tests/client/fake_services.h"

namespace assent::client {

class ClientTest : public testing::Test {
 protected:
  using milliseconds = std::chrono::milliseconds;

  static Client Connect(std::vector<std::string> endpoints) {
    ClientOptions options;
    options.endpoints = std::move(endpoints);
    options.try_timeout = milliseconds(500);
    options.begin_retry_for = milliseconds(1'000);
    options.destructor_timeout = milliseconds(200);
    auto client = Client::Connect(options);
    EXPECT_TRUE(client.ok()) << client.status().ToString();
    return *client;
  }

  static Agent ConnectAgent(const std::string& endpoint) {
    auto agent = Agent::Connect({.endpoint = endpoint, .retry_for = milliseconds(400)});
    EXPECT_TRUE(agent.ok()) << agent.status().ToString();
    return *agent;
  }

  Transaction Begin(BeginOptions options = {}) {
    auto transaction = client_.Begin(std::move(options));
    EXPECT_TRUE(transaction.ok()) << transaction.status().ToString();
    return *std::move(transaction);
  }

  Branch Open(Transaction& transaction, const std::string& resource = "orders_pg") {
    auto branch = transaction.Open(agent_, resource);
    EXPECT_TRUE(branch.ok()) << branch.status().ToString();
    return *std::move(branch);
  }

  // How long `work` takes.
  template <typename Work>
  static milliseconds Time(Work work) {
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  }

  FakeCoordinator coordinator_;
  FakeAgent fake_agent_;
  FakeServer coordinator_server_{&coordinator_};
  FakeServer agent_server_{&fake_agent_};
  Client client_ = Connect({coordinator_server_.endpoint()});
  Agent agent_ = ConnectAgent(agent_server_.endpoint());
};

}  // namespace assent::client
