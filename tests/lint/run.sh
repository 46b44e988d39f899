#!/usr/bin/env bash
# Everything that is checked without running the library: the source lint and its own test, the
# layout, headers that compile alone, and clang-tidy. Every finding is an error.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../../cmake/setup.sh"
export PYTHONDONTWRITEBYTECODE=1

need_packages "${build_packages[@]}" "${test_packages[@]}" "${lint_packages[@]}"
check_tools
use_ccache

own_sources() { git -c safe.directory="*" -C "$mobius_top" ls-files -z -- '*.hpp' '*.cpp'; }

lint_of_the_lint() { python3 "$here/lint_test.py"; }

source_lint() { python3 "$here/lint.py" "$mobius_top"; }

layout() { own_sources | (cd "$mobius_top" && xargs -0 -r clang-format-14 --dry-run -Werror); }

headers_alone() {
  configure release MOBIUS_TESTS=ON MOBIUS_EXAMPLES=ON
  build release headers_alone
}

clang_tidy() {
  configure clang MOBIUS_TESTS=ON MOBIUS_EXAMPLES=ON
  git -c safe.directory="*" -C "$mobius_top" ls-files -z -- 'runtime/*.cpp' 'deferred/*.cpp' 'net/*.cpp' |
    (cd "$mobius_top" && xargs -0 -r -n 1 -P "${MOBIUS_JOBS:-$(nproc)}" clang-tidy-19 -p build/clang --quiet) 2>&1 |
    sed '/^[0-9]* warnings\{0,1\} generated\.$/d'
}

failures=()
for part in lint_of_the_lint source_lint layout headers_alone clang_tidy; do
  begin=$SECONDS
  if ($part); then
    say "lint, ${part//_/ }: right ($((SECONDS - begin)) s)"
  else
    say "lint, ${part//_/ }: FAILED"
    failures+=("${part//_/ }")
  fi
done

if [ ${#failures[@]} -gt 0 ]; then
  say "FAILED: $(printf '%s, ' "${failures[@]}" | sed 's/, $//')"
  exit 1
fi
say "PASSED: no findings."
