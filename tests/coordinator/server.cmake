# The driver with fakes around it: no gRPC, so it also runs under ThreadSanitizer.
assent_test(NAME coordinator_driver_test LABEL unit LIBS assent::coordinator_driver
  SOURCES driver_fixture.cc fake_log.cc server_agents_test.cc server_app_held_test.cc server_backup_test.cc
          server_clients_test.cc server_group_test.cc server_log_test.cc server_start_test.cc server_metrics_test.cc
          server_random_test.cc
          server_threads_test.cc server_tickets_test.cc)

if(TARGET assent::coordinator_server)
  assent_test(NAME coordinator_server_test LABEL unit LIBS assent::coordinator_server
    SOURCES server_codec_test.cc server_grpc_app_held_test.cc server_grpc_test.cc
            server_options_test.cc server_remembered_test.cc server_restore_test.cc)
endif()
