assent_test(NAME mysql_unit_test LABEL unit LIBS assent::mysql
  SOURCES mysql_errors_test.cc mysql_evidence_test.cc mysql_screening_test.cc)
# The same tests on MariaDB and on MySQL, and what only one of them does.
set(family_tests mysql_fixture.cc mysql_app_session.cc mysql_app_held_test.cc mysql_attached_test.cc
  mysql_branch_test.cc mysql_crash_test.cc mysql_finish_test.cc mysql_probe_test.cc
  mysql_stream_test.cc mysql_values_test.cc)
assent_test(NAME mariadb_adapter_test LABEL db TIMEOUT 600
  LIBS assent::mysql assent::mariadb_under_test mysqlcppconn
  SOURCES ${family_tests} mariadb_only_test.cc)
assent_test(NAME mysql_adapter_test LABEL mysql TIMEOUT 600
  LIBS assent::mysql assent::mysql_under_test mysqlcppconn
  SOURCES ${family_tests} mysql_only_test.cc)
