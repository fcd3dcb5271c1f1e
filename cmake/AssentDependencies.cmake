# Everything that is not ours comes from a Debian 12 package; tests/packages.txt lists them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(tomlplusplus CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
pkg_check_modules(LIBPQXX REQUIRED IMPORTED_TARGET libpqxx)

# Connector/C++ 1.1 ships neither a CMake config nor a pkg-config file.
find_path(MYSQLCPPCONN_INCLUDE_DIR mysql_connection.h REQUIRED)
find_library(MYSQLCPPCONN_LIBRARY mysqlcppconn REQUIRED)
if(NOT TARGET mysqlcppconn)
  add_library(mysqlcppconn INTERFACE IMPORTED)
  target_include_directories(mysqlcppconn SYSTEM INTERFACE ${MYSQLCPPCONN_INCLUDE_DIR})
  target_link_libraries(mysqlcppconn INTERFACE ${MYSQLCPPCONN_LIBRARY})
endif()

if(ASSENT_GRPC)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  get_target_property(ASSENT_GRPC_CPP_PLUGIN gRPC::grpc_cpp_plugin LOCATION)
endif()
