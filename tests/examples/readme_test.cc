// The first programs of README.md, as they are printed there.
#include <fstream>

#include "tests/examples/examples_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/stop_point.h"

namespace assent {
namespace {

using test_support::Argv;
using test_support::StopPoint;
using testing::HasSubstr;

// The first block of README.md in that language.
std::string ReadmeProgram(const std::string& language) {
  const std::string readme = ReadText(tests::SourceDir() + "/README.md");
  const std::string start = "```" + language + "\n";
  size_t begin = readme.find(start);
  if (begin == std::string::npos) return {};
  begin += start.size();
  return readme.substr(begin, readme.find("```", begin) - begin);
}

class ReadmeTest : public ExamplesTest {
 protected:
  static Argv WithAddresses(Argv argv) {
    for (const std::string& address :
         {House().coordinator().endpoint(), House().postgres_agent().endpoint(),
          House().mariadb_agent().endpoint()}) {
      argv.push_back(address);
    }
    return argv;
  }
  Argv PythonProgram() const {
    const std::string program = dir_.File("first.py");
    std::ofstream(program) << ReadmeProgram("python");
    return WithAddresses({kPython, program});
  }
};

TEST_F(ReadmeTest, ProgramInCpp) {
  EXPECT_EQ(ReadText(Binary("../examples/readme_program.cc")), ReadmeProgram("cpp"));
  const Books before = Look();
  EXPECT_EQ(Run(WithAddresses({Binary("readme_program")})), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("COMMITTED"));
  ExpectMoved(before, 50);
}

// Commit is repeated by the library until the coordinator is back.
TEST_F(ReadmeTest, ProgramInCppHearsTheOutcomeThoughTheCoordinatorDied) {
  const Books before = Look();
  StopPoint decided("coord.reply.before");
  RestartCoordinator(decided.Env());
  auto program = Start(WithAddresses({Binary("readme_program")}));
  ASSERT_NE(program, nullptr);
  ASSERT_TRUE(decided.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  House().coordinator().Kill9();
  RestartCoordinator();
  EXPECT_EQ(End(*program), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("COMMITTED"));
  ExpectMoved(before, 50);
}

TEST_F(ReadmeTest, ProgramInPython) {
  const auto stubs = PythonStubs();
  const Books before = Look();
  EXPECT_EQ(Run(PythonProgram(), stubs), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("OUTCOME_COMMITTED"));
  ExpectMoved(before, 50);
}

TEST_F(ReadmeTest, ProgramInPythonAsksAgainWhenTheCoordinatorDied) {
  const auto stubs = PythonStubs();
  const Books before = Look();
  StopPoint decided("coord.reply.before");
  RestartCoordinator(decided.Env());
  auto program = Start(PythonProgram(), stubs);
  ASSERT_NE(program, nullptr);
  ASSERT_TRUE(decided.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  House().coordinator().Kill9();
  RestartCoordinator();
  EXPECT_EQ(End(*program), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("asking again"));
  ExpectMoved(before, 50);
}

}  // namespace
}  // namespace assent
