assent_test(NAME adapters_common_test LABEL unit LIBS assent::adapters_common SOURCES xid_test.cc)
