// The core's actions as text, for transcripts and traces.
#pragma once

#include <string>

#include "txlog/etcd/core/actions.h"

namespace assent::simulation {

std::string Text(const txlog::etcd::Txn& txn);
std::string Text(const txlog::etcd::Action& action);

}  // namespace assent::simulation
