# Warnings are errors in our own code; generated and packaged code is left alone.
add_library(assent_warnings INTERFACE)
add_library(assent::warnings ALIAS assent_warnings)
target_compile_options(assent_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                       -Woverloaded-virtual -Wimplicit-fallthrough -Werror)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(assent_warnings INTERFACE -Wthread-safety -Wno-missing-field-initializers
                         -Wno-missing-designated-field-initializers)
else()
  # g++ 12 reports fields with default initialisers that a designated initialiser leaves out.
  target_compile_options(assent_warnings INTERFACE -Wno-missing-field-initializers)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    # Its documentation warns of false alarms there, and std::variant raises them.
    target_compile_options(assent_warnings INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
