// How clients reach the parts of a deployment, with TLS if it has it.
#pragma once

#include "client/options.h"
#include "tests/support/deployment.h"

namespace assent::test_support {

inline client::TlsOptions TlsOf(const TlsPaths& paths) {
  return {.ca_file = paths.ca_file,
          .cert_file = paths.cert_file,
          .key_file = paths.key_file,
          .server_name = ""};
}

inline client::ClientOptions ToCoordinator(const Deployment& house) {
  client::ClientOptions options;
  options.endpoints = house.endpoints();
  options.tls = TlsOf(house.client_tls());
  return options;
}

inline client::AgentOptions ToAgent(const Deployment& house, const AgentProcess& agent) {
  client::AgentOptions options;
  options.endpoint = agent.endpoint();
  options.tls = TlsOf(house.client_tls());
  return options;
}

}  // namespace assent::test_support
