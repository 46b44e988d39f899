# Shared by examples/run.sh, tests/run.sh and .ci/run, which source it: makes a Debian 12 machine
# fit to build mobius, says in plain words what is wrong where it cannot, and configures and
# builds without needless work on a second run.

# The scripts answer no question, so a closed or foreign stdin must not matter.
exec </dev/null
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
unset CLICOLOR_FORCE CDPATH
[ -t 1 ] || export GCC_COLORS= NO_COLOR=1 TERM=dumb

mobius_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

build_packages=(g++ cmake ninja-build ccache liburing-dev node-llhttp)
test_packages=(catch2 python3 python3-twisted curl patch pkg-config socat netcat-openbsd)
# Only where a machine is made for this: Debian's package starts a server if it may.
peer_packages=(nginx-light)
clang_packages=(clang-19 libclang-rt-19-dev)
lint_packages=(git python3 clang-format-14 clang-19 clang-tidy-19)

say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$@" >&2
  exit 1
}

# --- packages ---------------------------------------------------------------------------------

# Some come without a Debian package as well (a newer cmake from elsewhere, say).
have_package() {
  case $1 in
    ninja-build) command -v ninja >/dev/null && return ;;
    nginx-light) [ -x /usr/sbin/nginx ] && return ;;
    g++ | cmake | ccache | curl | git | python3 | pkg-config | clang-19 | clang-tidy-19 | clang-format-14)
      command -v "$1" >/dev/null && return ;;
  esac
  command -v dpkg-query >/dev/null &&
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 2 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# need_packages <package>...: installs what is missing, and touches nothing when nothing is.
need_packages() {
  local package missing=()
  for package in "$@"; do
    have_package "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  command -v apt-get >/dev/null ||
    die "missing: ${missing[*]} (Debian's names), and this machine has no apt-get to install them with." \
      "Install them by hand, then run this again."
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      die "missing packages: ${missing[*]}, and this user is not root and has no sudo." \
        "As root: apt-get install --no-install-recommends ${missing[*]}"
    as_root true 2>/dev/null ||
      die "missing packages: ${missing[*]}, and sudo refuses (or would ask for a password without a terminal)." \
        "As root: apt-get install --no-install-recommends ${missing[*]}"
  fi

  say "Installing: ${missing[*]}"
  # RUNLEVEL=1: what comes with a server shall not start it.
  local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  as_root "${apt[@]}" update ||
    say "warning: apt-get update failed (no network, or a broken source list); trying with the lists at hand"
  as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install ${missing[*]} (its own words are above)." \
      "This is $(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-an unknown system}"); mobius wants Debian 12 or newer," \
      "with its main archive enabled and reachable."
  for package in "${missing[@]}"; do
    have_package "$package" || die "apt-get reported success, but the package $package is still missing."
  done
}

# --- the machine ------------------------------------------------------------------------------

# at_least <version> <minimum>
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_tools() {
  local version
  version=$(cmake --version | sed -n 's/^cmake version \([0-9.]*\).*/\1/p')
  at_least "${version:-0}" 3.25 ||
    die "cmake is ${version:-broken}, mobius needs 3.25 or newer (Debian 12 has 3.25.1): $(command -v cmake)"
  version=$(g++ -dumpfullversion -dumpversion 2>/dev/null)
  at_least "${version:-0}" 12 ||
    die "g++ is ${version:-broken}, mobius needs 12 or newer for C++20 coroutines (Debian 12 has 12.2): $(command -v g++)"
}

# Only before a first configure: the compiler does not change under an existing build.
check_coroutines() {
  printf '#include <coroutine>\nstd::suspend_never s;\n' | g++ -std=c++20 -fsyntax-only -x c++ - 2>/dev/null ||
    die "g++ $(g++ -dumpfullversion) does not compile '#include <coroutine>' with -std=c++20." \
      "Is its standard library complete (Debian: apt-get install --reinstall g++ libstdc++-12-dev)?"
}

# The number of the error that io_uring_setup gives here, 0 when a ring can be made. Perl is part
# of every Debian; where it is missing the programs themselves report a refused ring.
io_uring_error() {
  command -v perl >/dev/null || { echo 0; return; }
  perl -e '$p = "\0" x 120; $fd = syscall(425, 4, $p); print $fd < 0 ? $! + 0 : 0;'
}

check_kernel() {
  local kernel error disabled filtered=
  kernel=$(uname -r)
  [ "$(uname -s)" = Linux ] || die "mobius runs on Linux only; this is $(uname -s)."
  at_least "${kernel%%[!0-9.]*}" 5.15 ||
    die "this kernel is $kernel; mobius needs Linux 5.15 or newer (Debian 12 has 6.1) for io_uring as it uses it."
  error=$(io_uring_error)
  [ "$error" != 0 ] || return 0

  disabled=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)
  grep -qs '^Seccomp:[[:space:]]*2' /proc/self/status && filtered=yes
  case $error in
    1 | 13)
      case $disabled in
        2) die "the kernel refuses io_uring: the sysctl kernel.io_uring_disabled is 2." \
          "As root: sysctl kernel.io_uring_disabled=0" ;;
        1) [ "$(id -u)" = 0 ] || die "the kernel refuses io_uring to this user: the sysctl kernel.io_uring_disabled is 1." \
          "As root: sysctl kernel.io_uring_disabled=0, or put this user into the group of kernel.io_uring_group." ;;
      esac
      die "io_uring_setup is refused (error $error) by ${filtered:+a seccomp filter, probably of }the container or a security module." \
        "Docker and podman: allow the io_uring_* calls, for example with --security-opt seccomp=unconfined." ;;
    38)
      [ -z "$filtered" ] || die "a seccomp filter hides io_uring (ENOSYS), probably the container's." \
        "Docker and podman: allow the io_uring_* calls, for example with --security-opt seccomp=unconfined."
      die "this kernel ($kernel) was built without io_uring (CONFIG_IO_URING)." ;;
    12) die "the kernel has no memory for a ring (ENOMEM): raise the limit of locked memory (ulimit -l)." ;;
    *) die "io_uring_setup fails with error number $error; mobius cannot run here." ;;
  esac
}

# --- configure and build ----------------------------------------------------------------------

# Shared by all clones of a user, so that a fresh clone compiles mostly from the cache.
use_ccache() {
  [ -n "${HOME:-}" ] || export HOME=/var/tmp/mobius-home-$(id -u)
  : "${CCACHE_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/ccache}"
  : "${CCACHE_BASEDIR:=$mobius_top}" "${CCACHE_NOHASHDIR:=1}"
  export CCACHE_DIR CCACHE_BASEDIR CCACHE_NOHASHDIR
  mkdir -p "$CCACHE_DIR" 2>/dev/null || export CCACHE_DISABLE=1
}

cached() { sed -n "s/^$2:[A-Z]*=//p" "$1/CMakeCache.txt" 2>/dev/null; }

# configure <preset> [<NAME>=<value>]...: runs cmake only when the build directory is new, was
# copied from elsewhere, or has other values; ninja itself sees changed CMake files.
configure() {
  local preset=$1 tree=$mobius_top/build/$1 setting arguments=() needed=
  shift
  for setting in "$@"; do
    arguments+=("-D$setting")
    [ "$(cached "$tree" "${setting%%=*}")" = "${setting#*=}" ] || needed=yes
  done
  [ -f "$tree/build.ninja" ] || { check_coroutines; needed=yes; }
  [ ! "$mobius_top/CMakePresets.json" -nt "$tree/.configured" ] || needed=yes
  if [ -f "$tree/CMakeCache.txt" ] && [ "$(cached "$tree" CMAKE_HOME_DIRECTORY)" != "$mobius_top" ]; then
    arguments+=(--fresh)
    needed=yes
  fi
  [ -n "$needed" ] || return 0
  (cd "$mobius_top" && cmake --preset "$preset" "${arguments[@]}") ||
    die "cmake could not configure the preset '$preset' in $tree (its own words are above)."
  touch "$tree/.configured"
}

# What builds and tests are started through; the TSan row sets it.
launcher=()

# build <preset> [<target>...]
build() {
  local tree=$mobius_top/build/$1
  shift
  "${launcher[@]}" cmake --build "$tree" --parallel "${MOBIUS_JOBS:-$(nproc)}" ${1:+--target "$@"} ||
    die "the build in $tree failed (the compiler's own words are above)."
}

# --- tests ------------------------------------------------------------------------------------

# run_ctest <preset> [<ctest option>...]: prints every failure in full, then the skipped tests
# with the reason that they gave ("SKIPPED: <reason>" in their output).
run_ctest() {
  local tree=$mobius_top/build/$1 status=0
  shift
  "${launcher[@]}" ctest --test-dir "$tree" --output-on-failure --no-tests=error -j "${MOBIUS_JOBS:-2}" "$@" ||
    status=$?
  local log=$tree/Testing/Temporary/LastTest.log skipped
  skipped=$(awk '/^[0-9]+\/[0-9]+ Testing: / { name = $0; sub(/^[^:]*: /, "", name) }
                 /SKIPPED: / && !/Regex=/ { reason = $0; sub(/.*SKIPPED: /, "", reason); print "  " name ": " reason }' "$log" 2>/dev/null)
  if [ -n "$skipped" ]; then
    printf 'Skipped tests:\n%s\n' "$skipped"
  else
    say "Skipped tests: none"
  fi
  return $status
}
