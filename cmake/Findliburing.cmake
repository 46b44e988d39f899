# Finds liburing and offers liburing::liburing.
find_path(liburing_INCLUDE_DIR liburing.h)
find_library(liburing_LIBRARY uring)

# The header carries no version before 2.4, so 2.3 is recognised by a call it introduced.
set(liburing_VERSION 0)
if(liburing_INCLUDE_DIR AND EXISTS "${liburing_INCLUDE_DIR}/liburing/io_uring_version.h")
  file(READ "${liburing_INCLUDE_DIR}/liburing/io_uring_version.h" text)
  string(REGEX MATCH "VERSION_MAJOR ([0-9]+)" _ "${text}")
  set(liburing_VERSION "${CMAKE_MATCH_1}")
  string(REGEX MATCH "VERSION_MINOR ([0-9]+)" _ "${text}")
  string(APPEND liburing_VERSION ".${CMAKE_MATCH_1}")
elseif(liburing_INCLUDE_DIR)
  file(STRINGS "${liburing_INCLUDE_DIR}/liburing.h" calls REGEX "io_uring_get_events")
  if(calls)
    set(liburing_VERSION 2.3)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(liburing
  REQUIRED_VARS liburing_LIBRARY liburing_INCLUDE_DIR
  VERSION_VAR liburing_VERSION
  REASON_FAILURE_MESSAGE "mobius needs liburing 2.3 or newer (Debian: apt-get install liburing-dev)")

if(liburing_FOUND AND NOT TARGET liburing::liburing)
  add_library(liburing::liburing UNKNOWN IMPORTED)
  set_target_properties(liburing::liburing PROPERTIES
    IMPORTED_LOCATION "${liburing_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${liburing_INCLUDE_DIR}")
endif()
mark_as_advanced(liburing_INCLUDE_DIR liburing_LIBRARY)
