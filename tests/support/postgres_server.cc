#include "tests/support/postgres_server.h"

#include <sys/shm.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <pqxx/pqxx>
#include <sstream>
#include <system_error>
#include <utility>

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStartTimeout{60};  // Crash recovery on a busy machine.
constexpr seconds kStopTimeout{60};

SpawnOptions ToolOptions() {
  SpawnOptions options;
  options.unprivileged = true;
  options.inherit_environment = false;  // PGOPTIONS and its like must not reach it.
  options.working_dir = "/";
  return options;
}

// After kill -9 the interlock segment (System V shared memory) is taken over by the next start; if
// there is none we must remove it. Its id is in the pid file, line 7: "key id".
void RemoveSharedMemory(const std::string& data_dir) {
  std::istringstream pid_file(ReadFile(data_dir + "/postmaster.pid"));
  std::string line;
  for (int i = 0; i < 7 && std::getline(pid_file, line); ++i) continue;
  unsigned long key = 0;
  int id = -1;
  if (std::sscanf(line.c_str(), "%lu %d", &key, &id) == 2) shmctl(id, IPC_RMID, nullptr);
}

}  // namespace

std::string PostgresServer::BinDir() {
  std::string best;
  int best_version = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    int version = std::atoi(entry.path().filename().c_str());
    std::string dir = entry.path().string() + "/bin";
    if (version > best_version && std::filesystem::exists(dir + "/initdb", error)) {
      best_version = version;
      best = dir;
    }
  }
  return best;
}

PostgresServer::PostgresServer(PostgresOptions options)
    : options_(std::move(options)), port_(PickFreePort()) {}

Result<std::unique_ptr<PostgresServer>> PostgresServer::Create(const PostgresOptions& options) {
  std::unique_ptr<PostgresServer> server(new PostgresServer(options));
  if (BinDir().empty()) {
    return NotFound("no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql");
  }
  if (Status made = server->dir_.MakeDirForUnprivileged("pg"); !made.ok()) return made;
  // --no-sync: a data directory that is lost with the machine is no loss. The server itself syncs.
  Status init = RunToEnd({BinDir() + "/initdb", "-D", server->DataDir(), "-U", kSuperuser, "-A",
                          "trust", "-E", "UTF8", "--no-locale", "--no-sync"},
                         {}, ToolOptions(), server->dir_.File("initdb.log"), kStartTimeout);
  if (!init.ok()) return init;
  if (Status started = server->Start(); !started.ok()) return started;
  Status created = server->Execute(std::string("CREATE DATABASE ") + kDatabase, kSuperuser);
  if (!created.ok()) return created;
  return server;
}

PostgresServer::~PostgresServer() {
  if (process_ && process_->Running()) {
    process_->Signal(SIGQUIT);  // Immediate: no checkpoint for data that nobody will read.
    if (!process_->Wait(kStopTimeout).has_value()) Kill9();
  }
  RemoveSharedMemory(DataDir());
}

bool PostgresServer::Running() { return process_ && process_->Running(); }

Status PostgresServer::Start() {
  if (Running()) return Ok();
  // The log, and the socket's directory, must be writable for the server's user.
  if (Status given = GiveToUnprivileged(dir_.path()); !given.ok()) return given;
  std::map<std::string, std::string> settings = {
      {"listen_addresses", "127.0.0.1"},
      {"port", std::to_string(port_)},
      {"unix_socket_directories", dir_.path()},
      {"max_prepared_transactions", std::to_string(options_.max_prepared_transactions)},
      {"max_connections", "200"},
      {"shared_buffers", "32MB"},
      // Files in the data directory instead of /dev/shm, where kill -9 would leave them behind.
      {"dynamic_shared_memory_type", "mmap"},
      {"log_min_messages", "warning"},
      // Small, so that restarts after kill -9 have little to replay.
      {"max_wal_size", "128MB"},
      {"min_wal_size", "32MB"},
  };
  for (const auto& [name, value] : options_.settings) settings[name] = value;
  Argv argv = {BinDir() + "/postgres", "-D", DataDir()};
  for (const auto& [name, value] : settings) {
    argv.push_back("-c");
    argv.push_back(name + "=" + value);
  }
  SpawnOptions spawn = ToolOptions();
  spawn.stdout_file = spawn.stderr_file = log_file();
  spawn.death_signal = SIGQUIT;  // The postmaster then ends its children and frees its memory.
  auto process = Process::Spawn(argv, {}, spawn);
  if (!process.ok()) return process.status();
  process_ = std::move(*process);
  return WaitReady();
}

Status PostgresServer::WaitReady() {
  Status last = Unavailable("not asked yet");
  bool ready = WaitUntil(kStartTimeout, [&] {
    if (!process_->Running()) return true;
    last = Run("SELECT 1", kSuperuser).status();
    return last.ok();
  });
  if (!process_->Running()) {
    return Unavailable("PostgreSQL ended at start: " + process_->Wait(milliseconds(0))->ToString() +
                       "; its log: " + Tail(log_file()));
  }
  if (!ready) {
    return Unavailable("PostgreSQL does not answer: " + last.ToString() +
                       "; its log: " + Tail(log_file()));
  }
  return Ok();
}

Status PostgresServer::Stop() {
  if (!Running()) return Ok();
  process_->Signal(SIGINT);
  std::optional<ExitStatus> status = process_->Wait(kStopTimeout);
  if (!status.has_value()) {
    Kill9();
    return DeadlineExceeded("PostgreSQL did not stop; its log: " + Tail(log_file()));
  }
  if (!status->ok()) {
    return Internal("PostgreSQL stopped with " + status->ToString() +
                    "; its log: " + Tail(log_file()));
  }
  return Ok();
}

void PostgresServer::Kill9() {
  if (!Running()) return;
  // Stopped first, so that the postmaster can neither fork nor clean up while we look.
  process_->Signal(SIGSTOP);
  std::vector<pid_t> backends = ChildrenOf(process_->pid());
  process_->Kill9();
  KillAllAndWait(backends);
}

Status PostgresServer::Restart() {
  if (Status stopped = Stop(); !stopped.ok()) return stopped;
  return Start();
}

Result<std::unique_ptr<PostgresServer>> PostgresServer::MakeStandby(PostgresOptions options) {
  options.max_prepared_transactions =
      std::max(options.max_prepared_transactions, options_.max_prepared_transactions);
  std::unique_ptr<PostgresServer> standby(new PostgresServer(std::move(options)));
  if (Status made = standby->dir_.MakeDirForUnprivileged("pg"); !made.ok()) return made;
  Status copied = RunToEnd(
      {BinDir() + "/pg_basebackup", "-D", standby->DataDir(), "-R", "-X", "stream", "-c", "fast",
       "--no-sync", "-h", "127.0.0.1", "-p", std::to_string(port_), "-U", kSuperuser},
      {}, ToolOptions(), standby->dir_.File("basebackup.log"), kStartTimeout);
  if (!copied.ok()) return copied;
  if (Status started = standby->Start(); !started.ok()) return started;
  if (Status caught_up = standby->WaitCaughtUp(*this); !caught_up.ok()) return caught_up;
  return standby;
}

Status PostgresServer::Promote() {
  auto promoted = Query("SELECT pg_promote(true, 60)", kSuperuser);
  if (!promoted.ok()) return promoted.status();
  if (promoted->at(0).at(0) != "t") return Internal("promotion failed: " + Tail(log_file()));
  return Ok();
}

Status PostgresServer::WaitCaughtUp(const PostgresServer& primary, milliseconds timeout) const {
  auto written = primary.Query("SELECT pg_current_wal_flush_lsn()");
  if (!written.ok()) return written.status();
  const std::string& lsn = written->at(0).at(0);
  bool caught_up = WaitUntil(timeout, [&] {
    auto replayed = Query("SELECT pg_last_wal_replay_lsn() >= '" + lsn + "'::pg_lsn", kSuperuser);
    return replayed.ok() && replayed->at(0).at(0) == "t";
  });
  if (!caught_up) return DeadlineExceeded("standby did not reach " + lsn + ": " + Tail(log_file()));
  return Ok();
}

adapters::ConnectOptions PostgresServer::ConnectOptions(const std::string& cluster,
                                                        const std::string& resource) const {
  adapters::ConnectOptions options;
  options.cluster = cluster;
  options.resource = resource;
  options.host = "127.0.0.1";
  options.port = port_;
  options.database = kDatabase;
  options.user = kSuperuser;
  return options;
}

adapters::ConnectOptions PostgresServer::SocketConnectOptions(const std::string& cluster,
                                                              const std::string& resource) const {
  adapters::ConnectOptions options = ConnectOptions(cluster, resource);
  options.host = socket_dir();
  return options;
}

std::string PostgresServer::Url() const {
  return "postgresql://" + std::string(kSuperuser) + "@127.0.0.1:" + std::to_string(port_) + "/" +
         kDatabase;
}

Status PostgresServer::Execute(const std::string& sql, const std::string& database) const {
  return Run(sql, database).status();
}

Result<Rows> PostgresServer::Query(const std::string& sql, const std::string& database) const {
  return Run(sql, database);
}

Result<Rows> PostgresServer::Run(const std::string& sql, const std::string& database) const {
  try {
    pqxx::connection connection("host=127.0.0.1 port=" + std::to_string(port_) +
                                " connect_timeout=5 user=" + kSuperuser + " dbname=" + database);
    pqxx::nontransaction work(connection);
    pqxx::result result = work.exec(sql);
    Rows rows;
    for (const auto& row : result) {
      std::vector<std::string> values;
      for (const auto& field : row) values.push_back(field.is_null() ? "NULL" : field.c_str());
      rows.push_back(std::move(values));
    }
    return rows;
  } catch (const pqxx::sql_error& error) {
    return Aborted(error.sqlstate() + ": " + error.what() + " in: " + sql);
  } catch (const std::exception& error) {
    return Unavailable(std::string(error.what()) + " in: " + sql);
  }
}

}  // namespace assent::test_support
