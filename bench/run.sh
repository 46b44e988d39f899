#!/usr/bin/env bash
# Measures mobius beside its floor and its peers: bench/run.sh [quick|full] [name...] [options]
# quick (the default) takes at most 4 minutes, full at most 45. A name is a family (echo, http, ...) or a
# part of a program's name; --help lists the options, README.md says what the numbers mean.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../cmake/setup.sh"
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1

need_packages "${build_packages[@]}" python3 git
harness=(python3 -m harness --build "$mobius_top/build/bench/bench")
case " $* " in *" --help "* | *" -h "* | *" --list "*) exec "${harness[@]}" "$@" ;; esac

listed=$("${harness[@]}" "$@" --list packages) || exit 2
mapfile -t packages <<<"$listed"
need_packages "${packages[@]}"
check_tools
check_kernel
use_ccache
configure bench >&2
listed=$("${harness[@]}" "$@" --list targets) || exit 2
mapfile -t targets <<<"$listed"
build bench "${targets[@]}" >&2

exec "${harness[@]}" "$@"
