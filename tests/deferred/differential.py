#!/usr/bin/python3
"""Runs fresh random programs on real Twisted and on mobius, and shrinks and prints what differs.

usage: differential.py SEED COUNT REPLAY    REPLAY: the program deferred_replay
Prints how often each form came up, and closes with one line; exit status 1 on a difference or a form that never came up.
"""
import re
import subprocess
import sys
import tempfile

import dtl
import programs

BATCH = 2000


def replay(binary, batch):
    """The names of the programs that differ, their reports, and how many runs only reported sooner."""
    with tempfile.NamedTemporaryFile("w", suffix=".dtl") as f:
        for name, source, trace in batch:
            f.write("#name %s [unique]\n%s\n=> %s\n\n" % (name, source, " | ".join(trace)))
        f.flush()
        done = subprocess.run([binary, f.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    closing = re.search(r"^#ran (\d+) different (\d+) sooner (\d+)$", done.stdout, re.M)
    if not closing:
        sys.exit("differential: %s ended with status %d before its closing line:\n%s" % (
            binary, done.returncode, (done.stdout + done.stderr)[-2000:]))
    parts = re.split(r"^#differs (\S+)\n", done.stdout[:closing.start()], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2])), int(closing.group(3))


def text_of(form):
    return form if isinstance(form, str) else "(%s)" % " ".join(text_of(x) for x in form)


def smaller(forms, first=0):
    """Every program that has one statement less, as text."""
    everything = forms

    def walk(statements, begin):
        for i in range(begin, len(statements)):
            taken = statements.pop(i)
            yield " ".join(text_of(f) for f in everything)
            statements.insert(i, taken)
            for inner, at in programs.statements(taken):
                yield from walk(inner, at)
    yield from walk(forms, first)


def runnable(source):
    try:
        vm = dtl.run_vm(source)
    except Exception:                                                   # names that are no longer made
        return None
    return None if vm.shared or vm.quirk or dtl.tag(source) == "shared" else vm.t


def shrink(binary, source):
    while True:
        candidates = []
        for n, text in enumerate(smaller(dtl.read(source))):
            trace = runnable(text)
            if trace is not None:
                candidates.append(("smaller-%d" % n, text, trace))
        different = replay(binary, candidates)[0] if candidates else {}
        found = [c for c in candidates if c[0] in different]
        if not found:
            return source
        source = found[0][1]


def report(binary, name, source):
    least = shrink(binary, source)
    different = replay(binary, [(name, least, runnable(least) or dtl.run(source)[0])])[0]
    print("DIFFERENT: %s, shrunk:\n%s\n%s" % (name, least, different.get(name, "")))


def main(seed, count, binary):
    counts, batch, differences, sooner, left = {}, [], 0, 0, count

    def compare():
        nonlocal differences, sooner
        different, early = replay(binary, batch)
        sooner += early
        differences += len(different)
        for name, source, _ in batch:
            if name in different and differences <= 20:
                report(binary, name, source)
        batch.clear()

    for program in programs.fresh(seed, count, dtl):
        programs.count_forms(dtl.read(program[1]), counts)
        batch.append(program)
        left -= 1
        if len(batch) == BATCH or left == 0:
            compare()
    wanted = [f for f in programs.FORMS if f != "race" or dtl.race is not None]     # older Twisted has no race
    print("forms: " + ", ".join("%s %d" % (f, counts.get(f, 0)) for f in wanted))
    missing = [f for f in wanted if not counts.get(f)]
    if missing and count >= 500:
        print("forms that never came up: " + ", ".join(missing))
    print("differential: seed %d, %d programs, each with callbacks, coroutines and awaits, %d differences"
          " (%d runs reported a failure sooner, D3)" % (seed, count, differences, sooner))
    return 1 if differences or (missing and count >= 500) else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
