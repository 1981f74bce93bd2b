# `cmake --install` gives find_package(cleave).
include(GNUInstallDirs)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/cleave DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
