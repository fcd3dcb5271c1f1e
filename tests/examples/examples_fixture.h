// What the tests of the examples share: one deployment for all of them, the books before and after,
// and ways to run a program or to have it wait at the moment in which something is killed.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/support/deployment.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent {

constexpr char kPython[] = "/usr/bin/python3";  // Debian's, which sees Debian's modules.

// A file of examples/, and a program that was built.
std::string Example(const std::string& name);
std::string Binary(const std::string& name);
std::string ReadText(const std::string& file);

class ExamplesTest : public testing::Test {
 protected:
  static constexpr std::chrono::seconds kRunMax{90};

  struct Books {
    int64_t in_postgres = 0;
    int64_t in_mariadb = 0;
  };

  void SetUp() override;

  // With  accounts(id, balance)  in both databases: 1 and 2, of 1000 each at first.
  static test_support::Deployment& House();
  static std::string MysqlPlace();  // "root@127.0.0.1:port/bank"

  // The sums in the two databases.
  static Books Look();
  // Waits until nothing is in doubt; then the money is here or there.
  static void ExpectMoved(const Books& before, int64_t amount);

  // Runs a program to its end; its exit code, or -1. What it printed is in output_.
  int Run(const test_support::Argv& argv, const test_support::Environment& env = {});
  // Starts one in the background, and waits until it has said `ready` (if any) or ended.
  std::unique_ptr<test_support::Process> Start(const test_support::Argv& argv,
                                               const test_support::Environment& env = {},
                                               const std::string& ready = {});
  // Waits for the end of one that was started: its exit code, or -1.
  int End(test_support::Process& process);

  // Ends the coordinator, if it runs, starts it anew, and waits until both agents are there: Begin
  // names their resources.
  static void RestartCoordinator(const test_support::Environment& env = {});

  // PYTHONPATH with the stubs that examples/python/stubs generates.
  test_support::Environment PythonStubs();

  test_support::TempDir dir_;
  std::string output_;

 private:
  std::string StartedLog() const { return dir_.File("started.log"); }
};

}  // namespace assent
