// The file of a backup. Half of the inputs are taken as the file's bytes, in two pieces; the others
// as damage to a good one, which must be noticed.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/backup/backup_file.h"
#include "base/check.h"
#include "base/crc32c.h"

namespace {

using namespace assent;

std::string GoodFile() {
  const std::string state(50, 's');
  const std::string bytes = EncodeBackupHeader({.program = "1",
                                                .cluster = "bank",
                                                .cluster_uuid = "u",
                                                .taken = "now",
                                                .state_bytes = state.size()}) +
                            state;
  return bytes + EncodeBackupEnd(Crc32c(bytes));
}

// Whether it is whole; then it is exactly what would be written for what was read.
bool Parse(std::string_view bytes, size_t cut) {
  BackupReader reader(true);
  for (std::string_view piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    if (!reader.Feed(piece).ok()) return false;
  }
  if (!reader.Finish().ok()) return false;
  const std::string again = EncodeBackupHeader(reader.header()) + reader.TakeState();
  ASSENT_CHECK(again + EncodeBackupEnd(Crc32c(again)) == bytes);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data + 2), size - 2);
  if (data[0] % 2 == 0) {
    Parse(input, data[1] % (input.size() + 1));
    return 0;
  }
  const std::string good = GoodFile();
  std::string bytes = good;
  for (size_t i = 0; i + 1 < input.size() && i < 6; i += 2) {  // Pairs: where, and what.
    bytes[static_cast<uint8_t>(input[i]) % bytes.size()] ^= input[i + 1];
  }
  ASSENT_CHECK(Parse(bytes, data[1] % bytes.size()) == (bytes == good));
  return 0;
}
