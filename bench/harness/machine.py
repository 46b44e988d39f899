"""On what a run was made: machine, kernel, compiler, flags, versions."""
import datetime
import os
import pathlib
import platform
import re
import subprocess


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cached(cache, name):
    match = re.search(rf"^{name}:[A-Z]+=(.*)$", cache, re.M)
    return match[1] if match else ""


def _cpu_model():
    match = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else platform.machine()


def _versions(packages):
    lines = _output("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages).splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def describe(source, build, packages):
    """A dict of texts and numbers that heads every result."""
    tree = build.parent
    cache = (tree / "CMakeCache.txt").read_text()
    compiler = _cached(cache, "CMAKE_CXX_COMPILER")
    build_type = _cached(cache, "CMAKE_BUILD_TYPE")
    flags = [_cached(cache, "CMAKE_CXX_FLAGS"), _cached(cache, f"CMAKE_CXX_FLAGS_{build_type.upper()}")]
    commit = _output("git", "-c", "safe.directory=*", "-C", str(source), "describe", "--always", "--dirty")
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": _output(compiler, "--version").splitlines()[0] if compiler else "unknown",
        "flags": f"{build_type}: " + " ".join(flag for flag in flags if flag),
        "versions": _versions(packages),
        "load_average": os.getloadavg()[0],
    }


def cpu_ticks():
    """All ticks of the machine and those that the host took away, since it started."""
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    return sum(ticks), ticks[7]
