assent_test(NAME mysql_unit_test LABEL unit LIBS assent::mysql
  SOURCES mysql_errors_test.cc mysql_evidence_test.cc mysql_screening_test.cc)
assent_test(NAME mariadb_adapter_test LABEL db TIMEOUT 600
  LIBS assent::mysql assent::test_support mysqlcppconn
  SOURCES mariadb_fixture.cc mariadb_branch_test.cc mariadb_crash_test.cc mariadb_finish_test.cc
          mariadb_probe_test.cc mariadb_values_test.cc mysql_app_held_test.cc mysql_app_session.cc)
