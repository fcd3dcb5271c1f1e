// Where this build and its sources lie. In one compiled file and not as macros in all of them, so
// that a compiler cache serves clones at other places as well.
#pragma once

#include <string>

namespace assent::tests {

const std::string& TestDataDir();  // tests/testdata
const std::string& SourceDir();    // The root of the sources.
const std::string& BinDir();       // Every program of this build.

}  // namespace assent::tests
