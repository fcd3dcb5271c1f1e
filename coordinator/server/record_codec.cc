#include "coordinator/server/record_codec.h"

#include <utility>

#include "assent/v1/log_records.pb.h"
#include "coordinator/server/record_proto.h"

namespace assent::coordinator {
namespace {

// The same record makes the same bytes on every replica.
std::string Serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  ASSENT_CHECK(message.SerializeToString(&bytes));
  return bytes;
}

Status Damaged(const std::string& what) {
  return DataLoss(what +
                  " can't be read: the bytes make no record although their checksum is right. "
                  "Keep the data directory and report it");
}

Status TooNew(const std::string& what) {
  return FailedPrecondition(what +
                            " holds what this version of assentd does not know: it was "
                            "written by a newer one; run that, or a later one");
}

bool HasUnknownFields(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  if (!reflection->GetUnknownFields(message).empty()) return true;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (HasUnknownFields(reflection->GetMessage(message, field))) return true;
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      if (HasUnknownFields(reflection->GetRepeatedMessage(message, field, i))) return true;
    }
  }
  return false;
}

}  // namespace

std::string RecordCodec::Encode(const Record& record) const {
  return Serialize(std::visit([](const auto& r) { return ToProto(r); }, record));
}

Result<Record> RecordCodec::Decode(std::string_view bytes) const {
  v1::LogRecord proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Damaged("log record");
  }
  // A field that is skipped might be the one that changes what the record means.
  if (HasUnknownFields(proto)) return TooNew("log record");
  Result<Record> record = FromProto(proto);
  if (!record.ok()) return Damaged("log record (" + record.status().message() + ")");
  return record;
}

std::string RecordCodec::EncodeState(const DecisionTable::State& state) const {
  return Serialize(ToProto(state));
}

Result<DecisionTable::State> RecordCodec::DecodeState(std::string_view bytes) const {
  v1::TableSnapshot proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Damaged("snapshot");
  }
  if (HasUnknownFields(proto)) return TooNew("snapshot");
  Result<DecisionTable::State> state = FromProto(proto);
  if (!state.ok()) return Damaged("snapshot (" + state.status().message() + ")");
  return state;
}

}  // namespace assent::coordinator
