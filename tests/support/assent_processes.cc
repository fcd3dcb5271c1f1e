#include "tests/support/assent_processes.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/random.h"

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStopTimeout{20};
constexpr seconds kRunTimeout{30};

std::string Program(const std::string& bin_dir, const std::string& name) {
  return (bin_dir.empty() ? OwnBinDir() : bin_dir) + "/" + name;
}

std::string ToText(const Toml& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += key + " = " + value + "\n";
  return text;
}

void Overlay(const Toml& over, Toml* settings) {
  for (const auto& [key, value] : over) (*settings)[key] = value;
}

NodePlace PlaceOf(const AssentdOptions& options, int node_id) {
  auto it = options.places.find(node_id);
  return it == options.places.end() ? NodePlace{} : it->second;
}

}  // namespace

std::string OwnBinDir() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string TomlString(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

Toml TlsSettings(const TlsPaths& paths) {
  if (paths.ca_file.empty()) return {};
  return {{"tls_ca_file", TomlString(paths.ca_file)},
          {"tls_cert_file", TomlString(paths.cert_file)},
          {"tls_key_file", TomlString(paths.key_file)}};
}

ServerProcess::ServerProcess(std::string name, const TempDir& dir, std::string program,
                             Argv launcher)
    : name_(std::move(name)),
      program_(std::move(program)),
      launcher_(std::move(launcher)),
      config_file_(dir.File(name_ + ".toml")),
      log_file_(dir.File(name_ + ".log")),
      output_file_(dir.File(name_ + ".out")) {}

SpawnOptions ServerProcess::Options() const {
  SpawnOptions options;
  // As ourselves: unlike databases they don't mind root, and the unprivileged user can't reach
  // binaries below /root.
  options.inherit_environment = false;  // ASSENT_* of the caller would be taken for options.
  options.working_dir = "/";
  return options;
}

Status ServerProcess::Start(const Environment& env) {
  if (Status launched = Launch(env); !launched.ok()) return launched;
  return WaitReady();
}

Status ServerProcess::Launch(const Environment& env) {
  if (Running()) return FailedPrecondition(name_ + " runs already");
  log_start_ = ReadFile(log_file_).size();
  SpawnOptions options = Options();
  options.stdout_file = options.stderr_file = log_file_;
  Argv argv = launcher_;
  argv.insert(argv.end(), {program_, "--config", config_file_});
  auto process = Process::Spawn(argv, env, options);
  if (!process.ok()) return process.status();
  process_ = std::move(*process);
  return Ok();
}

Status ServerProcess::WaitReady(milliseconds timeout) {
  bool ready = WaitUntil(timeout, [this] { return Logged("ready") || !Running(); });
  if (ready && Running()) return Ok();
  std::string what = Running() ? "is not ready within " + std::to_string(timeout.count()) + " ms"
                               : "ended at start";
  return Unavailable(name_ + " " + what + "; its log: " + Tail(log_file_));
}

Result<Finished> ServerProcess::RunWith(const std::vector<std::string>& arguments,
                                        const Environment& env) {
  Argv argv = {program_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return test_support::Run(argv, env, Options(), output_file_, kRunTimeout);
}

void ServerProcess::Kill9() {
  if (process_) process_->Kill9();
}

ExitStatus ServerProcess::Terminate() {
  return process_ ? process_->Terminate(kStopTimeout) : ExitStatus{};
}

void ServerProcess::Signal(int signal) {
  if (process_) process_->Signal(signal);
}

bool ServerProcess::Running() { return process_ && process_->Running(); }

std::optional<ExitStatus> ServerProcess::WaitEnd(milliseconds timeout) {
  if (!process_) return std::nullopt;
  return process_->Wait(timeout);
}

std::string ServerProcess::Log() const { return ReadFile(log_file_).substr(log_start_); }

bool ServerProcess::Logged(const std::string& event) const {
  // "<time> <level letter> <event> key=value..."
  const std::string log = Log();
  for (size_t begin = 0; begin < log.size();) {
    size_t end = log.find('\n', begin);
    if (end == std::string::npos) break;  // Still being written.
    std::string line = log.substr(begin, end - begin);
    size_t level = line.find(' ');
    size_t word = level == std::string::npos ? level : line.find(' ', level + 1);
    if (word != std::string::npos && line.compare(word + 1, event.size(), event) == 0) {
      size_t after = word + 1 + event.size();
      if (after == line.size() || line[after] == ' ') return true;
    }
    begin = end + 1;
  }
  return false;
}

AssentdProcess::AssentdProcess(const TempDir& dir, const AssentdOptions& options, std::string name,
                               int node_id)
    : ServerProcess(name, dir, Program(options.bin_dir, "assentd"),
                    PlaceOf(options, node_id).launcher),
      place_(PlaceOf(options, node_id)),
      port_(PickFreePort()),
      http_port_(PickFreePort()),
      peer_port_(PickFreePort()),
      data_dir_(dir.File(name + ".data")),
      node_id_(node_id) {}

Status AssentdProcess::Prepare(const TempDir& dir, const AssentdOptions& options, const Toml& group,
                               const std::string& first) {
  if (Status made = dir.MakeDir(name() + ".data"); !made.ok()) return made;
  Toml settings = {
      {"cluster", TomlString(options.cluster)},     {"node_id", std::to_string(node_id_)},
      {"data_dir", TomlString(data_dir_)},          {"listen", TomlString(endpoint())},
      {"http_listen", TomlString(http_endpoint())},
  };
  Overlay(group, &settings);
  Overlay(options.settings, &settings);
  if (Status written = WriteConfig(ToText(settings)); !written.ok()) return written;
  auto ran = RunWith({"--config", config_file(), first});
  if (!ran.ok()) return ran.status();
  if (ran->status.ok()) return Ok();
  return Internal("assentd " + first + " failed with " + ran->status.ToString() + ": " +
                  ran->output);
}

Result<std::unique_ptr<AssentdProcess>> AssentdProcess::Create(const TempDir& dir,
                                                               const AssentdOptions& options) {
  std::unique_ptr<AssentdProcess> process(new AssentdProcess(dir, options, options.name, 1));
  if (Status s = process->Prepare(dir, options, {}, "--bootstrap"); !s.ok()) return s;
  return process;
}

Result<std::vector<std::unique_ptr<AssentdProcess>>> AssentdProcess::CreateGroup(
    const TempDir& dir, const AssentdOptions& options, int count) {
  const std::string uuid = RandomUuid();
  std::vector<std::unique_ptr<AssentdProcess>> group;
  std::string members;
  for (int id = 1; id <= count; ++id) {
    const std::string name = options.name + std::to_string(id);
    group.emplace_back(new AssentdProcess(dir, options, name, id));
    group.back()->cluster_uuid_ = uuid;
    members += (members.empty() ? "" : ", ") +
               TomlString(std::to_string(id) + "=" + group.back()->peer_endpoint() + "," +
                          group.back()->endpoint());
  }
  for (auto& node : group) {
    const Toml settings = {{"peer_listen", TomlString(node->peer_endpoint())},
                           {"members", "[" + members + "]"},
                           {"cluster_uuid", TomlString(uuid)}};
    if (Status s = node->Prepare(dir, options, settings, "--bootstrap"); !s.ok()) return s;
  }
  return group;
}

Result<std::vector<std::unique_ptr<AssentdProcess>>> AssentdProcess::CreateOnEtcd(
    const TempDir& dir, const AssentdOptions& options, int count,
    const std::vector<std::string>& endpoints) {
  std::string list;
  for (const std::string& one : endpoints) list += (list.empty() ? "" : ", ") + TomlString(one);
  const Toml settings = {{"engine", TomlString("etcd")}, {"etcd_endpoints", "[" + list + "]"}};
  std::vector<std::unique_ptr<AssentdProcess>> group;
  for (int id = 1; id <= count; ++id) {
    group.emplace_back(new AssentdProcess(dir, options, options.name + std::to_string(id), id));
    Status made =
        group.back()->Prepare(dir, options, settings, id == 1 ? "--bootstrap" : "--check-config");
    if (!made.ok()) return made;
  }
  return group;
}

Result<std::unique_ptr<AssentdProcess>> AssentdProcess::CreateJoining(
    const TempDir& dir, const AssentdOptions& options, int node_id, const AssentdProcess& member) {
  const std::string name = options.name + std::to_string(node_id);
  std::unique_ptr<AssentdProcess> node(new AssentdProcess(dir, options, name, node_id));
  node->cluster_uuid_ = member.cluster_uuid_;
  const Toml settings = {{"peer_listen", TomlString(node->peer_endpoint())},
                         {"cluster_uuid", TomlString(node->cluster_uuid_)}};
  if (Status s = node->Prepare(dir, options, settings, "--join"); !s.ok()) return s;
  return node;
}

AgentProcess::AgentProcess(const TempDir& dir, const AgentOptions& options)
    : ServerProcess(options.name, dir, Program(options.bin_dir, "assent-agent")),
      port_(PickFreePort()),
      http_port_(PickFreePort()),
      data_dir_(dir.File(options.name + ".data")) {}

Result<std::unique_ptr<AgentProcess>> AgentProcess::Create(const TempDir& dir,
                                                           const AgentOptions& options) {
  std::unique_ptr<AgentProcess> process(new AgentProcess(dir, options));
  Status made = dir.MakeDir(options.name + ".data");
  if (!made.ok()) return made;
  std::string coordinators;
  for (const std::string& endpoint : options.coordinators) {
    coordinators += (coordinators.empty() ? "" : ", ") + TomlString(endpoint);
  }
  Toml settings = {
      {"agent_id", TomlString(options.name)},
      {"data_dir", TomlString(process->data_dir_)},
      {"listen", TomlString(process->endpoint())},
      {"http_listen", TomlString(process->http_endpoint())},
      {"coordinators", "[" + coordinators + "]"},
  };
  Overlay(options.settings, &settings);
  std::string text = ToText(settings);
  for (const AgentOptions::Resource& resource : options.resources) {
    const adapters::ConnectOptions& connect = resource.connect;
    Toml keys = {
        {"name", TomlString(connect.resource)},     {"kind", TomlString(resource.kind)},
        {"host", TomlString(connect.host)},         {"port", std::to_string(connect.port)},
        {"database", TomlString(connect.database)}, {"user", TomlString(connect.user)},
    };
    if (!connect.identity.empty()) keys["identity"] = TomlString(connect.identity);
    Overlay(resource.settings, &keys);
    text += "\n[[resource]]\n" + ToText(keys);
  }
  if (Status written = process->WriteConfig(text); !written.ok()) return written;
  return process;
}

}  // namespace assent::test_support
