#include "base/rpc/connect_hint.h"

namespace assent::rpc {

bool NeverConnected(std::string_view grpc_message) {
  return grpc_message.find("failed to connect to all addresses") != grpc_message.npos;
}

std::string ConnectHint(std::string_view grpc_message) {
  auto says = [&](std::string_view words) { return grpc_message.find(words) != words.npos; };
  // Connections that broke later have other causes.
  if (!NeverConnected(grpc_message)) return "";
  if (says("wrong version number") || says("WRONG_VERSION_NUMBER")) {
    return ": the server there speaks no TLS, but we do; give TLS files to both or to none";
  }
  if (says("certificate verify failed") || says("CERTIFICATE_VERIFY_FAILED")) {
    return ": the server's certificate is not of the authority in our tls_ca_file, or has expired; "
           "`assentctl certs show` tells";
  }
  if (says("is not in peer certificate")) {
    return ": the server's certificate does not name the host that was dialled; dial one of those "
           "that `assentctl certs show` tells, or make it a certificate with that --host";
  }
  if (says("Socket closed") || says("Connection reset by peer") || says("Broken pipe")) {
    return ": the server closed the connection at once, as it does when it wants TLS and a "
           "certificate of its authority; are our tls_ca_file, tls_cert_file and tls_key_file "
           "given, and from there? The server's log says what it missed";
  }
  return "";
}

}  // namespace assent::rpc
