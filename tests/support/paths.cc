#include "tests/support/paths.h"

namespace assent::tests {

const std::string& TestDataDir() {
  static const std::string dir = ASSENT_SOURCE_DIR "/tests/testdata";
  return dir;
}

const std::string& SourceDir() {
  static const std::string dir = ASSENT_SOURCE_DIR;
  return dir;
}

const std::string& BinDir() {
  static const std::string dir = ASSENT_BIN_DIR;
  return dir;
}

}  // namespace assent::tests
