// The log's files of old days, as they lie in tests/testdata/txlog: read for ever.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "tests/support/paths.h"

namespace assent::txlog {

// What each set was written by: "v1", a log of one node before there were groups; "v1-group", a
// group, as today.
inline const char* const kGoldenSets[] = {"v1", "v1-group"};

inline std::string GoldenDirectory(const std::string& set) {
  return assent::tests::TestDataDir() + "/txlog/" + set;
}

// Names and bytes.
inline std::map<std::string, std::string> GoldenFiles(const std::string& set) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenDirectory(set))) {
    std::ifstream in(entry.path(), std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    files[entry.path().filename()] = bytes.str();
  }
  return files;
}

}  // namespace assent::txlog
