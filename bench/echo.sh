#!/bin/sh
# Builds the echo benchmark in Release and runs it: floor, mobius where it is built, and what else is named.
# usage: bench/echo.sh [--quick] [options of echo_bench.py] [name=command ...]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build="$root/build-bench"

say() { printf '%s\n' "$*" >&2; }

install_missing() {
  missing=
  command -v cmake >/dev/null || missing="$missing cmake"
  command -v ninja >/dev/null || missing="$missing ninja-build"
  command -v g++ >/dev/null || missing="$missing g++"
  command -v python3 >/dev/null || missing="$missing python3"
  [ -e /usr/include/liburing.h ] || [ -e /usr/local/include/liburing.h ] || missing="$missing liburing-dev"
  [ -e /usr/include/llhttp.h ] || [ -e /usr/local/include/llhttp.h ] || [ -e /usr/share/llhttp/llhttp.c ] ||
    missing="$missing node-llhttp"
  [ -n "$missing" ] || return 0
  say "installing:$missing"
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "missing:$missing (install them, or run this as root)"; exit 2; }
    as_root=sudo
  fi
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

install_missing
launcher=
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O3 -DNDEBUG" \
  -DMOBIUS_BENCH=ON -DMOBIUS_TESTS=OFF -DMOBIUS_EXAMPLES=OFF -DMOBIUS_INSTALL=OFF ${launcher:+"$launcher"} >&2
cmake --build "$build" >&2

if [ "${1:-}" = --quick ]; then
  shift
  set -- --rounds 3 --seconds 0.3 "$@"
fi
if [ -x "$build/bench/mobius_echo" ]; then
  set -- "$@" "mobius='$build/bench/mobius_echo'"
fi
exec python3 "$root/bench/echo_bench.py" --build "$build/bench" --json "$build/echo.json" "$@"
