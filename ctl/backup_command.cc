#include "ctl/backup_command.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/backup/backup_file.h"
#include "ctl/backup_writer.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

namespace assent::ctl {
namespace {

std::string Text(const BackupHeader& backup, const std::string& file) {
  return Table({
      {"backup", file},
      {"cluster", backup.cluster + ", uuid " + backup.cluster_uuid + ", group " +
                      std::to_string(backup.group) + ", incarnation " +
                      std::to_string(backup.group_incarnation)},
      {"taken", backup.taken + " by assentd " + backup.program},
      {"log", "term " + std::to_string(backup.term) + ", index " + std::to_string(backup.index)},
      {"decisions",
       std::to_string(backup.decisions) + ", " + std::to_string(backup.unfinished) + " unfinished"},
      {"state", std::to_string(backup.state_bytes) + " bytes, checksum right"},
  });
}

std::string Json(const BackupHeader& backup, const std::string& file) {
  const nlohmann::ordered_json json = {
      {"file", file},
      {"cluster", backup.cluster},
      {"cluster_uuid", backup.cluster_uuid},
      {"group", backup.group},
      {"group_incarnation", std::to_string(backup.group_incarnation)},
      {"term", backup.term},
      {"index", backup.index},
      {"taken", backup.taken},
      {"program", backup.program},
      {"decisions", backup.decisions},
      {"unfinished", backup.unfinished},
      {"state_bytes", backup.state_bytes},
  };
  return json.dump(2) + "\n";
}

Result<BackupHeader> Save(const BackupArguments& arguments, const ConnectionOptions& options) {
  Result<Connection> connection = Connection::Make(options);
  if (!connection.ok()) return connection.status();
  BackupWriter writer(arguments.file, arguments.force);
  if (Status s = writer.Open(); !s.ok()) return s;
  Status sent = connection->Backup([&](std::string_view bytes) { return writer.Append(bytes); });
  if (!sent.ok()) return sent;
  if (Status s = writer.Finish(); !s.ok()) return s;
  return writer.header();
}

}  // namespace

void DescribeBackup(CLI::App& app, BackupArguments& arguments) {
  CLI::App* backup = app.add_subcommand(
      "backup", "Save all that the group has decided, for assentd --restore; or show a backup");
  backup->add_option("file", arguments.file, "The file of the backup")->required();
  CLI::Option* show = backup->add_flag("--show", arguments.show,
                                       "Check the file and say what it is; ask no coordinator");
  backup->add_flag("--force", arguments.force, "Replace the file if it is there")->excludes(show);
}

int RunBackup(const BackupArguments& arguments, bool json, const ConnectionOptions& connection,
              std::ostream& out, std::ostream& err) {
  auto backup = arguments.show ? ReadBackup(arguments.file, nullptr) : Save(arguments, connection);
  if (!backup.ok()) return Fail(backup.status(), err);
  out << (json ? Json(*backup, arguments.file) : Text(*backup, arguments.file));
  return kExitOk;
}

}  // namespace assent::ctl
