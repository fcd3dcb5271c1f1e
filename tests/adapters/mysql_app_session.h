// The session of an application with its own driver, which the client library behind our connector
// serves: also the two ways in which connection pools reset a session.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace assent::adapters {

class AppSession {
 public:
  // As root, on the unix socket. Fails the test if it can't connect.
  AppSession(const std::string& socket, const std::string& database);
  ~AppSession();
  AppSession(const AppSession&) = delete;
  AppSession& operator=(const AppSession&) = delete;

  // False: the server refused it, or the session is gone.
  bool Run(const std::string& sql);
  bool Run(const std::vector<std::string>& statements);
  bool Lives() { return Run("DO 1"); }
  // CONNECTION_ID()
  const std::string& id() const { return id_; }

  bool ChangeUser();       // COM_CHANGE_USER
  bool ResetConnection();  // COM_RESET_CONNECTION

 private:
  struct Library;
  static const Library& Client();

  const std::string database_;
  void* mysql_ = nullptr;
  std::string id_;
};

}  // namespace assent::adapters
