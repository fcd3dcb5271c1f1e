// One line for each message and action, for transcripts and traces.
#pragma once

#include <string>

#include "txlog/raft/actions.h"
#include "txlog/raft/messages.h"

namespace assent::simulation {

std::string Text(const txlog::raft::Entry& entry);
std::string Text(const txlog::raft::Config& config);
std::string Text(const txlog::raft::Message& message);
std::string Text(const txlog::raft::Action& action);
std::string Text(txlog::Fate fate);

}  // namespace assent::simulation
