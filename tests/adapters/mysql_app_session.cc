#include "tests/adapters/mysql_app_session.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

namespace assent::adapters {

// Debian's connector has no header for what lies below it, but these few functions of the client
// library have not changed since MySQL 5.7.
struct AppSession::Library {
  void* (*init)(void*);
  void* (*connect)(void*, const char* host, const char* user, const char* password,
                   const char* database, unsigned port, const char* socket, unsigned long flags);
  int (*query)(void*, const char*);
  void* (*store_result)(void*);
  void (*free_result)(void*);
  unsigned long (*thread_id)(void*);
  char (*change_user)(void*, const char* user, const char* password, const char* database);
  int (*reset_connection)(void*);
  void (*close)(void*);
};

const AppSession::Library& AppSession::Client() {
  static const Library library = [] {
    Library loaded{};
    void* handle = dlopen("libmariadb.so.3", RTLD_NOW);
    auto load = [handle](const char* name, auto* function) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(
          handle == nullptr ? nullptr : dlsym(handle, name));
      if (*function == nullptr) {
        ADD_FAILURE() << "libmariadb.so.3 has no " << name;
        std::abort();
      }
    };
    load("mysql_init", &loaded.init);
    load("mysql_real_connect", &loaded.connect);
    load("mysql_query", &loaded.query);
    load("mysql_store_result", &loaded.store_result);
    load("mysql_free_result", &loaded.free_result);
    load("mysql_thread_id", &loaded.thread_id);
    load("mysql_change_user", &loaded.change_user);
    load("mysql_reset_connection", &loaded.reset_connection);
    load("mysql_close", &loaded.close);
    return loaded;
  }();
  return library;
}

AppSession::AppSession(const std::string& socket, const std::string& database)
    : database_(database), mysql_(Client().init(nullptr)) {
  if (Client().connect(mysql_, nullptr, "root", "", database_.c_str(), 0, socket.c_str(), 0) ==
      nullptr) {
    ADD_FAILURE() << "no session at " << socket;
  }
  id_ = std::to_string(Client().thread_id(mysql_));
}

AppSession::~AppSession() { Client().close(mysql_); }

bool AppSession::Run(const std::string& sql) {
  if (Client().query(mysql_, sql.c_str()) != 0) return false;
  if (void* rows = Client().store_result(mysql_)) Client().free_result(rows);
  return true;
}

bool AppSession::Run(const std::vector<std::string>& statements) {
  for (const std::string& sql : statements) {
    if (!Run(sql)) return false;
  }
  return true;
}

bool AppSession::ChangeUser() {
  return Client().change_user(mysql_, "root", "", database_.c_str()) == 0;
}
bool AppSession::ResetConnection() { return Client().reset_connection(mysql_) == 0; }

}  // namespace assent::adapters
