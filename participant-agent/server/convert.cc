#include "participant-agent/server/convert.h"

#include <utility>

#include "base/rpc/status.h"

namespace assent::agent {

// The three tables of causes have the same numbers, so that crossing an edge is a cast.
static_assert(static_cast<int>(Cause::kMisuse) == static_cast<int>(adapters::Cause::kMisuse));
static_assert(static_cast<int>(Cause::kLockTimeout) ==
              static_cast<int>(adapters::Cause::kLockTimeout));
static_assert(static_cast<int>(Cause::kMisuse) == v1::BRANCH_CAUSE_MISUSE);
static_assert(static_cast<int>(Cause::kLockTimeout) == v1::BRANCH_CAUSE_LOCK_TIMEOUT);
static_assert(static_cast<int>(Cause::kUnknownBranch) == v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
static_assert(static_cast<int>(Cause::kWrongDatabase) ==
              static_cast<int>(adapters::Cause::kWrongDatabase));
static_assert(static_cast<int>(Cause::kWrongDatabase) == v1::BRANCH_CAUSE_WRONG_DATABASE);
static_assert(static_cast<int>(FinishClass::kHazard) ==
              static_cast<int>(adapters::Finish::kHazard));
static_assert(static_cast<int>(Vote::kNo) == static_cast<int>(adapters::Vote::kNo));
static_assert(static_cast<int>(JournalWord::kDone) ==
              static_cast<int>(adapters::JournalWord::kDone));

adapters::Value FromProto(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kBoolean:
      return value.boolean();
    case v1::Value::kInteger:
      return int64_t{value.integer()};
    case v1::Value::kReal:
      return value.real();
    case v1::Value::kText:
      return value.text();
    case v1::Value::kBlob:
      return adapters::Bytes{value.blob()};
    case v1::Value::KIND_NOT_SET:
      return std::monostate{};
  }
  return std::monostate{};
}

namespace {

struct ValueWriter {
  v1::Value* out;
  void operator()(std::monostate) const {}
  void operator()(bool value) const { out->set_boolean(value); }
  void operator()(int64_t value) const { out->set_integer(value); }
  void operator()(double value) const { out->set_real(value); }
  void operator()(const std::string& value) const { out->set_text(value); }
  void operator()(const adapters::Bytes& value) const { out->set_blob(value.value); }
};

}  // namespace

void ToProto(const adapters::Value& value, v1::Value* out) { std::visit(ValueWriter{out}, value); }

void ToProto(adapters::Column column, v1::Column* out) {
  out->set_name(std::move(column.name));
  out->set_type(std::move(column.type));
}

void ToProto(adapters::ResultSet result, v1::StatementResult* out) {
  for (adapters::Column& column : result.columns) ToProto(std::move(column), out->add_columns());
  for (const auto& row : result.rows) {
    v1::Row* to = out->add_rows();
    for (const adapters::Value& value : row) ToProto(value, to->add_values());
  }
  out->set_rows_affected(result.rows_affected);
}

adapters::Isolation FromProto(v1::IsolationLevel level) {
  if (level == v1::ISOLATION_LEVEL_READ_COMMITTED) return adapters::Isolation::kReadCommitted;
  if (level == v1::ISOLATION_LEVEL_REPEATABLE_READ) return adapters::Isolation::kRepeatableRead;
  if (level == v1::ISOLATION_LEVEL_SERIALIZABLE) return adapters::Isolation::kSerializable;
  return adapters::Isolation::kDefault;
}

Cause FromAdapter(adapters::Cause cause) { return static_cast<Cause>(cause); }

Refusal FromAdapter(const adapters::WorkError& error) {
  return {.cause = FromAdapter(error.cause), .code = error.code, .message = error.detail};
}

FinishClass FromAdapter(adapters::Finish finish) { return static_cast<FinishClass>(finish); }
Vote FromAdapter(adapters::Vote vote) { return static_cast<Vote>(vote); }

adapters::Decision ToAdapter(Decision decision) {
  return decision == Decision::kCommit ? adapters::Decision::kCommit : adapters::Decision::kAbort;
}

adapters::JournalWord ToAdapter(JournalWord word) {
  return static_cast<adapters::JournalWord>(word);
}

v1::BranchCause ToProto(Cause cause) { return static_cast<v1::BranchCause>(cause); }

v1::BranchVote::Vote ToProto(Vote vote) {
  switch (vote) {
    case Vote::kYes:
      return v1::BranchVote::YES;
    case Vote::kReadOnly:
      return v1::BranchVote::READ_ONLY;
    case Vote::kNo:
      return v1::BranchVote::NO;
  }
  return v1::BranchVote::NO;
}

v1::BranchState ToProto(Report report) {
  switch (report) {
    case Report::kCommitting:
      return v1::BRANCH_STATE_COMMITTING;
    case Report::kCommitted:
      return v1::BRANCH_STATE_COMMITTED;
    case Report::kRolledBack:
      return v1::BRANCH_STATE_ROLLED_BACK;
    case Report::kHeuristicRollback:
      return v1::BRANCH_STATE_HEURISTIC_ROLLBACK;
    case Report::kHeuristicCommit:
      return v1::BRANCH_STATE_HEURISTIC_COMMIT;
    case Report::kHazard:
      return v1::BRANCH_STATE_HAZARD;
  }
  return v1::BRANCH_STATE_HAZARD;
}

namespace {

constexpr size_t kWordsMax = 4096;

// Of the character at the start of `text`; 0 if it is none. Overlong forms, surrogates and what is
// beyond Unicode are none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string Words(std::string_view text) {
  std::string words;
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    if (words.size() + bytes > kWordsMax) return words + "...";
    words += bytes == 0 ? std::string_view("?") : text.substr(0, bytes);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return words;
}

JournalWord FromJournal(Journal::Word word) {
  switch (word) {
    case Journal::Word::kNothing:
      return JournalWord::kNothing;
    case Journal::Word::kWill:
      return JournalWord::kWill;
    case Journal::Word::kDone:
      return JournalWord::kDone;
  }
  return JournalWord::kNothing;
}

grpc::Status ToGrpc(const CallError& error) {
  v1::ErrorDetail detail;
  detail.set_reason(error.reason);
  detail.set_retry_delay_ms(error.retry_delay_ms);
  return rpc::ToGrpc(Status(error.code, error.message), detail);
}

}  // namespace assent::agent
