#include <gtest/gtest.h>

#include "adapters/mysql/identity.h"

namespace assent::adapters::mysql {
namespace {

TEST(MysqlEvidence, NamesServerAndPreparer) {
  const Preparer preparer{.connection_id = 42, .server_started = 1'700'000'000};
  Evidence evidence = WithPreparer("id=my db conn=x", preparer);
  EXPECT_EQ(evidence, "id=my db conn=x conn=42@1700000000");
  EXPECT_EQ(ParseEvidence(evidence).server, "id=my db conn=x");
  EXPECT_EQ(ParseEvidence(evidence).preparer, preparer);
}

TEST(MysqlEvidence, OfAScanHasNoPreparer) {
  for (const char* evidence : {"", "id=a", "uuid=0b7b", "id=a conn=", "id=a conn=5", "id=a conn=5@",
                               "id=a conn=@5", "id=a conn=5@6x"}) {
    EXPECT_EQ(ParseEvidence(evidence).preparer, std::nullopt) << evidence;
  }
  EXPECT_EQ(ParseEvidence("id=a").server, "id=a");
}

}  // namespace
}  // namespace assent::adapters::mysql
