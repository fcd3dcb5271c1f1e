#include "coordinator/core/two_phase.h"
#include <grpcpp/grpcpp.h>
#include <CLI/CLI.hpp>
