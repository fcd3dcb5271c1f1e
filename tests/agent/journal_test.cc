#include "participant-agent/journal/journal.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace assent::agent {
namespace {

using ::testing::HasSubstr;

Gid GidNumber(uint64_t seq) {
  return {.gtrid = {.cluster = "test", .incarnation = 1, .group = 0, .epoch = 5, .seq = seq},
          .bqual = {.resource = "orders_pg", .branch = 1, .attempt = 1}};
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "assent-journal-XXXXXX").string();
    parent_ = ::mkdtemp(pattern.data());
    directory_ = parent_ + "/data";
    file_ = directory_ + "/agent.journal";
  }
  ~JournalTest() override { std::filesystem::remove_all(parent_); }

  std::unique_ptr<Journal> Opened(const std::string& agent_id = "agent-1") {
    auto journal = Journal::Open(directory_, agent_id);
    EXPECT_TRUE(journal.ok()) << journal.status().ToString();
    return journal.ok() ? *std::move(journal) : nullptr;
  }
  Status Refused(const std::string& agent_id = "agent-1") {
    auto journal = Journal::Open(directory_, agent_id);
    EXPECT_FALSE(journal.ok());
    return journal.status();
  }
  std::string Bytes() {
    std::ifstream in(file_, std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
  }
  void SetBytes(const std::string& bytes) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string parent_;
  std::string directory_;
  std::string file_;
};

TEST_F(JournalTest, RemembersPinAndWordsAcrossStarts) {
  const ClusterPin pin{.cluster = "test", .uuid = "u-u-i-d", .group_incarnation = 0xabcdef};
  uint64_t first = 0;
  {
    auto journal = Opened();
    first = journal->agent_incarnation();
    EXPECT_FALSE(journal->pin().has_value());
    ASSERT_TRUE(journal->Pin(pin).ok());
    journal->Will(GidNumber(1));
    journal->Will(GidNumber(2));
    journal->Done(GidNumber(2));
    journal->Will(GidNumber(3));
    journal->Forget(GidNumber(3));
  }
  auto journal = Opened();
  EXPECT_NE(journal->agent_incarnation(), first);
  EXPECT_EQ(journal->pin(), pin);
  EXPECT_EQ(journal->WordOn(GidNumber(1)), Journal::Word::kWill);
  EXPECT_EQ(journal->WordOn(GidNumber(2)), Journal::Word::kDone);
  EXPECT_EQ(journal->WordOn(GidNumber(3)), Journal::Word::kNothing);
}

TEST_F(JournalTest, CountsWhatItWroteAndForced) {
  auto journal = Opened();
  EXPECT_EQ(journal->counts().forced_writes, 1u);
  ASSERT_TRUE(
      journal->Pin({.cluster = "test", .uuid = "u-u-i-d", .group_incarnation = 0xabcdef}).ok());
  EXPECT_EQ(journal->counts().forced_writes, 2u);
  journal->Will(GidNumber(1));
  journal->Will(GidNumber(2));
  journal->Done(GidNumber(2));
  journal->Forget(GidNumber(2));
  journal->Forget(GidNumber(3));  // Nothing was said of it, so nothing is written.
  EXPECT_EQ(journal->counts().wills, 2u);
  EXPECT_EQ(journal->counts().dones, 1u);
  EXPECT_EQ(journal->counts().forgets, 1u);
  EXPECT_EQ(journal->counts().forced_writes, 2u) << "words are not forced";
}

TEST_F(JournalTest, APinThatCantBeWrittenDoesNotHold) {
  auto journal = Opened();
  const std::string in_the_way = file_ + ".new";
  ASSERT_TRUE(std::filesystem::create_directory(in_the_way));
  EXPECT_FALSE(journal->Pin({.cluster = "test", .uuid = "u", .group_incarnation = 1}).ok());
  EXPECT_FALSE(journal->pin().has_value());
  std::filesystem::remove(in_the_way);
  EXPECT_TRUE(journal->Pin({.cluster = "test", .uuid = "u", .group_incarnation = 1}).ok());
  EXPECT_TRUE(journal->pin().has_value());
}

TEST_F(JournalTest, ATornEndIsCutAtEveryByte) {
  {
    auto journal = Opened();
    journal->Will(GidNumber(1));
  }
  const size_t whole = Bytes().size();
  {
    auto journal = Opened();  // Rewritten: the same records, another incarnation.
    journal->Will(GidNumber(2));
  }
  const std::string bytes = Bytes();
  ASSERT_GT(bytes.size(), whole);
  for (size_t cut = whole; cut < bytes.size(); ++cut) {
    SetBytes(bytes.substr(0, cut));
    auto journal = Opened();
    EXPECT_EQ(journal->WordOn(GidNumber(1)), Journal::Word::kWill);
    EXPECT_EQ(journal->WordOn(GidNumber(2)), Journal::Word::kNothing) << cut;
  }
  // What a power cut leaves where data never arrived.
  SetBytes(bytes.substr(0, whole) + std::string(bytes.size() - whole, '\0'));
  EXPECT_EQ(Opened()->WordOn(GidNumber(1)), Journal::Word::kWill);
}

TEST_F(JournalTest, DamageInWhatWasForcedRefusesAndNamesThePlace) {
  {
    auto journal = Opened();
    journal->Will(GidNumber(1));
  }
  Opened().reset();  // Rewritten, so that the word is among what is forced.
  const size_t forced = Bytes().size();
  {
    auto journal = Opened();
    journal->Will(GidNumber(2));
  }
  const std::string good = Bytes();
  for (size_t at = 0; at < forced; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    SetBytes(bad);
    const Status status = Refused();
    ASSERT_EQ(status.code(), Code::kDataLoss) << at;
    EXPECT_THAT(status.message(), HasSubstr(file_));
    EXPECT_THAT(status.message(), HasSubstr("offset"));
    EXPECT_THAT(status.message(), HasSubstr("Remedy"));
  }
  SetBytes(good);
  EXPECT_NE(Opened(), nullptr);
}

// WILL and DONE are not forced: a power cut may lose a page and keep a later one. The agent starts
// all the same, with the words that are left.
TEST_F(JournalTest, APowerCutMayLoseAnyUnforcedBytes) {
  Opened().reset();
  const size_t forced = Bytes().size();
  {
    auto journal = Opened();
    for (uint64_t n = 1; n <= 3; ++n) journal->Will(GidNumber(n));
  }
  const std::string good = Bytes();
  const size_t record = (good.size() - forced) / 3;
  for (uint64_t lost = 1; lost <= 3; ++lost) {
    std::string bytes = good;
    bytes.replace(forced + (lost - 1) * record, record, record, '\0');
    SetBytes(bytes);
    auto journal = Opened();
    ASSERT_NE(journal, nullptr);
    for (uint64_t n = 1; n <= 3; ++n) {
      EXPECT_EQ(journal->WordOn(GidNumber(n)),
                n == lost ? Journal::Word::kNothing : Journal::Word::kWill);
    }
  }
}

TEST_F(JournalTest, TheDirectoryOfAnotherAgentIsRefused) {
  Opened();
  const Status status = Refused("agent-2");
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("\"agent-1\""));
  EXPECT_THAT(status.message(), HasSubstr("\"agent-2\""));
}

TEST_F(JournalTest, ASecondAgentOnTheDirectoryIsRefused) {
  auto journal = Opened();
  const Status status = Refused();
  EXPECT_EQ(status.code(), Code::kAlreadyExists);
  EXPECT_THAT(status.message(), HasSubstr(directory_));
}

TEST_F(JournalTest, AnotherFormatIsRefused) {
  Opened();
  SetBytes(EncodeJournalRecord({RecordType::kFormat, "assent-agent-journal 9"}));
  const Status status = Refused();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("assent-agent-journal 9"));
}

TEST_F(JournalTest, WhatIsForgottenDoesNotGrowTheFile) {
  auto journal = Opened();
  journal->Will(GidNumber(999'999));
  size_t largest = 0;
  for (uint64_t i = 0; i < 60'000; ++i) {
    journal->Will(GidNumber(i));
    journal->Done(GidNumber(i));
    journal->Forget(GidNumber(i));
    largest = std::max(largest, journal->file_bytes());
  }
  EXPECT_LE(largest, Journal::kCompactBytes + 1024);
  journal.reset();
  EXPECT_LE(Bytes().size(), Journal::kCompactBytes + 1024);
  EXPECT_EQ(Opened()->WordOn(GidNumber(999'999)), Journal::Word::kWill);
}

TEST(JournalFormat, DecodesWhatItEncodes) {
  std::string bytes;
  std::vector<JournalRecord> records;
  for (int type = 1; type <= 7; ++type) {
    records.push_back(
        {static_cast<RecordType>(type), std::string(static_cast<size_t>(type) * 70, 'x')});
    bytes += EncodeJournalRecord(records.back());
  }
  const JournalContents contents = DecodeJournal(bytes);
  EXPECT_EQ(contents.records, records);
  EXPECT_EQ(contents.good_bytes, bytes.size());
  EXPECT_FALSE(contents.corrupt);
}

}  // namespace
}  // namespace assent::agent
