// Keeps LeakSanitizer's word trustworthy; linked into every test.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

// What packaged libraries leak. Our own code has no line here.
//   libpqxx 6.4   some 2 kB with each connection that is lost
//   libcares      a few bytes when a name is still being resolved (by gRPC) as the process ends
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpqxx-6.4.so\nleak:libcares.so\n";
}

// gRPC ends its last threads in the background, some 100 ms after its last object is gone. One that
// outlives exit()'s handlers leaves OpenSSL's error state of the thread behind (904 bytes), since
// OpenSSL has dropped the key it would be freed by. So a test waits for them.
namespace {

bool GrpcThreadsRun() {
  std::error_code gone;  // Threads may end while they are listed.
  for (std::filesystem::directory_iterator it("/proc/self/task", gone), end; !gone && it != end;
       it.increment(gone)) {
    std::ifstream file(it->path() / "comm");
    std::string name;
    std::getline(file, name);
    if (name == "default-executo" || name == "resolver-execut" || name == "event_engine" ||
        name == "timer_manager" || name.starts_with("grpc")) {
      return true;
    }
  }
  return false;
}

class GrpcThreadsEnd : public ::testing::Environment {
  void TearDown() override {
    // Bounded: a test may keep gRPC objects in statics, and then nobody ends the threads.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (GrpcThreadsRun() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
};

[[maybe_unused]] auto* const kGrpcThreadsEnd =
    ::testing::AddGlobalTestEnvironment(new GrpcThreadsEnd);

}  // namespace
