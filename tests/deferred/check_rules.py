#!/usr/bin/python3
"""Checks rules.md: every rule and every difference has a row, and what the row names exists.

usage: check_rules.py    -> one line for each fault, then a summary; exit status 1 if there is a fault
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
WANTED = ["R%d" % n for n in list(range(1, 178)) + list(range(196, 204))] + ["D%d" % n for n in range(1, 16)]
MAY_NOT_APPLY = {"R%d" % n for n in (6, 7, 8, 13, 62, 89, 95, 129, 136, 137)}


def test_names():
    names = set()
    for source in HERE.glob("*.cpp"):
        text = re.sub(r'"\s*\n\s*"', "", source.read_text())  # a long name is split over lines
        names.update(re.findall(r'TEST_CASE\(\s*"([^"]+)"', text))
    return names


def numbers(pattern, *files):
    return {n for f in files for n in re.findall(pattern, (HERE / f).read_text(), re.M)}


def faults_of(row, checks, there):
    if not checks:
        return ["%s has no test" % row]
    if checks.startswith("not applicable: "):
        return [] if row in MAY_NOT_APPLY else ["%s may not be called not applicable" % row]
    faults = []
    for check in checks.split("; "):
        named = re.fullmatch(r'(golden|mistake) (\d+)|()"(.+)"', check)
        if not named:
            faults.append("%s: neither a test nor a program: %s" % (row, check))
        elif (named.group(2) or named.group(4)) not in there[named.group(1) or "test"]:
            faults.append("%s names what is not there: %s" % (row, check))
    return faults


def main():
    there = {"test": test_names(), "mistake": numbers(r"^#elif MISTAKE == (\d+) ", "mistakes.cpp"),
             "golden": numbers(r"^#name (\d\d) ", "golden.txt", "differences.txt", "found.txt")}
    rows, faults = {}, []
    for line in (HERE / "rules.md").read_text().splitlines():
        row = re.fullmatch(r"\| ([RD]\d+) \|(?:.* \|)? (.*?) ?\|", line)
        if not row:
            continue
        if row.group(1) in rows:
            faults.append("%s has two rows" % row.group(1))
        rows[row.group(1)] = row.group(2).strip()
    for wanted in WANTED:
        faults += faults_of(wanted, rows[wanted], there) if wanted in rows else ["%s has no row" % wanted]
    faults += ["%s is not a rule of this table" % row for row in rows if row not in WANTED]
    print("\n".join(faults + ["%d rules and differences, %d faults" % (len(WANTED), len(faults))]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
