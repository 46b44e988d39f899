#!/bin/sh
# usage: differential.sh SEED COUNT [REPLAY]
# Runs COUNT fresh programs on real Twisted (Debian's python3-twisted) and on mobius, and shrinks and prints every
# difference. SEED may be `today`. REPLAY is the program deferred_replay; without it the newest one that was built is
# taken. Exit status 1 on a difference.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
seed=$1
[ "$seed" != today ] || seed=$(date -u +%Y%m%d)

if [ $# -ge 3 ]; then
  replay=$3
else
  replay=$(ls -t "$here"/../../build*/tests/deferred/deferred_replay "$here"/../../build/*/tests/deferred/deferred_replay 2>/dev/null | head -n 1)
fi
if [ ! -x "$replay" ]; then
  echo "differential.sh: no deferred_replay was built; build that target, or name it as the third argument" >&2
  exit 2
fi
if ! /usr/bin/python3 -c 'import twisted' 2>/dev/null; then
  echo "SKIPPED: real Twisted is not installed (Debian: apt-get install python3-twisted)"
  exit 0
fi
exec /usr/bin/python3 -B "$here/differential.py" "$seed" "$2" "$replay"
