#include "txlog/replicated/wire.h"

#include <utility>

#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

// An entry's term, type and length.
constexpr size_t kEntryHeadBytes = 8 + 1 + 4;

// ---- Writing ------------------------------------------------------------------------------------

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void U8(uint8_t value) { PutNumber(out_, value); }
  void U32(uint32_t value) { PutNumber(out_, value); }
  void U64(uint64_t value) { PutNumber(out_, value); }
  void Flag(bool value) { U8(value ? 1 : 0); }
  void Bytes(std::string_view bytes) {
    U32(static_cast<uint32_t>(bytes.size()));
    out_ += bytes;
  }

  void Put(const raft::RequestVote& m) {
    Flag(m.pre_vote);
    Flag(m.transfer);
    U64(m.for_term);
    U64(m.last_index);
    U64(m.last_term);
  }
  void Put(const raft::VoteReply& m) {
    Flag(m.pre_vote);
    U64(m.for_term);
    Flag(m.granted);
  }
  void Put(const raft::AppendEntries& m) {
    U64(m.prev_index);
    U64(m.prev_term);
    U64(m.commit);
    U32(static_cast<uint32_t>(m.entries.size()));
    // Their indexes follow from prev_index.
    for (const raft::Entry& entry : m.entries) {
      U64(entry.term);
      U8(static_cast<uint8_t>(entry.type));
      Bytes(entry.view());
    }
  }
  void Put(const raft::AppendReply& m) {
    Flag(m.success);
    U64(m.prev_index);
    U64(m.match);
    Flag(m.no_room);
    U64(m.conflict_term);
    U64(m.conflict_index);
  }
  void Put(const raft::Heartbeat& m) {
    U64(m.commit);
    U64(m.read_round);
    U64(m.sent);
  }
  void Put(const raft::HeartbeatReply& m) {
    U64(m.read_round);
    U64(m.sent);
    U64(m.received);
    U64(m.match);
  }
  void Put(const raft::InstallSnapshot& m) {
    U64(m.meta.index);
    U64(m.meta.term);
    Bytes(raft::EncodeConfig(m.meta.config));
    U64(m.offset);
    Bytes(m.data == nullptr ? std::string_view() : std::string_view(*m.data));
    Flag(m.last);
  }
  void Put(const raft::InstallSnapshotReply& m) {
    U64(m.index);
    U64(m.next_offset);
    Flag(m.installed);
  }
  void Put(const raft::TimeoutNow&) {}

 private:
  std::string& out_;
};

size_t SizeHint(const raft::Message& message) {
  size_t bytes = 64;
  if (const auto* append = std::get_if<raft::AppendEntries>(&message.body)) {
    for (const raft::Entry& entry : append->entries) bytes += kEntryHeadBytes + entry.bytes();
  } else if (const auto* install = std::get_if<raft::InstallSnapshot>(&message.body)) {
    bytes += install->data == nullptr ? 0 : install->data->size();
  }
  return bytes;
}

// ---- Reading ------------------------------------------------------------------------------------

// Once something was wrong everything reads as 0, and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return bytes_.size() - at_; }

  uint8_t U8() { return Number<uint8_t>(); }
  uint32_t U32() { return Number<uint32_t>(); }
  uint64_t U64() { return Number<uint64_t>(); }
  bool Flag() {
    const uint8_t value = U8();
    if (value > 1) ok_ = false;
    return value == 1;
  }
  std::string_view Bytes() {
    const uint32_t size = U32();
    if (!ok_ || size > left()) {
      ok_ = false;
      return {};
    }
    std::string_view found = bytes_.substr(at_, size);
    at_ += size;
    return found;
  }
  raft::Payload Payload() {
    std::string_view found = Bytes();
    return found.empty() ? nullptr : std::make_shared<const std::string>(found);
  }

  void Get(raft::RequestVote& m) {
    m.pre_vote = Flag();
    m.transfer = Flag();
    m.for_term = U64();
    m.last_index = U64();
    m.last_term = U64();
  }
  void Get(raft::VoteReply& m) {
    m.pre_vote = Flag();
    m.for_term = U64();
    m.granted = Flag();
  }
  void Get(raft::AppendEntries& m) {
    m.prev_index = U64();
    m.prev_term = U64();
    m.commit = U64();
    const uint32_t count = U32();
    if (!ok_ || count > left() / kEntryHeadBytes) {
      ok_ = false;
      return;
    }
    m.entries.reserve(count);
    for (uint32_t i = 0; i < count && ok_; ++i) {
      raft::Entry entry{.index = m.prev_index + 1 + i, .term = U64()};
      const uint8_t type = U8();
      if (type < static_cast<uint8_t>(raft::EntryType::kNoop) ||
          type > static_cast<uint8_t>(raft::EntryType::kConfig)) {
        ok_ = false;
        return;
      }
      entry.type = static_cast<raft::EntryType>(type);
      entry.payload = Payload();
      m.entries.push_back(std::move(entry));
    }
  }
  void Get(raft::AppendReply& m) {
    m.success = Flag();
    m.prev_index = U64();
    m.match = U64();
    m.no_room = Flag();
    m.conflict_term = U64();
    m.conflict_index = U64();
  }
  void Get(raft::Heartbeat& m) {
    m.commit = U64();
    m.read_round = U64();
    m.sent = U64();
  }
  void Get(raft::HeartbeatReply& m) {
    m.read_round = U64();
    m.sent = U64();
    m.received = U64();
    m.match = U64();
  }
  void Get(raft::InstallSnapshot& m) {
    m.meta.index = U64();
    m.meta.term = U64();
    Result<raft::Config> config = raft::DecodeConfig(Bytes());
    if (!config.ok()) {
      ok_ = false;
      return;
    }
    m.meta.config = std::move(*config);
    m.offset = U64();
    m.data = Payload();
    m.last = Flag();
  }
  void Get(raft::InstallSnapshotReply& m) {
    m.index = U64();
    m.next_offset = U64();
    m.installed = Flag();
  }
  void Get(raft::TimeoutNow&) {}

 private:
  template <typename T>
  T Number() {
    if (!ok_ || left() < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    const T value = GetNumber<T>(bytes_, at_);
    at_ += sizeof(T);
    return value;
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// The alternative of raft::Body that has this place; false if there is none.
template <size_t kPlace = 0>
bool Emplace(size_t place, raft::Body* body) {
  if constexpr (kPlace < std::variant_size_v<raft::Body>) {
    if (place == kPlace) {
      body->emplace<kPlace>();
      return true;
    }
    return Emplace<kPlace + 1>(place, body);
  } else {
    return false;
  }
}

}  // namespace

std::string EncodeMessage(const raft::Message& message) {
  std::string out;
  out.reserve(SizeHint(message));
  Writer writer(out);
  writer.U8(kWireVersion);
  writer.U8(static_cast<uint8_t>(message.body.index()));
  writer.U64(message.term);
  std::visit([&](const auto& body) { writer.Put(body); }, message.body);
  return out;
}

Result<raft::Message> DecodeMessage(std::string_view bytes) {
  Reader reader(bytes);
  if (const uint8_t version = reader.U8(); version != kWireVersion) {
    return InvalidArgument("a message of version " + std::to_string(version) +
                           ", this program speaks version " + std::to_string(kWireVersion));
  }
  raft::Message message;
  const uint8_t kind = reader.U8();
  if (!Emplace(kind, &message.body)) {
    return InvalidArgument("a message of kind " + std::to_string(kind) + ", which there is not");
  }
  message.term = reader.U64();
  std::visit([&](auto& body) { reader.Get(body); }, message.body);
  if (!reader.ok() || reader.left() > 0) {
    return InvalidArgument("a message of kind " + std::to_string(kind) + " and " +
                           std::to_string(bytes.size()) + " bytes that make no sense");
  }
  return message;
}

}  // namespace assent::txlog
