#!/usr/bin/env bash
# What deferreds cost, and whether that is within the limits: bench/deferred_bench.sh
# Builds deferred_bench at -O2 with g++ and with clang-19 and runs both with --check; the status is 1
# if either misses a limit. Takes a minute and a half, the first build apart.
set -uo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/../cmake/setup.sh"

need_packages "${build_packages[@]}" "${clang_packages[@]}" libbenchmark-dev python3-twisted
check_tools
use_ccache

status=0
for pair in "gcc g++" "clang-19 clang++-19"; do
  read -r c_compiler compiler <<<"$pair"
  tree=$mobius_top/build/deferred_bench-$compiler
  [ -f "$tree/build.ninja" ] ||
    cmake -S "$mobius_top" -B "$tree" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_COMPILER=$compiler" \
      "-DCMAKE_C_COMPILER=$c_compiler" \
      "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
      -DMOBIUS_BENCH=ON -DMOBIUS_TESTS=OFF -DMOBIUS_EXAMPLES=OFF >&2 ||
    die "cmake could not configure $tree (its own words are above)."
  cmake --build "$tree" --parallel "${MOBIUS_JOBS:-$(nproc)}" --target deferred_bench >&2 ||
    die "the build in $tree failed (the compiler's own words are above)."
  say "== $compiler -O2"
  "$tree/bench/deferred_bench" --check || status=1
done
exit $status
