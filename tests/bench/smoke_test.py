#!/usr/bin/env python3
"""One short real run of the harness: its structure, not its numbers, for the machine may be busy."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree


class Smoke(unittest.TestCase):
    def test_a_run_of_one_round_writes_results_table_and_chart(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "harness", "--build", os.environ["BENCH_BUILD"], "quick", "echo",
                       "mobius receive", "--row", "64 B", "--placements", "same", "--rounds", "1", "--budget", "1",
                       "--no-counts", "--results", folder]
            ran = subprocess.run(command, capture_output=True, text=True)
            if "the bench needs Linux 6.1" in ran.stderr:
                print("SKIPPED: the floor needs a ring of Linux 6.1")
                return
            self.assertEqual(ran.returncode, 0, ran.stderr)
            files = {path.suffix: path for path in pathlib.Path(folder).iterdir()}
            self.assertEqual(set(files), {".json", ".md", ".svg"})
            result = json.loads(files[".json"].read_text())
            entries = {entry["program"]: entry for entry in result["families"]["echo"]["summary"]}
            self.assertEqual(set(entries), {"floor multishot", "floor single", "mobius receive()"})
            for entry in entries.values():
                for name in ("cpu_ns_per_op", "ops_per_s", "p50_us", "enters_per_op", "load_cpu_ns_per_op"):
                    self.assertGreater(entry["metrics"][name]["median"], 0, name)
                self.assertIn("r", entry)
                self.assertIn("g", entry)
            self.assertEqual(sum(entry["divisor"] for entry in entries.values()), 1)
            self.assertIn("| **mobius receive()** |", files[".md"].read_text())
            xml.etree.ElementTree.parse(files[".svg"])
            self.assertIn(result["machine"]["kernel"].split()[1], os.uname().release)


unittest.main()
