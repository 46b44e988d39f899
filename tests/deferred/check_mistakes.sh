#!/bin/sh
# usage: check_mistakes.sh <mistakes.cpp> <compiler> [flag...]
# Compiles the file once for each mistake in it; each must be refused with the text it names.
set -u
source=$1
shift

if ! "$@" -fsyntax-only "$source"; then
  echo "the file does not compile without a mistake"
  exit 1
fi

bad=0
count=0
for n in $(sed -n 's/^#elif MISTAKE == \([0-9]*\) .*/\1/p' "$source"); do
  wanted=$(sed -n "s/^#elif MISTAKE == $n  *\/\/ says: //p" "$source")
  count=$((count + 1))
  if output=$("$@" -fsyntax-only "-DMISTAKE=$n" "$source" 2>&1); then
    echo "mistake $n compiles"
    bad=1
  elif ! printf '%s\n' "$output" | grep -qF -- "$wanted"; then
    echo "mistake $n is refused without saying \"$wanted\":"
    printf '%s\n' "$output" | grep 'error' | head -5
    bad=1
  fi
  errors=$(printf '%s\n' "$output" | grep -c 'error:')
  if [ "$errors" -gt 2 ]; then
    echo "mistake $n gives $errors errors where one says it all"
    bad=1
  fi
done
echo "$count mistakes tried"
[ "$count" -gt 0 ] && [ "$bad" -eq 0 ]
