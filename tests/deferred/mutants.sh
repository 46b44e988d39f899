#!/bin/sh
# usage: mutants.sh [SCRATCH]
# Makes one small mistake after another in a scratch copy of the library (the patches in mutants/), builds the trace
# tests there and runs them: each mistake must turn them red. One line a mistake, then a closing line; exit status 1
# if a mistake survives, or its patch no longer applies or compiles. SCRATCH (build/mutants by default) is overwritten.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
scratch=${1:-$top/build/mutants}
copy=$scratch/mobius
longest=60 # seconds; the tests take a few

rm -rf "$copy" "$scratch/build"
mkdir -p "$copy"
tar -C "$top" -cf - CMakeLists.txt README.md cmake runtime deferred net bench tests | tar -C "$copy" -xf -
cache=
if command -v ccache >/dev/null; then cache=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S "$copy" -B "$scratch/build" -G Ninja $cache -DCMAKE_BUILD_TYPE=Mutant -DCMAKE_CXX_FLAGS=-O0 \
  -DMOBIUS_WERROR=OFF -DMOBIUS_TESTS=ON -DMOBIUS_EXAMPLES=OFF >"$scratch/configure.log" 2>&1 || {
  cat "$scratch/configure.log"
  exit 1
}

build() { ninja -C "$scratch/build" deferred_traces >"$scratch/build.log" 2>&1; }

# Prints how the tests ended; true if they are green.
verdict() {
  timeout "$longest" "$scratch/build/tests/deferred/deferred_traces" >"$scratch/run.log" 2>&1 && status=0 || status=$?
  case $status in
    0) echo green ;;
    124) echo "red: still running after $longest s" ;;
    *) sed -n 's/^assertions:.*| *\([0-9]*\) failed.*/red: \1 assertions fail/p' "$scratch/run.log" | grep . ||
      echo "red: ended with status $status" ;;
  esac
  [ $status -eq 0 ]
}

if ! build || ! unchanged=$(verdict); then
  tail -n 20 "$scratch/build.log"
  echo "without a mistake the tests do not build, or are ${unchanged:-not there}"
  exit 1
fi

count=0 bad=0
for mistake in "$here"/mutants/*.patch; do
  name=$(basename "$mistake" .patch)
  count=$((count + 1))
  if ! patch -s -d "$copy" -p1 --dry-run <"$mistake" >/dev/null; then
    echo "$name: does not apply; make it anew"
    bad=$((bad + 1))
    continue
  fi
  patch -s -d "$copy" -p1 <"$mistake"
  if ! build; then
    echo "$name: does not compile; make it anew"
    bad=$((bad + 1))
  elif result=$(verdict); then
    echo "$name: SURVIVES"
    bad=$((bad + 1))
  else
    echo "$name: $result"
  fi
  patch -s -d "$copy" -p1 -R <"$mistake"
done
echo "$count mistakes, $bad not noticed"
[ $count -ge 10 ] && [ $bad -eq 0 ]
