"""Starting programs on given cores, and ending them: what families share."""
import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
import time
from subprocess import DEVNULL, PIPE  # noqa: F401 (families say process.PIPE)

from .contract import BenchError


def start(cores, command, environment=None, **streams):
    """Starts `command` (a list) on `cores`, with a clean set of signals and its output as text."""
    streams.setdefault("stdin", DEVNULL)
    try:
        return subprocess.Popen(command, env=environment, text=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores), **streams)
    except OSError as error:
        raise BenchError(f"cannot start {shlex.join(command)}: {error}") from error


def end(process):
    """Ends one process of ours: asked first, then forced."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def running(cores, command, environment=None, **streams):
    """A process for the length of a `with`."""
    process = start(cores, command, environment, **streams)
    try:
        yield process
    finally:
        end(process)


def read_line(process, seconds, what):
    """A line of the process's output; nothing else may have read from it."""
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise BenchError(f"{what}: no output within {seconds:.0f} s")
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"{what}: ended without output, status {process.wait()}")
    return line


def read_port(process, what):
    """The port that a server says it listens on: its first line is "port N"."""
    words = read_line(process, 10, what).split()
    if len(words) != 2 or words[0] != "port":
        raise BenchError(f"{what}: printed {' '.join(words)!r} where 'port N' was due")
    return int(words[1])


def cpu_ns(pid):
    """CPU time of a process with all its threads, from the scheduler's account (ns)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
    return total


def page_faults(pid):
    """Minor page faults of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[7])


def wait_for_port(port, seconds, what):
    """Until something listens on 127.0.0.1:port, for servers that do not say so."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: nothing listens on port {port} after {seconds} s")
        time.sleep(0.02)
