#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

namespace assent {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

struct Resource {
  std::string name;
  std::string kind = "postgres";
  uint32_t port = 0;
  std::string password_env;
};

struct Options {
  std::string data_dir;
  std::string log_level = "info";
  uint32_t port = 7400;
  uint64_t record_bytes_max = 1 << 20;
  bool bootstrap = false;
  milliseconds prepare_timeout{5000};
  std::vector<std::string> peers;
  std::string token;
  std::vector<Resource> resources;
};

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    set_.Add("data_dir", &o_.data_dir, "Where the log lives.").Required("/var/lib/assent");
    set_.Add("log_level", &o_.log_level, "How much to say.").OneOf({"debug", "info", "error"});
    set_.Add("port", &o_.port, "Port of the services.").Between(1, 65535);
    set_.Add("record_bytes_max", &o_.record_bytes_max, "Largest record.").Unit("bytes");
    set_.Add("bootstrap", &o_.bootstrap, "Makes a new group.");
    set_.Add("prepare_timeout_ms", &o_.prepare_timeout, "How long.").Between(10, 600000);
    set_.Add("peers", &o_.peers, "The other nodes.");
    set_.Add("token", &o_.token, "A secret.").Secret();
    set_.AddTables<Resource>(
        "resource", &o_.resources, "One table for each database.",
        [](Resource& r, OptionSet& fields) {
          fields.Add("name", &r.name, "Its name.").Required("orders_pg");
          fields.Add("kind", &r.kind, "Its kind.").OneOf({"postgres", "mysql"});
          fields.Add("port", &r.port, "Its port.").Between(0, 65535);
          fields.Add("password_env", &r.password_env, "Variable with the password.")
              .NamesEnvironment();
        });
    std::string pattern = std::filesystem::temp_directory_path() / "assent-options-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~OptionsTest() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& text) {
    std::string path = directory_ + "/a.toml";
    std::ofstream(path) << text;
    return path;
  }
  ParseResult ParseFile(const std::string& text) {
    return set_.Parse({"--config", File(text)}, {"ASSENT_DATA_DIR=/d"});
  }

  Options o_;
  OptionSet set_{"assentd", "coordinator node"};
  std::string directory_;
};

TEST_F(OptionsTest, AFlagBeatsTheEnvironmentWhichBeatsTheFileWhichBeatsTheDefault) {
  std::string file = File("data_dir = '/file'\nport = 1\nprepare_timeout_ms = 20\n");
  ParseResult result = set_.Parse({"--config", file, "--port=3"},
                                  {"ASSENT_PORT=2", "ASSENT_PREPARE_TIMEOUT_MS=30", "HOME=/x"});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.exit_code, std::nullopt);
  EXPECT_EQ(o_.port, 3u);
  EXPECT_EQ(o_.prepare_timeout, milliseconds(30));
  EXPECT_EQ(o_.data_dir, "/file");
  EXPECT_EQ(o_.log_level, "info");
}

TEST_F(OptionsTest, AShellThatIsMadeForAssentctlDisturbsNobody) {
  EXPECT_THAT(set_.Parse({"--data-dir", "d", "--port=1"},
                         {"ASSENT_ENDPOINT=a:7400", "ASSENT_TLS_SERVER_NAME=node"})
                  .problems,
              IsEmpty());
  EXPECT_THAT(set_.Parse({"--data-dir", "d", "--port=1"}, {"ASSENT_ENDPOINTS=a:7400"}).problems,
              ElementsAre(HasSubstr("ASSENT_ENDPOINTS")));
}

TEST_F(OptionsTest, EveryTypeIsReadFromEverySource) {
  ParseResult result = ParseFile(
      "data_dir = 'd'\nrecord_bytes_max = 9000000000\nbootstrap = true\npeers = ['a', 'b']\n");
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(o_.record_bytes_max, 9000000000u);
  EXPECT_TRUE(o_.bootstrap);
  EXPECT_THAT(o_.peers, ElementsAre("a", "b"));

  EXPECT_THAT(
      set_.Parse({}, {"ASSENT_DATA_DIR=e", "ASSENT_BOOTSTRAP=false", "ASSENT_PEERS=c,d"}).problems,
      IsEmpty());
  EXPECT_FALSE(o_.bootstrap);
  EXPECT_THAT(o_.peers, ElementsAre("c", "d"));

  EXPECT_THAT(
      set_.Parse({"--data-dir", "f", "--bootstrap", "--peers", "g", "--peers=h"}, {}).problems,
      IsEmpty());
  EXPECT_EQ(o_.data_dir, "f");
  EXPECT_TRUE(o_.bootstrap);
  EXPECT_THAT(o_.peers, ElementsAre("g", "h"));
  EXPECT_THAT(set_.Parse({"--bootstrap=false"}, {}).problems, IsEmpty());
  EXPECT_FALSE(o_.bootstrap);
}

TEST_F(OptionsTest, TablesFillRows) {
  ParseResult result = ParseFile(
      "[[resource]]\nname = 'a'\nport = 5432\n[[resource]]\nname = 'b'\nkind = 'mysql'\n");
  EXPECT_THAT(result.problems, IsEmpty());
  ASSERT_EQ(o_.resources.size(), 2u);
  EXPECT_EQ(o_.resources[0].port, 5432u);
  EXPECT_EQ(o_.resources[0].kind, "postgres");
  EXPECT_EQ(o_.resources[1].name, "b");
  EXPECT_EQ(o_.resources[1].kind, "mysql");
}

TEST_F(OptionsTest, AllProblemsAreToldAtOnceEachWithPlaceValueAndRemedy) {
  ParseResult result =
      set_.Parse({"--config",
                  File("datadir = 'x'\nport = 70000\nbootstrap = 1\nlog_level = 'loud'\n"
                       "[[resource]]\nkind = 'oracle'\nprot = 1\n"),
                  "--prepare-timeout-ms", "5", "--bootstap", "stray"},
                 {"ASSENT_PROT=1", "ASSENT_PEERS=", "ASSENT_BOOTSTRAP=yes"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  std::string a = directory_ + "/a.toml:";
  EXPECT_THAT(result.problems, Contains(a + "1: datadir: no such key; did you mean data_dir?"));
  EXPECT_THAT(result.problems,
              Contains(a + "2: port: 70000 is out of range; choose a value from 1 to 65535"));
  EXPECT_THAT(result.problems, Contains(AllOf(HasSubstr(a + "3: bootstrap: expected true or false"),
                                              HasSubstr("got a whole number"))));
  EXPECT_THAT(result.problems,
              Contains(a + "4: log_level: \"loud\" is not a choice; write one of: debug, info, "
                           "error"));
  EXPECT_THAT(result.problems, Contains(HasSubstr(a + "6: kind: \"oracle\" is not a choice")));
  EXPECT_THAT(result.problems, Contains(a + "7: prot: no such key; did you mean port?"));
  EXPECT_THAT(result.problems, Contains(HasSubstr(a + "5: [[resource]]: name: required")));
  EXPECT_THAT(result.problems, Contains("flag --prepare-timeout-ms: prepare_timeout_ms: 5 is out "
                                        "of range; choose a value from 10 to 600000 ms"));
  EXPECT_THAT(result.problems, Contains("flag --bootstap: not known; did you mean --bootstrap?"));
  EXPECT_THAT(result.problems, Contains("argument \"stray\": assentd takes none"));
  EXPECT_THAT(result.problems, Contains("environment ASSENT_PROT: names no option of assentd; did "
                                        "you mean ASSENT_PORT?"));
  EXPECT_THAT(result.problems, Contains(HasSubstr("environment ASSENT_BOOTSTRAP: bootstrap: "
                                                  "\"yes\" is neither true nor false")));
  EXPECT_THAT(result.problems, Contains(HasSubstr("data_dir: required, but not given")));
  EXPECT_EQ(result.problems.size(), 13u);
  EXPECT_EQ(o_.port, 7400u) << "a refused value must leave the default";
}

TEST_F(OptionsTest, NumbersThatDoNotFitAreRefusedNotCutShort) {
  for (std::string text :
       {"-1", "18446744073709551616", "9223372036854775808", "1e3", "0x10", ""}) {
    EXPECT_EQ(set_.Parse({"--data-dir=d", "--record-bytes-max=" + text}, {}).problems.size(), 1u)
        << text;
  }
  EXPECT_THAT(ParseFile("record_bytes_max = -1\n").problems,
              ElementsAre(HasSubstr("out of range")));
  EXPECT_THAT(ParseFile("record_bytes_max = 1.5\n").problems, ElementsAre(HasSubstr("a fraction")));
}

TEST_F(OptionsTest, AnUnreadableOrMalformedFileIsNamed) {
  EXPECT_THAT(set_.Parse({"--config", "/nowhere/x.toml", "--data-dir=d"}, {}).problems,
              ElementsAre(AllOf(HasSubstr("/nowhere/x.toml"), HasSubstr("No such file"))));
  EXPECT_THAT(set_.Parse({"--config", directory_, "--data-dir=d"}, {}).problems,
              ElementsAre(HasSubstr("not a regular file")));
  EXPECT_THAT(ParseFile("port = 1\nport = = 2\n").problems,
              ElementsAre(HasSubstr("a.toml:2: not valid TOML")));
  EXPECT_THAT(ParseFile("resource = 3\n").problems, ElementsAre(HasSubstr("[[resource]]")));
}

TEST_F(OptionsTest, TestVariablesAndNamedPasswordVariablesAreNoMistakes) {
  std::string file = File("[[resource]]\nname = 'a'\npassword_env = 'ASSENT_PG_PASSWORD'\n");
  std::vector<std::string> environment = {"ASSENT_REWRITE=1", "ASSENT_TEST_X=1",
                                          "ASSENT_PG_PASSWORD=p"};
  EXPECT_THAT(set_.Parse({"--data-dir=d", "--config", file}, environment).problems, IsEmpty());
  // Where they have no effect, they are a mistake.
  environment = {"ASSENT_STOP_AT=x", "ASSENT_STOP_FILE=f", "ASSENT_MUTANT=m"};
#if defined(ASSENT_FAILPOINTS)
  EXPECT_THAT(set_.Parse({"--data-dir=d"}, environment).problems, IsEmpty());
#else
  EXPECT_EQ(set_.Parse({"--data-dir=d"}, environment).problems.size(), 3u);
#endif
  EXPECT_THAT(set_.Parse({"--data-dir=d"}, {"ASSENT_OTHER=p"}).problems,
              ElementsAre(HasSubstr("ASSENT_OTHER")));
  set_.IgnoreUnknownEnvironment();
  EXPECT_THAT(set_.Parse({"--data-dir=d"}, {"ASSENT_OTHER=p"}).problems, IsEmpty());
}

TEST_F(OptionsTest, CheckConfigEndsWithZeroOnlyIfAllIsWell) {
  EXPECT_EQ(set_.Parse({"--check-config"}, {}).exit_code, 2);
  EXPECT_EQ(set_.Parse({"--check-config", "--data-dir=d"}, {}).exit_code, 0);
  set_.AddCheck([] { return std::vector<std::string>{"port and peers contradict"}; });
  EXPECT_THAT(set_.Parse({"--check-config", "--data-dir=d"}, {}).problems,
              ElementsAre("port and peers contradict"));
}

TEST_F(OptionsTest, HelpAndVersionWorkBesideMistakes) {
  ParseResult help = set_.Parse({"--help", "--nonsense"}, {});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("--prepare-timeout-ms"), HasSubstr("ASSENT_DATA_DIR"),
                                 HasSubstr("From 10 to 600000 ms")));
  EXPECT_EQ(set_.Parse({"--version"}, {}).output, "assentd " + std::string(Version()) + "\n");
}

TEST_F(OptionsTest, PositionalArgumentsOnlyWhereTheyAreTaken) {
  set_.TakeArguments("COMMAND [GTRID]");
  ParseResult result = set_.Parse({"show", "--data-dir", "d", "abc"}, {});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(result.arguments, ElementsAre("show", "abc"));
  EXPECT_THAT(set_.Parse({"--data-dir", "d", "--", "--show"}, {}).arguments, ElementsAre("--show"));
}

TEST_F(OptionsTest, EffectiveNamesEveryValueAndMasksSecrets) {
  EXPECT_THAT(ParseFile("token = 'hush'\n[[resource]]\nname = 'a'\n").problems, IsEmpty());
  auto effective = set_.Effective();
  EXPECT_THAT(effective, Contains(Pair("token", "***")));
  EXPECT_THAT(effective, Contains(Pair("data_dir", "\"/d\"")));
  EXPECT_THAT(effective, Contains(Pair("prepare_timeout_ms", "5000")));
  EXPECT_THAT(effective, Contains(Pair("resource[0].name", "\"a\"")));
}

TEST_F(OptionsTest, TheSampleUncommentedIsValidAndHoldsTheDefaults) {
  std::string sample = set_.SampleConfig();
  EXPECT_THAT(sample, AllOf(HasSubstr("\n#prepare_timeout_ms = 5000\n"),
                            HasSubstr("# From 10 to 600000 ms.\n"), HasSubstr("\n#[[resource]]\n"),
                            HasSubstr("# One of: debug, info, error.")));
  std::string uncommented = std::regex_replace(sample, std::regex("\n#([a-z\\[])"), "\n$1");
  EXPECT_THAT(set_.Parse({"--config", File(uncommented)}, {}).problems, IsEmpty());
  EXPECT_EQ(o_.data_dir, "/var/lib/assent");
  EXPECT_EQ(o_.port, 7400u);
  EXPECT_EQ(o_.prepare_timeout, milliseconds(5000));
  ASSERT_EQ(o_.resources.size(), 1u);
  EXPECT_EQ(o_.resources[0].name, "orders_pg");
  EXPECT_EQ(set_.Parse({"--sample-config"}, {}).output, sample);
}

TEST_F(OptionsTest, AStringMayBeEmpty) {
  o_.token = "t";
  o_.peers = {"p"};
  ParseResult result = set_.Parse({"--data-dir=d", "--token="}, {"ASSENT_PEERS="});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(o_.token, "");
  EXPECT_THAT(o_.peers, IsEmpty());
}

TEST_F(OptionsTest, AFlagMayFollowItsValueApart) {
  EXPECT_THAT(set_.Parse({"--data-dir", "-", "--token", "-x", "--bootstrap"}, {}).problems,
              IsEmpty());
  EXPECT_EQ(o_.data_dir, "-");
  EXPECT_EQ(o_.token, "-x");
  EXPECT_TRUE(o_.bootstrap);
  EXPECT_THAT(set_.Parse({"--token"}, {}).problems,
              ElementsAre("flag --token: a value must follow it"));
  EXPECT_THAT(set_.Parse({"--data_dir=x"}, {}).problems,
              ElementsAre("flag --data_dir: not known; did you mean --data-dir?"));
  EXPECT_THAT(set_.Parse({"--token=[a]"}, {}).problems, IsEmpty());
  EXPECT_EQ(o_.token, "[a]");
}

TEST_F(OptionsTest, AValueMayContainQuotesAndControlCharacters) {
  EXPECT_THAT(set_.Parse({"--data-dir", "a\"b\\c\n"}, {}).problems, IsEmpty());
  EXPECT_EQ(o_.data_dir, "a\"b\\c\n");
  EXPECT_THAT(set_.Effective(), Contains(Pair("data_dir", "\"a\\\"b\\\\c\\u000a\"")));
}

}  // namespace
}  // namespace assent
