# Offers llhttp::llhttp: an installed libllhttp where there is one, otherwise the parser built
# from the sources that Debian's node-llhttp carries.
#
# Those sources hold a strict and a lenient parser behind `#if LLHTTP_STRICT_MODE` on their
# first line, so only a definition on the compiler's command line selects the strict one. The
# lenient one accepts request smuggling (CVE-2025-23167), hence the definition and a test.
find_path(llhttp_INCLUDE_DIR llhttp.h)
find_library(llhttp_LIBRARY llhttp)
find_path(llhttp_SOURCE_DIR NAMES llhttp.c http.c api.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
find_path(llhttp_SOURCE_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH)

set(_llhttp_remedy "mobius needs llhttp (Debian: apt-get install node-llhttp)")
include(FindPackageHandleStandardArgs)
if(llhttp_LIBRARY AND llhttp_INCLUDE_DIR)
  find_package_handle_standard_args(llhttp REQUIRED_VARS llhttp_LIBRARY llhttp_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "${_llhttp_remedy}")
  if(NOT TARGET llhttp::llhttp)
    add_library(llhttp::llhttp UNKNOWN IMPORTED)
    set_target_properties(llhttp::llhttp PROPERTIES
      IMPORTED_LOCATION "${llhttp_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${llhttp_INCLUDE_DIR}")
  endif()
else()
  find_package_handle_standard_args(llhttp
    REQUIRED_VARS llhttp_SOURCE_DIR llhttp_SOURCE_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "${_llhttp_remedy}")
  if(llhttp_FOUND AND NOT TARGET mobius_llhttp)
    add_library(mobius_llhttp STATIC
      "${llhttp_SOURCE_DIR}/llhttp.c" "${llhttp_SOURCE_DIR}/http.c" "${llhttp_SOURCE_DIR}/api.c")
    target_compile_definitions(mobius_llhttp PRIVATE LLHTTP_STRICT_MODE=1)
    target_include_directories(mobius_llhttp SYSTEM PUBLIC
      "$<BUILD_INTERFACE:${llhttp_SOURCE_INCLUDE_DIR}>")
    set_target_properties(mobius_llhttp PROPERTIES
      POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden EXPORT_NAME llhttp)
    target_compile_options(mobius_llhttp PRIVATE -w)
    add_library(llhttp::llhttp ALIAS mobius_llhttp)
  endif()
endif()
mark_as_advanced(llhttp_INCLUDE_DIR llhttp_LIBRARY llhttp_SOURCE_DIR llhttp_SOURCE_INCLUDE_DIR)
