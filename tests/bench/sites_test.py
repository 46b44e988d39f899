#!/usr/bin/env python3
"""Each HTTP server of the bench answers every page that the load asks for. Nothing is timed."""
import os
import pathlib
import shutil
import tempfile
import unittest

from harness.contract import Context
from support import http_sites as sites

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "bench"
CORES = os.sched_getaffinity(0)
THERE = {
    "nginx": lambda: os.path.exists("/usr/sbin/nginx"),
    "node_site.js": lambda: shutil.which("node"),
    "twisted_site.py": lambda: os.path.exists("/usr/lib/python3/dist-packages/twisted"),
}


class Sites(unittest.TestCase):
    def serves_every_page(self, *command):
        if not THERE.get(command[0], lambda: True)():
            self.skipTest(f"{command[0]}: its program is not installed")
        with tempfile.TemporaryDirectory() as scratch:
            context = Context(SOURCE, pathlib.Path(os.environ["BENCH_BUILD"]), "quick", pathlib.Path(scratch), {})
            with sites.serving(context, CORES, list(command), command[0]) as (_, port):
                sites.check(port, command[0])

    def test_the_floor(self):
        self.serves_every_page("floor_site", "--size", "1")

    def test_mobius(self):
        self.serves_every_page("mobius_site", "--size", "1")

    def test_nginx(self):
        self.serves_every_page("nginx")

    def test_node(self):
        self.serves_every_page("node_site.js")

    def test_twisted(self):
        self.serves_every_page("twisted_site.py")


unittest.main()
