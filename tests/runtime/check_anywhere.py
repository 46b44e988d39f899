#!/usr/bin/python3
"""Checks that everything of runtime/ that can be awaited is tested in every order and with a cancel at every
moment: what the headers declare must be in the table below, with a case "anywhere: ..." of the tests.

usage: check_anywhere.py    -> one line for each fault, then a summary; exit status 1 if there is a fault
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
RUNTIME = TESTS.parent.parent / "runtime"

# The class behind a public operation -> the cases of its name.
OPERATIONS = {
    "as_result_operation": ["as_result"],
    "bind_local_operation": ["task_local and named"],
    "read_local_operation": ["task_local and named"],
    "checkpoint_operation": ["checkpoint, yield, sleep"],
    "sleep_operation": ["checkpoint, yield, sleep"],
    "yield_operation": ["checkpoint, yield, sleep"],
    "join_awaiter": ["scope.start and scope.join"],
    "ready_operation": ["scope.start_ready"],
    "with_scope_operation": ["with_scope"],
    "next_operation": ["generator.next and generator.close"],
    "offload_operation": ["offload"],
    "pack_operation": ["when_all", "when_any", "race"],
    "range_operation": ["when_all of a range", "when_any of a range", "race of a range"],
    "poll_operation": ["poll"],
    "shield_operation": ["shield"],
    "stop_token_operation": ["with_stop_token"],
    "stoppable_operation": ["stoppable"],
    "timeout_operation": ["timeout", "deadline"],
    "barrier_case": ["barrier"],
    "broadcast_send_case": ["broadcast"],
    "broadcast_receive_case": ["broadcast"],
    "send_case": ["channel, rendezvous", "channel, bounded", "channel, unbounded"],
    "receive_case": ["channel, rendezvous", "channel, bounded", "channel, unbounded"],
    "condition_operation": ["condition"],
    "event_case": ["event, manual and automatic"],
    "exclusive_case": ["shared_mutex"],
    "shared_case": ["shared_mutex"],
    "latch_case": ["latch"],
    "mutex_case": ["mutex"],
    "select_operation": ["select"],
    "semaphore_case": ["semaphore"],
}
# Public functions that return a task.
TASKS = {"close": ["generator.next and generator.close"], "finally": ["finally"]}
# Parts of the above that nobody awaits by themselves.
PARTS = {"wait_operation", "outcome_operation", "settle", "clean_up", "close_generator", "get_return_object"}


def declared():
    """Name -> header, of each class that is awaited and each function that returns a task."""
    found = {}
    for header in sorted(RUNTIME.glob("*.hpp")) + sorted((RUNTIME / "sync").glob("*.hpp")):
        text = re.sub(r"//[^\n]*", "", header.read_text())
        classes = re.findall(r"\bclass (?:\[\[[^]]*\]\]\s*)?(\w+_(?:operation|case)|join_awaiter)\s*(?:final\s*)?[:{]", text)
        tasks = re.findall(r"^(?:inline )?task<[^;{=]*?>\s+(?:\w+(?:<\w+>)?::)?(\w+)\(", text, re.M)
        tasks += re.findall(r"\b(\w+)\([^;{]*\) -> task<", text)
        found.update({name: header.name for name in classes + tasks if name not in PARTS})
    return found


def main():
    table, found, faults = OPERATIONS | TASKS, declared(), []
    cases = set()
    for source in TESTS.glob("*_anywhere_test.cpp"):
        cases.update(re.findall(r'TEST_CASE\("anywhere: ([^"]+)"\)', source.read_text()))
    for name, header in found.items():
        if name not in table:
            faults.append("%s of %s can be awaited and is in no line of check_anywhere.py" % (name, header))
    for name, wanted in table.items():
        if name not in found:
            faults.append("%s is in the table, but no header of runtime/ declares it" % name)
        faults += ['%s: there is no case "anywhere: %s"' % (name, case) for case in wanted if case not in cases]
    for fault in faults:
        print(fault)
    print("%d operations, %d cases, %d faults" % (len(found), len(cases), len(faults)))
    return 1 if faults else 0


sys.exit(main())
