# The install rules: libraries, headers in the layout of the build tree's include folder, a
# CMake package and pkg-config files. Everything is relative, so an install can be moved.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mobius")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(libraries mobius_runtime mobius_testing mobius_deferred mobius_net mobius_http)
set(MOBIUS_LLHTTP_INSTALLED TRUE)
if(TARGET mobius_llhttp)
  set(MOBIUS_LLHTTP_INSTALLED FALSE)
  list(APPEND libraries mobius_llhttp)
endif()

install(TARGETS ${libraries} EXPORT mobius ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT mobius NAMESPACE mobius:: FILE mobiusTargets.cmake DESTINATION "${package_dir}")

install(DIRECTORY runtime deferred net DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/mobius"
        FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY "${MOBIUS_INCLUDE_TREE}/mobius/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/mobius"
        FILES_MATCHING PATTERN "*.hpp" PATTERN runtime EXCLUDE PATTERN deferred EXCLUDE PATTERN net EXCLUDE)

configure_package_config_file(cmake/mobiusConfig.cmake.in mobiusConfig.cmake
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/mobiusConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/mobiusConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/mobiusConfigVersion.cmake"
  cmake/Findliburing.cmake cmake/Findllhttp.cmake
  DESTINATION "${package_dir}")

# mobius_pkgconfig(<name> <description> REQUIRES <module>... LIBS <flag>...)
#
# The libraries are static archives only, so what they stand on is in Requires and Libs:
# `pkg-config --libs` links as well as `pkg-config --static --libs` does.
function(mobius_pkgconfig name description)
  cmake_parse_arguments(arg "" "" "REQUIRES;LIBS;CFLAGS" ${ARGN})
  set(PC_NAME "${name}")
  set(PC_DESCRIPTION "${description}")
  list(JOIN arg_REQUIRES ", " PC_REQUIRES)
  list(JOIN arg_LIBS " " PC_LIBS)
  list(JOIN arg_CFLAGS " " PC_CFLAGS)
  # By way of / because both may be absolute, and the .pc file may lie several levels deep.
  file(RELATIVE_PATH PC_PREFIX "/prefix/${pkgconfig_dir}" "/prefix")
  configure_file(cmake/mobius.pc.in "${name}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${pkgconfig_dir}")
endfunction()

set(cxx_flags "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(cxx_flags -foptimize-sibling-calls)
endif()
if(MOBIUS_LLHTTP_INSTALLED)
  set(llhttp_libs -lllhttp)
else()
  set(llhttp_libs -lmobius_llhttp)
endif()

mobius_pkgconfig(mobius-runtime "io_uring reactor and coroutine tasks"
  REQUIRES "liburing >= 2.3" LIBS -lmobius_runtime -pthread CFLAGS ${cxx_flags})
mobius_pkgconfig(mobius-testing "test kit for programs written with mobius"
  REQUIRES mobius-runtime LIBS -lmobius_testing)
mobius_pkgconfig(mobius-deferred "awaitable Deferreds"
  REQUIRES mobius-runtime LIBS -lmobius_deferred)
mobius_pkgconfig(mobius-net "sockets, names and protocols"
  REQUIRES mobius-deferred LIBS -lmobius_net)
mobius_pkgconfig(mobius-http "HTTP/1.1 client and server"
  REQUIRES mobius-net LIBS -lmobius_http ${llhttp_libs})
mobius_pkgconfig(mobius "coroutine-first async runtime for Linux" REQUIRES mobius-http)
