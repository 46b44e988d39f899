#!/usr/bin/python3
"""Checks rules.md: every rule has a row, and what the row names exists.

usage: check_rules.py    -> one line for each fault, then a summary; exit status 1 if there is a fault
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
RULES = list(range(1, 178)) + list(range(196, 204))
MAY_NOT_APPLY = {6, 7, 8, 13, 62, 89, 95, 129, 136, 137}


def test_names():
    names = set()
    for source in HERE.glob("*.cpp"):
        text = re.sub(r'"\s*\n\s*"', "", source.read_text())  # a long name is split over lines
        names.update(re.findall(r'TEST_CASE\(\s*"([^"]+)"', text))
    return names


def golden_programs():
    return set(re.findall(r"^#name (\d\d) ", (HERE / "golden.txt").read_text(), re.M))


def faults_of(rule, checks, tests, programs):
    if not checks:
        return ["R%d has no test" % rule]
    if checks.startswith("not applicable: "):
        return [] if rule in MAY_NOT_APPLY else ["R%d may not be called not applicable" % rule]
    faults = []
    for check in checks.split("; "):
        golden = re.fullmatch(r"golden (\d\d)", check)
        named = re.fullmatch(r'"(.+)"', check)
        if golden and golden.group(1) not in programs:
            faults.append("R%d names program %s, which golden.txt does not have" % (rule, golden.group(1)))
        elif named and named.group(1) not in tests:
            faults.append("R%d names a test that is not there: %s" % (rule, named.group(1)))
        elif not golden and not named:
            faults.append("R%d: neither a test nor a golden program: %s" % (rule, check))
    return faults


def main():
    tests, programs, rows, faults = test_names(), golden_programs(), {}, []
    for line in (HERE / "rules.md").read_text().splitlines():
        row = re.fullmatch(r"\| R(\d+) \| (.*?) ?\|", line)
        if not row:
            continue
        rule = int(row.group(1))
        if rule in rows:
            faults.append("R%d has two rows" % rule)
        rows[rule] = row.group(2).strip()
    for rule in RULES:
        if rule in rows:
            faults += faults_of(rule, rows[rule], tests, programs)
        else:
            faults.append("R%d has no row" % rule)
    faults += ["R%d is not a rule of this table" % rule for rule in rows if rule not in RULES]
    print("\n".join(faults + ["%d rules, %d faults" % (len(RULES), len(faults))]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
