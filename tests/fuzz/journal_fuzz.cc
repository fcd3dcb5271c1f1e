// The agent's journal. Half of the inputs are taken as the bytes of a file; the others as damage to
// a journal with right checksums, which random bytes would hardly ever have.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "participant-agent/journal/journal_format.h"

namespace {

using namespace assent::agent;

void CheckContents(std::string_view bytes, const JournalContents& contents) {
  std::string again;
  for (const JournalRecord& record : contents.records) again += EncodeJournalRecord(record);
  ASSENT_CHECK(again.size() + contents.lost_bytes == bytes.size());
  ASSENT_CHECK(again.substr(0, contents.good_bytes) == bytes.substr(0, contents.good_bytes));
}

std::string WholeJournal() {
  std::string bytes;
  for (int type = 1; type <= 8; ++type) {
    bytes += EncodeJournalRecord({static_cast<RecordType>(type), std::string(5 * type, 'x')});
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    CheckContents(input, DecodeJournal(input));
    return 0;
  }
  std::string bytes = WholeJournal();
  for (size_t i = 0; i + 1 < input.size(); i += 2) {  // Pairs: where, and what.
    bytes[static_cast<uint8_t>(input[i]) % bytes.size()] ^= input[i + 1];
  }
  CheckContents(bytes, DecodeJournal(bytes));
  return 0;
}
