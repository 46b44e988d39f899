#!/usr/bin/env bash
# Builds and runs one small program against mobius in every way that a user has: add_subdirectory,
# FetchContent, find_package and pkg-config, the last two from an install (with a space in its
# prefix, and once more by way of DESTDIR) that was moved after it was made.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../../cmake/setup.sh"

need_packages "${build_packages[@]}" pkg-config
check_tools
check_kernel
use_ccache

work=$(mktemp -d "${TMPDIR:-/tmp}/mobius package.XXXXXX")
trap 'rm -rf "$work"' EXIT
common=(-G Ninja -DCMAKE_BUILD_TYPE=Debug
  -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

# consume <directory> <cmake option>...
consume() {
  local tree=$work/$1
  shift
  cmake -S "$here" -B "$tree" "${common[@]}" "$@" && cmake --build "$tree" && "$tree/consumer"
}

by_subdirectory() { consume subdirectory -DMOBIUS_BY=subdirectory -DMOBIUS_CHECKOUT="$mobius_top"; }

by_fetch() { consume fetch -DMOBIUS_BY=fetch -DMOBIUS_CHECKOUT="$mobius_top"; }

install_once() {
  cmake -S "$mobius_top" -B "$work/mobius" "${common[@]}" -DCMAKE_INSTALL_PREFIX=/opt/mobius \
    -DMOBIUS_TESTS=OFF -DMOBIUS_EXAMPLES=OFF &&
    cmake --build "$work/mobius" &&
    cmake --install "$work/mobius" --prefix "$work/first place" >"$work/manifest" &&
    mv "$work/first place" "$work/moved" &&
    DESTDIR="$work/staged" cmake --install "$work/mobius" >>"$work/manifest" &&
    diff -r "$work/moved" "$work/staged/opt/mobius" &&
    only_public_files
}

# Nothing but headers, archives and package files belongs into an install.
only_public_files() {
  local strange
  strange=$(cd "$work/moved" && find . -type f ! -name '*.hpp' ! -name '*.a' ! -name '*.cmake' ! -name '*.pc')
  [ -z "$strange" ] || { say "installed, but no part of the package:" "$strange"; return 1; }
  ! grep -rlF "$mobius_top" "$work/moved" --include='*.cmake' --include='*.pc' ||
    { say "the files above name the checkout, so the install breaks when it goes"; return 1; }
}

by_package() { consume package -DMOBIUS_BY=package -DCMAKE_PREFIX_PATH="$work/moved"; }

# by_pkgconfig [-static]: what pkg-config prints is quoted for a shell, hence eval.
by_pkgconfig() {
  local pc flags binary="$work/by-pkgconfig${1:-}"
  pc=$(dirname "$(find "$work/moved" -name mobius.pc)")
  flags=$(PKG_CONFIG_PATH=$pc pkg-config ${1:+--static} --cflags --libs mobius) &&
    eval "g++ -std=c++20 ${1:+$1 }\"\$here/consumer.cpp\" -o \"\$binary\" $flags" && "$binary"
}

by_pkgconfig_static() { by_pkgconfig -static; }

failures=()
# A report in full only where it fails.
check() {
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    say "package, $name: right"
  else
    cat "$work/log"
    say "package, $name: FAILED"
    failures+=("$name")
  fi
}

check "add_subdirectory" by_subdirectory
check "FetchContent" by_fetch
check "install" install_once
check "find_package" by_package
check "pkg-config" by_pkgconfig
check "pkg-config --static" by_pkgconfig_static

if [ ${#failures[@]} -gt 0 ]; then
  say "FAILED: $(printf '%s, ' "${failures[@]}" | sed 's/, $//')"
  exit 1
fi
say "PASSED: the package works in every way."
