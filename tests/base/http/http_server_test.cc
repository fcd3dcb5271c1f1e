#include "base/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace assent::http {
namespace {

using test_support::HttpGet;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A connection that says what it is told, and nothing more.
class RawConnection {
 public:
  explicit RawConnection(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void Say(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Everything until the server closes the connection.
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    for (ssize_t got = 0; (got = recv(fd_, buffer, sizeof buffer, 0)) > 0;) {
      all.append(buffer, static_cast<size_t>(got));
    }
    return all;
  }

 private:
  const int fd_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Server>> Start(const tls::TlsFiles& tls = {}) {
    return Server::Start({.option = "http_listen", .address = endpoint_, .tls = tls},
                         {{"/healthz",
                           [] {
                             return Reply{503, "application/json", "{}\n"};
                           }},
                          {"/metrics", [this] {
                             ++scrapes_;
                             return Reply{200, "text/plain; version=0.0.4", "x 1\n"};
                           }}});
  }
  void Serve() {
    auto server = Start();
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
  }

  const uint16_t port_ = test_support::PickFreePort();
  const std::string endpoint_ = "127.0.0.1:" + std::to_string(port_);
  std::atomic<int> scrapes_{0};
  std::unique_ptr<Server> server_;
};

TEST(CheckAddressTest, OffLoopbackOrCertificates) {
  for (const char* off : {"", "127.0.0.1:0", "0.0.0.0:0"}) EXPECT_TRUE(IsOff(off)) << off;
  for (const char* on : {"127.0.0.1:7402", "[::1]:10"}) EXPECT_FALSE(IsOff(on)) << on;
  for (const char* fine : {"", "127.0.0.1:7402", "localhost:0", "[::1]:7402"}) {
    EXPECT_TRUE(CheckAddress("http_listen", fine, false).ok()) << fine;
  }
  const Status open = CheckAddress("http_listen", "0.0.0.0:7402", false);
  EXPECT_EQ(open.code(), Code::kFailedPrecondition);
  EXPECT_THAT(open.message(), AllOf(HasSubstr("http_listen \"0.0.0.0:7402\""),
                                    HasSubstr("no certificate"), HasSubstr("tls_cert_file")));
  EXPECT_TRUE(CheckAddress("http_listen", "0.0.0.0:7402", true).ok());
  const Status nonsense = CheckAddress("http_listen", "7402", true);
  EXPECT_EQ(nonsense.code(), Code::kInvalidArgument);
  EXPECT_THAT(nonsense.message(), AllOf(HasSubstr("http_listen \"7402\""), HasSubstr("HOST:PORT"),
                                        Not(HasSubstr("unix:"))));
  const Status unix_socket = CheckAddress("http_listen", "unix:/run/x.sock", true);
  EXPECT_EQ(unix_socket.code(), Code::kInvalidArgument);
  EXPECT_THAT(unix_socket.message(), HasSubstr("HOST:PORT"));
}

TEST_F(HttpServerTest, AnswersItsPages) {
  Serve();
  auto metrics = HttpGet(endpoint_, "/metrics");
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->content_type, "text/plain; version=0.0.4");
  EXPECT_EQ(metrics->body, "x 1\n");
  EXPECT_EQ(HttpGet(endpoint_, "/healthz")->status, 503);
  EXPECT_EQ(HttpGet(endpoint_, "/")->body, "/healthz\n/metrics\n");
  auto unknown = HttpGet(endpoint_, "/metricsx");
  EXPECT_EQ(unknown->status, 404);
  EXPECT_THAT(unknown->body, HasSubstr("/metrics"));
}

TEST_F(HttpServerTest, OtherMethodsAreRefused) {
  Serve();
  RawConnection connection(port_);
  connection.Say("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(connection.ReadAll(), HasSubstr("HTTP/1.1 404"));
  EXPECT_EQ(scrapes_, 0);
}

TEST_F(HttpServerTest, GarbageIsRefusedAndHurtsNobody) {
  Serve();
  for (const std::string& garbage : {std::string("\x16\x03\x01\x02"), std::string("GET\r\n\r\n"),
                                     "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n"}) {
    RawConnection connection(port_);
    connection.Say(garbage);
    EXPECT_THAT(connection.ReadAll(), ::testing::Not(HasSubstr("200 OK")));
  }
  EXPECT_EQ(HttpGet(endpoint_, "/metrics")->status, 200);
}

TEST_F(HttpServerTest, OneAnswerToAConnection) {
  Serve();
  RawConnection connection(port_);
  connection.Say(
      "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(connection.ReadAll(), AllOf(HasSubstr("Connection: close"), HasSubstr("x 1\n")));
  EXPECT_EQ(scrapes_, 1);
}

// All threads and the queue are taken by clients that say nothing; they are given up, and who asks
// is answered.
TEST_F(HttpServerTest, SilentClientsDoNotKeepOthersOut) {
  Serve();
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (size_t i = 0; i < kThreads; ++i) {
    silent.push_back(std::make_unique<RawConnection>(port_));
    if (i % 2 == 1) silent.back()->Say("GET /metrics HTTP/1.1\r\n");
  }
  auto metrics = HttpGet(endpoint_, "/metrics");
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->status, 200);
}

TEST_F(HttpServerTest, StopsWhileClientsHoldConnections) {
  Serve();
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (size_t i = 0; i < kThreads + 2; ++i)
    silent.push_back(std::make_unique<RawConnection>(port_));
  server_.reset();
  EXPECT_FALSE(HttpGet(endpoint_, "/metrics").ok());
  Serve();  // The port is free again.
  EXPECT_EQ(HttpGet(endpoint_, "/metrics")->status, 200);
}

TEST_F(HttpServerTest, StopsAtOnceAfterItWasStarted) {
  for (int i = 0; i < 50; ++i) {
    Serve();
    if (HasFatalFailure()) return;
    server_.reset();
  }
}

TEST_F(HttpServerTest, ManyClientsAtOnce) {
  Serve();
  std::vector<std::future<int>> answers;
  for (int i = 0; i < 40; ++i) {
    answers.push_back(std::async(std::launch::async, [this] {
      auto answer = HttpGet(endpoint_, "/metrics");
      return answer.ok() ? answer->status : -1;
    }));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get(), 200);
}

TEST_F(HttpServerTest, ATakenPortIsRefusedWithItsName) {
  Serve();
  auto second = Start();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kAlreadyExists);
  EXPECT_THAT(second.status().message(),
              AllOf(HasSubstr("http_listen " + endpoint_), HasSubstr("in use by another process")));
}

TEST_F(HttpServerTest, MutualTls) {
  test_support::TempDir dir;
  ASSERT_TRUE(test_support::MakeCertificates(dir).ok());
  const tls::TlsFiles files{.ca_file = dir.File("ca.pem"),
                            .cert_file = dir.File("node.pem"),
                            .key_file = dir.File("node.key")};
  auto server = Start(files);
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  auto answer =
      HttpGet(endpoint_, "/metrics",
              {.ca_file = files.ca_file, .cert_file = files.cert_file, .key_file = files.key_file});
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->body, "x 1\n");
  // Without a certificate, and in clear text.
  EXPECT_FALSE(
      HttpGet(endpoint_, "/metrics", {.ca_file = files.ca_file, .cert_file = {}, .key_file = {}})
          .ok());
  EXPECT_FALSE(HttpGet(endpoint_, "/metrics").ok());
  EXPECT_EQ(scrapes_, 1);
}

TEST_F(HttpServerTest, TlsFilesThatDoNotFitAreRefused) {
  test_support::TempDir dir;
  ASSERT_TRUE(test_support::MakeCertificates(dir).ok());
  auto server = Start({.ca_file = dir.File("ca.pem"),
                       .cert_file = dir.File("node.pem"),
                       .key_file = dir.File("ca.key")});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.status().message(), HasSubstr("tls_key_file"));
}

}  // namespace
}  // namespace assent::http
