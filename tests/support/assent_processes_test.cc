#include "tests/support/assent_processes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace assent::test_support {
namespace {

// A shell script in the place of assentd: what the fixture does, apart from what assentd does.
class AssentProcessesTest : public testing::Test {
 protected:
  Result<std::unique_ptr<AssentdProcess>> Create(const std::string& serve) {
    std::string script = dir_.File("assentd");
    std::string text =
        "#!/bin/sh\nif [ \"$3\" = --bootstrap ]; then echo \"bootstrapped $2\"; exit 0; fi\n";
    EXPECT_TRUE(WriteFile(script, text + serve).ok());
    EXPECT_EQ(chmod(script.c_str(), 0755), 0);
    AssentdOptions options;
    options.bin_dir = dir_.path();
    options.settings = {{"fsync_batch", "7"}};
    return AssentdProcess::Create(dir_, options);
  }
  TempDir dir_;
};

TEST_F(AssentProcessesTest, WaitsForReadyAndRestarts) {
  auto process = Create(
      "echo '2026-01-01T00:00:00Z I starting step=ready'\n"
      "echo \"2026-01-01T00:00:00Z I ready colour=$COLOUR\"\nexec sleep 100\n");
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  Status started = (*process)->Start({{"COLOUR", "green"}});
  ASSERT_TRUE(started.ok()) << started.ToString();
  EXPECT_NE((*process)->Log().find("colour=green"), std::string::npos);
  EXPECT_FALSE((*process)->Logged("step"));
  EXPECT_EQ((*process)->Start().code(), Code::kFailedPrecondition);
  (*process)->Kill9();
  EXPECT_FALSE((*process)->Running());
  ASSERT_TRUE((*process)->Start().ok());
  EXPECT_EQ((*process)->Log().find("green"), std::string::npos) << "the log of the run before";
  EXPECT_EQ((*process)->Terminate().signal, SIGTERM);
}

TEST_F(AssentProcessesTest, WritesTheConfig) {
  auto process = Create("exit 0");
  ASSERT_TRUE(process.ok());
  std::string config = ReadFile((*process)->config_file());
  EXPECT_NE(config.find("cluster = \"test\"\n"), std::string::npos) << config;
  EXPECT_NE(config.find("fsync_batch = 7\n"), std::string::npos) << config;
}

TEST_F(AssentProcessesTest, CarriesTheLogOfAFailedStart) {
  auto process = Create("echo 'port 7400 is in use' >&2; exit 1");
  ASSERT_TRUE(process.ok());
  Status started = (*process)->Start();
  EXPECT_NE(started.message().find("port 7400 is in use"), std::string::npos) << started.ToString();
}

}  // namespace
}  // namespace assent::test_support
