# Compiler settings that every target of the project shares.
find_program(CLEAVE_CCACHE ccache)
if(CLEAVE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CLEAVE_CCACHE})
endif()

add_library(cleave_options INTERFACE)
set(cleave_warnings -Wall -Wextra -Werror -Wno-missing-field-initializers)
# GCC 12 sees overlapping copies in std::string's operator+ where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  list(APPEND cleave_warnings -Wno-restrict)
endif()
target_compile_options(cleave_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${cleave_warnings}>")
target_include_directories(cleave_options INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
if(CLEAVE_SANITIZE)
  target_compile_options(cleave_options INTERFACE -fsanitize=${CLEAVE_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(cleave_options INTERFACE -fsanitize=${CLEAVE_SANITIZE})
endif()
