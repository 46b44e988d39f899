#!/usr/bin/env bash
# Builds the tutorial and runs its six programs. On a fresh Debian 12 it first installs what is
# missing (as root or with sudo).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../cmake/setup.sh"

programs=()
for name in print_later print_later_twice blocking_input; do
  programs+=("${name}_callbacks" "${name}_coroutine")
done

need_packages "${build_packages[@]}"
check_tools
check_kernel
use_ccache
# The tests would want more packages; a build directory that has them keeps them.
settings=(MOBIUS_EXAMPLES=ON)
[ -f "$mobius_top/build/release/build.ninja" ] || settings+=(MOBIUS_TESTS=OFF)
configure release "${settings[@]}"
build release "${programs[@]}"

failed=()
for program in "${programs[@]}"; do
  printf '\n== %s\n' "$program"
  "$mobius_top/build/release/examples/tutorial/$program" || failed+=("$program (exit status $?)")
done

echo
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
say "PASSED: all ${#programs[@]} programs of the tutorial ran to their end."
