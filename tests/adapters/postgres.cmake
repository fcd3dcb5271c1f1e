assent_test(NAME postgres_unit_test LABEL unit LIBS assent::postgres PkgConfig::LIBPQXX
  SOURCES postgres_unit_test.cc)
assent_test(NAME postgres_adapter_test LABEL db TIMEOUT 600
  LIBS assent::postgres assent::test_support PkgConfig::LIBPQXX
  SOURCES postgres_fixture.cc postgres_app_held_test.cc postgres_capacity_test.cc postgres_finish_test.cc
          postgres_loss_test.cc postgres_prepare_test.cc postgres_probe_test.cc
          postgres_standby_test.cc postgres_stream_test.cc postgres_work_test.cc)
