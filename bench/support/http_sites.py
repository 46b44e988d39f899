"""Starting the HTTP servers of the bench, and asking them for their pages: what the families http and client
and the smoke test share."""
import contextlib
import http.client
import pathlib
import socket
import sys

from harness import process
from harness.contract import BenchError

PAGES = 20


def path(number):
    return f"/page/{number:02}"


def body(number):
    return f"Hello, page {number:02}".encode()


def python():
    """Debian's packages serve Debian's own interpreter."""
    return "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check(port, what):
    """Asks for every page once; a wrong answer is an error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        for number in range(PAGES):
            connection.request("GET", path(number))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or text != body(number):
                raise BenchError(f"{what}: {path(number)} gave {answer.status} and {text[:80]!r}")
    except OSError as error:
        raise BenchError(f"{what}: {error}") from error
    finally:
        connection.close()


def nginx_configuration(context, port):
    """Writes the configuration of one nginx and gives its path."""
    folder = pathlib.Path(context.scratch) / f"nginx-{port}"
    folder.mkdir()
    template = (context.source / "http" / "nginx.conf.in").read_text()
    locations = "\n".join(f'    location = {path(n)} {{ return 200 "{body(n).decode()}"; }}' for n in range(PAGES))
    text = template.replace("@scratch@", str(folder)).replace("@port@", str(port))
    configuration = folder / "nginx.conf"
    configuration.write_text(text.replace("@locations@", locations))
    return configuration


@contextlib.contextmanager
def serving(context, cores, command, what, environment=None):
    """A server on `cores`, as (process, port). `command`: "nginx", a script of bench/http, or a program of
    the build tree with its options, as a list."""
    if command[0] == "nginx":
        port = free_port()
        words = ["/usr/sbin/nginx", "-c", str(nginx_configuration(context, port))]
        with process.running(cores, words, environment, stdout=process.PIPE) as server:
            process.wait_for_port(port, 5, what)
            yield server, port
        return
    if command[0].endswith(".py"):
        words = [python(), str(context.source / "http" / command[0])] + command[1:]
    elif command[0].endswith(".js"):
        words = ["node", str(context.source / "http" / command[0])] + command[1:]
    else:
        words = [context.built(f"http/{command[0]}")] + command[1:]
    with process.running(cores, words, environment, stdout=process.PIPE) as server:
        yield server, process.read_port(server, what)
