// Values, names and what the public headers may include.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "assent/v1/common.pb.h"
#include "client/assent.h"
#include "tests/support/paths.h"

namespace assent::client {
namespace {

TEST(ValueTest, NothingIsRoundedOrGuessed) {
  EXPECT_EQ(*Value("42").AsInt64(), 42);
  EXPECT_EQ(*Value("-9223372036854775808").AsInt64(), INT64_MIN);
  EXPECT_EQ(Value("9223372036854775808").AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(Value("4.5").AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(Value("42 ").AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(Value("").AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(Value(4.5).AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(*Value(4.0).AsInt64(), 4);
  EXPECT_EQ(Value(1e300).AsInt64().status().code(), Code::kOutOfRange);
  EXPECT_EQ(Value(INT64_MAX).AsDouble().status().code(), Code::kOutOfRange);
  EXPECT_EQ(*Value("12.50").AsText(), "12.50");
  EXPECT_EQ(*Value(0.1).AsText(), "0.1");
  EXPECT_EQ(Value(2).AsBool().status().code(), Code::kOutOfRange);
  EXPECT_TRUE(*Value(1).AsBool());
  EXPECT_FALSE(*Value("f").AsBool());
  EXPECT_EQ(Value(Bytes{"x"}).AsText().status().code(), Code::kOutOfRange);
  for (const auto& status : {Value().AsInt64().status(), Value().AsText().status(),
                             Value().AsBool().status(), Value().AsDouble().status()}) {
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  }
}

TEST(ResultSetTest, SaysWhatThereIs) {
  ResultSet set{.columns = {{"id", "int4"}, {"name", "text"}}, .rows = {{1, "a"}}};
  EXPECT_EQ(*set.At(0, "name")->AsText(), "a");
  EXPECT_THAT(set.At(0, "nome").status().message(), testing::HasSubstr("id, name"));
  EXPECT_EQ(set.At(1, "id").status().code(), Code::kOutOfRange);
  EXPECT_EQ(set.Scalar().status().code(), Code::kOutOfRange);
  EXPECT_EQ(*ResultSet{.rows = {{7}}}.Scalar()->AsInt64(), 7);
}

TEST(OutcomeTest, NamesAreThoseOfTheProtocol) {
  for (int i = v1::AbortCause_MIN; i <= v1::AbortCause_MAX; ++i) {
    EXPECT_EQ("ABORT_CAUSE_" + std::string(AbortCauseName(static_cast<AbortCause>(i))),
              v1::AbortCause_Name(static_cast<v1::AbortCause>(i)));
  }
  for (int i = v1::BranchCause_MIN; i <= v1::BranchCause_MAX; ++i) {
    EXPECT_EQ("BRANCH_CAUSE_" + std::string(BranchCauseName(static_cast<BranchCause>(i))),
              v1::BranchCause_Name(static_cast<v1::BranchCause>(i)));
  }
}

TEST(OutcomeTest, ResultSaysAllInOneLine) {
  CommitResult result;
  EXPECT_EQ(result.ToString(), "UNKNOWN");
  result.outcome = Outcome::kAborted;
  result.abort = {AbortCause::kBranchVotedNo, "stock_my", BranchCause::kDeadlock, "1213/40001",
                  "victim"};
  EXPECT_EQ(result.ToString(),
            "ABORTED cause=BRANCH_VOTED_NO resource=stock_my branch_cause=DEADLOCK "
            "code=1213/40001: victim");
  result = {.outcome = Outcome::kCommitted, .pending = {{"gid", "stock_my", "agent away"}}};
  EXPECT_EQ(result.ToString(), "COMMITTED, not yet applied; stock_my: agent away");
}

// A service's build needs neither gRPC's nor protobuf's headers.
TEST(HeadersTest, PublicHeadersNeedTheStandardLibraryAndStatusOnly) {
  size_t headers = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(assent::tests::SourceDir() + "/client")) {
    if (entry.path().extension() != ".h") continue;
    ++headers;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("#include")) continue;
      bool standard = line.find('<') != std::string::npos && line.find('/') == std::string::npos &&
                      line.find(".h>") == std::string::npos;
      bool ours =
          line.starts_with("#include \"base/status.h\"") ||
          (line.starts_with("#include \"client/") && line.find("internal") == std::string::npos);
      EXPECT_TRUE(standard || ours) << entry.path() << ": " << line;
    }
  }
  EXPECT_GE(headers, 5u);
}

}  // namespace
}  // namespace assent::client
