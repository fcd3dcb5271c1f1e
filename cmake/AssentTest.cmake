# assent_test(NAME <name> LABEL unit|db|chaos|... SOURCES ... LIBS ... [PROGRAMS ...]
#             [TIMEOUT seconds] [ARGS ...])
#
# One GoogleTest binary, one ctest entry. PROGRAMS are the targets that it runs, built with it. tests/run sets GTEST_OUTPUT and counts the single tests
# from the XML, so that a binary that dies is counted as a failure and not as silence.
add_library(assent_test_paths STATIC ${PROJECT_SOURCE_DIR}/tests/support/paths.cc)
target_include_directories(assent_test_paths PUBLIC ${PROJECT_SOURCE_DIR})
target_compile_definitions(assent_test_paths PRIVATE
  ASSENT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" ASSENT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")

function(assent_test)
  cmake_parse_arguments(T "" "NAME;LABEL;TIMEOUT" "SOURCES;LIBS;PROGRAMS;ARGS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/leaks.cc)
  target_include_directories(${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBS} assent_test_paths GTest::gmock
                        GTest::gtest_main assent::warnings)
  add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 180)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT})
  # Those of one label, for builds that run no others.
  if(NOT TARGET tests_${T_LABEL})
    add_custom_target(tests_${T_LABEL})
  endif()
  add_dependencies(tests_${T_LABEL} ${T_NAME})
  if(T_PROGRAMS)
    add_dependencies(${T_NAME} ${T_PROGRAMS})
  endif()
endfunction()

# assent_chaos_test(NAME <name> SOURCES ... LIBS ... [PROGRAMS ...] [TIMEOUT seconds]): the same tests twice, <name>
# with the label chaos, and <name>_tls with chaos_tls and mutual TLS at every port: they ask
# tests/support/doors_under_test.h.
function(assent_chaos_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;PROGRAMS" ${ARGN})
  assent_test(NAME ${T_NAME} LABEL chaos TIMEOUT ${T_TIMEOUT}
    SOURCES ${T_SOURCES} LIBS ${T_LIBS} assent::plain_doors PROGRAMS ${T_PROGRAMS})
  assent_test(NAME ${T_NAME}_tls LABEL chaos_tls TIMEOUT ${T_TIMEOUT}
    SOURCES ${T_SOURCES} LIBS ${T_LIBS} assent::tls_doors PROGRAMS ${T_PROGRAMS})
endfunction()

# assent_fuzz(NAME <room>_fuzz SOURCES ... LIBS ...): a libFuzzer binary, only in the fuzz preset,
# which instruments everything for it. tests/run runs each build/fuzz/bin/*_fuzz for some seconds.
function(assent_fuzz)
  if(NOT ASSENT_FUZZ)
    return()
  endif()
  cmake_parse_arguments(T "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  target_include_directories(${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBS} assent::warnings)
  target_link_options(${T_NAME} PRIVATE -fsanitize=fuzzer)
endfunction()
