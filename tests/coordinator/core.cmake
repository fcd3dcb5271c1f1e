assent_test(NAME coordinator_core_test LABEL unit LIBS assent::coordinator_core
  SOURCES decision_table_test.cc inquiry_test.cc phase_two_test.cc restore_test.cc two_phase_test.cc)
