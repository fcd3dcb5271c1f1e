// What the tests of backup and restore share: a group of three that is lost and restored by the
// commands of docs/operations.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/system/group_fixture.h"

namespace assent::system_tests {

class BackupTest : public GroupTest {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite() { GroupTest::TearDownTestSuite(); }

  // Node 1 is the one that is restored.
  static AssentdProcess& Node(int id);
  static std::string BackupFile() { return House().dir() + "/prod-eu.backup"; }

  // What stands under a mark of a page (tests/support/doc_page.h): the block, and its commands in
  // their order, without comments.
  static std::string BlockUnder(const std::string& mark, const std::string& language,
                                const std::string& page = "docs/operations.md");
  static std::vector<std::string> CommandsUnder(const std::string& mark,
                                                const std::string& page = "docs/operations.md");
  // One of them on this house: its programs, files and addresses; on the machine of the node.
  static CtlAnswer Shell(std::string command, const AssentdProcess& node = Node(1));
  // assentctl at the first node, and what it answers with --json; null: it failed.
  static CtlAnswer CtlAtFirst(const std::vector<std::string>& arguments);
  static nlohmann::json Ask(std::vector<std::string> arguments);
  // "" if it does not answer.
  static std::string Incarnation();

  // "Back up": saves and checks BackupFile().
  static void SaveBackup();
  // All coordinators die, and their directories are set aside as DIR.old; on etcd, their log is
  // deleted.
  static void LoseTheGroup();
  // "Restore", up to a first node that leads. `refusal`: of a second attempt.
  // The commands are those under `mark`.
  static void Restore(const std::string& refusal = "start that node without",
                      const std::string& mark = "Make the first node",
                      const std::string& page = "docs/operations.md");
  // Starts both agents anew.
  static void StartAgents(const test_support::Environment& env = {});
  static void KillAgents();
  // "Restore": lets each agent in.
  static void Repin();
  // Since the last start.
  static bool BothAgentsLogged(const std::string& event);

  // What `list --state heuristic` shows.
  static std::vector<std::string> Hazards();
  // What `show` prints for the branches that stand prepared, by a person in the databases; then
  // `forget`.
  static void EndByHand(const std::string& gtrid, const std::string& verb);
  // Prepared branches in both databases; -1: one can't be asked.
  static int PreparedNow();
};

}  // namespace assent::system_tests
