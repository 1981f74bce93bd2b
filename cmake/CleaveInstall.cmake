# `cmake --install` gives find_package(cleave): one shared library, the public headers, the tool.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# All of Cleave as one library; what it stands on is linked in or needed at run time, never seen.
add_library(cleave_shared SHARED ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
set_target_properties(cleave_shared PROPERTIES OUTPUT_NAME cleave EXPORT_NAME cleave
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
# Whole archives: the public functions are exported though nothing inside calls them.
add_dependencies(cleave_shared cleave_compiler cleave_runtime cleave_base)
target_link_libraries(cleave_shared PRIVATE -Wl,--whole-archive $<TARGET_FILE:cleave_compiler>
  $<TARGET_FILE:cleave_runtime> $<TARGET_FILE:cleave_base> -Wl,--no-whole-archive cleave_compiler)
target_include_directories(cleave_shared PUBLIC
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(cleave_shared PUBLIC cxx_std_20)

install(TARGETS cleave_shared EXPORT cleave-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/cleave DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT cleave-targets NAMESPACE cleave:: FILE cleave-config.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cleave)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cleave-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cleave-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cleave)
