# What every target of ours has in common.

# The build tree offers <mobius/runtime/task.hpp> through links to the sources, and the
# umbrellas <mobius/runtime.hpp> as one-line headers, in the layout that the install has.
set(MOBIUS_INCLUDE_TREE "${CMAKE_CURRENT_BINARY_DIR}/include")
set(MOBIUS_UMBRELLAS runtime/runtime runtime/testing/testing deferred/deferred net/net net/http/http)

function(mobius_include_tree)
  set(tree "${MOBIUS_INCLUDE_TREE}/mobius")
  file(MAKE_DIRECTORY "${tree}")
  foreach(folder runtime deferred net)
    file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/${folder}" "${tree}/${folder}" SYMBOLIC)
  endforeach()
  foreach(umbrella ${MOBIUS_UMBRELLAS})
    get_filename_component(name "${umbrella}" NAME)
    file(CONFIGURE OUTPUT "${tree}/${name}.hpp" CONTENT "#pragma once\n#include \"${umbrella}.hpp\"\n")
  endforeach()
endfunction()

function(mobius_warnings target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wconversion>
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${MOBIUS_WERROR}>>:-Werror>)
  # g++ 12 takes "text" + std::string for an overlapping copy when it optimises (GCC PR105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
  # Instrumented code hides initialisations from g++, which then warns even of <regex>.
  if(MOBIUS_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
endfunction()

function(mobius_sanitize target)
  if(MOBIUS_SANITIZE STREQUAL "address")
    set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # g++ takes the null check of a thread_local's address from the flags of the `add` that computes
      # it; ld relaxes that to a `lea`, which sets none, so the check fails at random. A use of a
      # null pointer is still caught, as the SEGV that it is.
      list(APPEND flags -fno-sanitize=null)
    endif()
  elseif(MOBIUS_SANITIZE STREQUAL "thread")
    set(flags -fsanitize=thread)
  elseif(MOBIUS_SANITIZE)
    message(FATAL_ERROR "MOBIUS_SANITIZE is '${MOBIUS_SANITIZE}': use address, thread or nothing")
  else()
    return()
  endif()
  target_compile_options(${target} PUBLIC ${flags})
  target_link_options(${target} PUBLIC ${flags})
endfunction()

# mobius_library(<name> <source>...): the library mobius_<name>, alias mobius::<name>.
function(mobius_library name)
  set(target mobius_${name})
  # Static whatever BUILD_SHARED_LIBS says: hidden visibility leaves a shared one without symbols.
  add_library(${target} STATIC ${ARGN})
  add_library(mobius::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    C_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    "$<BUILD_INTERFACE:${MOBIUS_INCLUDE_TREE}>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  # Without it g++ makes a plain call of a symmetric transfer at -O0 and -O1, and a loop of
  # ready awaits overflows the stack; users' own debug builds need it as well.
  target_compile_options(${target} PUBLIC
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-foptimize-sibling-calls>)
  mobius_warnings(${target})
  mobius_sanitize(${target})
endfunction()

# mobius_program(<name> LIBS <lib>... SOURCES <source>...): a test, example or benchmark.
function(mobius_program name)
  cmake_parse_arguments(arg "" "" "LIBS;SOURCES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS})
  mobius_warnings(${name})
endfunction()
