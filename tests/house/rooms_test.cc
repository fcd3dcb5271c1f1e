// tests/house/check-rooms holds includes to tests/house/rooms.txt; here it is run on the real tree,
// and on a tree of seeded violations that it must find, each one.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/support/paths.h"

namespace assent {
namespace {

struct Answer {
  int exit_code;
  std::string output;
};

Answer CheckRooms(const std::string& root) {
  std::string command = assent::tests::SourceDir() + "/tests/house/check-rooms '" + root + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  Answer answer{-1, ""};
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof(buffer), pipe)) answer.output.append(buffer, count);
  int status = pclose(pipe);
  if (WIFEXITED(status)) answer.exit_code = WEXITSTATUS(status);
  return answer;
}

TEST(RoomsTest, NoRoomIncludesWhatItMustNot) {
  Answer answer = CheckRooms(assent::tests::SourceDir());
  EXPECT_EQ(answer.exit_code, 0);
  EXPECT_EQ(answer.output, "");
}

TEST(RoomsTest, EverySeededViolationIsFound) {
  std::ifstream file(assent::tests::TestDataDir() + "/house/complaints.txt");
  std::ostringstream expected;
  expected << file.rdbuf();
  ASSERT_NE(expected.str(), "");
  Answer answer = CheckRooms(assent::tests::TestDataDir() + "/house/rooms");
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.output, expected.str());
}

}  // namespace
}  // namespace assent
