#!/usr/bin/env bash
# Builds everything optimised and runs all tests. On a fresh Debian 12 it first installs what is
# missing (as root or with sudo). Arguments go to ctest: tests/run.sh -R timer
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../cmake/setup.sh"

need_packages "${build_packages[@]}" "${test_packages[@]}"
check_tools
check_kernel
use_ccache
configure release MOBIUS_TESTS=ON MOBIUS_EXAMPLES=ON
build release

if run_ctest release "$@"; then
  say "PASSED: all tests."
else
  say "FAILED: the tests above."
  exit 1
fi
