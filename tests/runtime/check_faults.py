#!/usr/bin/python3
"""Checks faults.md against the tests: a row's tests have its number as a tag, [fault-<row>].

usage: check_faults.py    -> one line for each fault, then a summary; exit status 1 if there is a fault
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
ROWS = range(1, 56)


def tagged_files():
    """The files, relative to tests/, that have a test case tagged with a row's number."""
    files = {row: set() for row in ROWS}
    for source in sorted(TESTS.rglob("*.cpp")):
        for case in re.findall(r"TEST_CASE\((.*?)\) \{", source.read_text(), re.S):
            for row in re.findall(r"\[fault-(\d+)\]", case):
                files.setdefault(int(row), set()).add(source.relative_to(TESTS).as_posix())
    return files


def main():
    tagged, rows, faults = tagged_files(), {}, []
    for line in (TESTS / "runtime" / "faults.md").read_text().splitlines():
        row = re.fullmatch(r"\| (\d+) \| [^|]+ \| ([^|]+) \| [^|]+ \|", line)
        if row:
            rows[int(row.group(1))] = row.group(2)
    for row in ROWS:
        if row not in rows:
            faults.append("row %d is not in the table" % row)
    for row, where in rows.items():
        named = set() if where in ("later", "none") else set(where.split(", "))
        for file in sorted(named - tagged.get(row, set())):
            faults.append("row %d names %s, which has no test tagged [fault-%d]" % (row, file, row))
        for file in sorted(tagged.get(row, set()) - named):
            faults.append("row %d does not name %s, which has a test tagged with it" % (row, file))
    for row in tagged:
        if row not in ROWS:
            faults.append("[fault-%d] is no row" % row)
    for fault in faults:
        print(fault)
    print("%d rows, %d with tests, %d faults" % (len(rows), sum(map(bool, tagged.values())), len(faults)))
    return 1 if faults else 0


sys.exit(main())
