"""Random programs of the test language in all its forms (dtl.py has the language).

They always terminate, and are nearly always in the single-owner subset: a deferred that was handed over
(returned from a stage, awaited, put in a list) is only fired any more. What nevertheless is not, and what runs
into a difference that mobius makes on purpose, is left out when it is run.
"""
import gc
import random

# Every form, and where the statements in it begin; None: it has none.
FORMS = {
    "new": None, "fired": None, "failed": None, "then": 3, "catch": 3, "both": 3, "pair": None, "chain": None,
    "cb": None, "eb": None, "cancel": None, "pause": None, "resume": None, "timeout": 4, "list": None,
    "gather": None, "race": None, "maybe": 3, "coro": 3, "deep": None, "later": 3, "stop": None, "reset": None,
    "delay": None, "advance": None, "loop": 6, "loop-stop": None, "loop-reset": None, "lock": None, "sem": None,
    "acquire": None, "release": None, "run": 4, "queue": None, "put": None, "get": None, "show": None,
    "drop": None, "log": None, "trap": None, "ret": None, "add": None, "raise": None, "fail": None, "wait": None,
    "sleep": None, "await": None, "call": 2, "nap": None, "try": None, "finally": None, "awaitloop": None,
}


def statements(form):
    """The lists of statements in a form, as (list, index of the first)."""
    head = form[0]
    if FORMS[head] is not None:
        return [(form, FORMS[head])]
    if head == "new":
        return [(form[2], 1)] if len(form) > 2 else []
    if head == "pair":
        return [(form[2], 1), (form[3], 1)]
    if head == "try":
        return [(form[1], 0), (form[3], 0)]
    if head == "finally":
        return [(form[1], 0), (form[2], 0)]
    return []


def count_forms(forms, counts, first=0):
    for form in forms[first:]:
        counts[form[0]] = counts.get(form[0], 0) + 1
        for inner, begin in statements(form):
            count_forms(inner, counts, begin)


class Generator:
    def __init__(self, rng, with_race):
        self.rng, self.with_race = rng, with_race
        self.names, self.gone, self.open, self.limited = [], set(), [], set()
        self.timers, self.loops, self.holders, self.queues = [], [], [], []
        self.labels = iter(range(10**6))

    def label(self, prefix="s"):
        return "%s%d" % (prefix, next(self.labels))

    def fresh(self):
        self.names.append("d%d" % len(self.names))
        return self.names[-1]

    def free(self, after=None):
        return [n for n in self.names if n not in self.gone and (after is None or int(n[1:]) > int(after[1:]))]

    def hand(self, candidates):
        n = self.rng.choice(candidates)
        self.gone.add(n)
        return n

    def number(self):
        return self.rng.choice(["nil", "x", "ok"]) if self.rng.random() < .1 else str(self.rng.randrange(9))

    def error(self):
        return "E%d" % self.rng.randrange(4)

    # ------------------------------------------------------------ bodies
    def outcome(self, depth, waitable):
        r = self.rng.randrange(12)
        if r < 2: return "(ret %s)" % self.number()
        if r < 4: return "(add %d)" % self.rng.randrange(1, 9)
        if r == 4: return "(raise %s)" % self.error()
        if r == 5: return "(fail %s)" % self.error()
        if r < 8 and waitable: return "(wait %s)" % self.hand(waitable)
        if r == 8 and depth == 0: return "(sleep %d)" % self.rng.randrange(1, 4)
        return ""

    def body(self, depth, waitable=(), on_failure=False):
        parts = []
        if on_failure and self.rng.random() < .3:
            caught = self.rng.sample(["E0", "E1", "E2", "E3", "Cancelled", "Timeout"], self.rng.randrange(1, 4))
            parts.append("(trap %s)" % " ".join(caught))
        if depth < 2 and self.rng.random() < .35:
            parts.append(self.statement(depth + 1))
        parts.append(self.outcome(depth, [n for n in waitable if n not in self.gone]))
        return " ".join(p for p in parts if p)

    def coroutine_body(self, depth, size):
        parts, rng = [], self.rng
        for _ in range(rng.randrange(1, size)):
            r = rng.randrange(14)
            free = self.free()
            if r < 4 and free:
                parts.append("(await %s)" % self.hand(free))
            elif r == 4:
                parts.append("(nap %d)" % rng.randrange(1, 4))
            elif r == 5 and depth < 2:
                parts.append("(call %s %s)" % (self.label("c"), self.coroutine_body(depth + 1, 3)))
            elif r < 8 and depth < 2:
                caught = rng.choice(["E0", "E1", "Cancelled", "Cancelled", "Timeout"])
                parts.append("(try (%s) %s (%s))" % (
                    self.coroutine_body(depth + 1, 4), caught, self.coroutine_body(depth + 1, 3)))
            elif r == 8 and depth < 2:
                parts.append("(finally (%s) (%s))" % (
                    self.coroutine_body(depth + 1, 4), self.coroutine_body(depth + 1, 3)))
            elif r == 9:
                parts.append("(awaitloop %d)" % rng.randrange(1, 5))
            elif r == 10:
                parts.append("(raise %s)" % self.error())
                break
            elif r == 11:
                parts.append("(ret %s)" % self.number())
                break
            else:
                parts.append(self.statement(1))
        return " ".join(parts)

    # ------------------------------------------------------------ statements
    def make(self):
        """A form that makes a name."""
        rng, free = self.rng, self.free()
        kind = rng.choice(["new", "new", "new", "new-stop", "new-stop", "fired", "failed", "coro", "coro", "coro", "list",
                           "gather", "race", "maybe", "deep", "acquire", "run", "get", "loop"])
        if kind == "coro":
            body = self.coroutine_body(0, 7)
            return "(coro %s %s %s)" % (self.fresh(), self.label("c"), body)
        if kind in ("list", "gather", "race") and (kind != "race" or self.with_race) and free:
            some = rng.sample(free, rng.randrange(1, min(len(free), 3) + 1))
            self.gone.update(some)
            if kind == "race": return "(race %s %s)" % (self.fresh(), " ".join(some))
            flags = rng.choice(["k", "ck", "ek", "cek"]) if kind == "list" else "k"
            return "(%s %s %s %s)" % (kind, self.fresh(), flags, " ".join(some))
        if kind == "maybe":
            body = self.body(0, free)
            return "(maybe %s %s %s)" % (self.fresh(), self.label("m"), body)
        if kind == "deep" and free:
            last = self.hand(free)
            return "(deep %s %s %d)" % (self.fresh(), last, rng.randrange(1, 40))
        if kind in ("acquire", "run"):
            return self.hold(kind, free)
        if kind == "get":
            return self.get_from_queue()
        if kind == "loop":
            key, begin, seconds = "l%d" % len(self.loops), rng.choice(["now", "later"]), rng.randrange(1, 4)
            self.loops.append(key)
            body = self.body(0)
            return "(loop %s %s %d %s %s %s)" % (self.fresh(), key, seconds, begin, self.label("L"), body)
        n = self.fresh()
        if kind == "fired": return "(fired %s %s)" % (n, self.number())
        if kind == "failed": return "(failed %s %s)" % (n, self.error())
        self.open.append(n)
        if kind != "new-stop": return "(new %s)" % n
        acts = ["", "(cb %s 7)" % n, "(eb %s %s)" % (n, self.error()), "(log stopped)", "(raise %s)" % self.error()]
        return "(new %s (%s %s))" % (n, self.label("k"), rng.choice(acts))

    def hold(self, kind, free):
        made = ""
        if not self.holders or self.rng.random() < .3:
            key = "h%d" % len(self.holders)
            self.holders.append(key)
            made = self.rng.choice(["(lock %s) " % key, "(sem %s %d) " % (key, self.rng.randrange(1, 3))])
        key = self.rng.choice(self.holders)
        if kind == "acquire": return made + "(acquire %s %s)" % (self.fresh(), key)
        body = self.body(0, free)
        return made + "(run %s %s %s %s)" % (self.fresh(), key, self.label("r"), body)

    def get_from_queue(self):
        made = ""
        if not self.queues or self.rng.random() < .3:
            key = "q%d" % len(self.queues)
            self.queues.append(key)
            limits = [self.rng.choice(["nil", "nil", "0", "1", "2"]) for _ in range(2)]
            made = "(queue %s %s) " % (key, " ".join(limits))
        n = self.fresh()
        return made + "(get %s %s)" % (n, self.rng.choice(self.queues))

    def add_stage(self, n, depth):
        later = self.free(n) if depth == 0 else []
        head = self.rng.choice(["then", "then", "then", "catch", "catch", "both", "pair"])
        if head == "pair":
            a, b = self.body(depth, later), self.body(depth, later, True)
            return "(pair %s (%s %s) (%s %s))" % (n, self.label(), a, self.label(), b)
        return "(%s %s %s %s)" % (head, n, self.label(), self.body(depth, later, head == "catch"))

    def on_objects(self):
        """A form for a lock, queue, timer or loop, if there are any."""
        rng, choices = self.rng, []
        if self.holders: choices += ["(release %s)" % rng.choice(self.holders)] * 2
        if self.queues: choices += ["(put %s %s)" % (rng.choice(self.queues), self.number())] * 2
        if self.loops: choices += ["(loop-stop %s)" % rng.choice(self.loops), "(loop-reset %s)" % rng.choice(self.loops)]
        if self.timers:
            t = rng.choice(self.timers)
            choices += ["(stop %s)" % t, "(reset %s %d)" % (t, rng.randrange(4)), "(delay %s %d)" % (t, rng.randrange(1, 3))]
        return rng.choice(choices) if choices else ""

    def later(self, depth):
        label, body = self.label("T"), self.body(max(depth, 1))
        self.timers.append(label)
        return "(later %d %s %s)" % (self.rng.randrange(5), label, body)

    def limit(self, n):
        self.limited.add(n)
        seconds = self.rng.randrange(5)
        if self.rng.random() < .5: return "(timeout %s %d)" % (n, seconds)
        return "(timeout %s %d %s %s)" % (n, seconds, self.label("x"), self.body(1))

    def drop(self, free):
        # One with a time limit is kept by the clock in Twisted, and by nothing here.
        can_go = [n for n in free if n not in self.limited]
        if not can_go: return ""
        n = self.rng.choice(can_go)
        self.gone.add(n)
        if n in self.open: self.open.remove(n)
        return "(drop %s)" % n

    def chain(self, free):
        targets = [n for n in self.open if n not in self.gone]
        sources = [n for n in free if n not in targets[:1]]
        if not targets or not sources: return ""
        return "(chain %s %s)" % (self.rng.choice(sources), targets[0])

    def fire(self):
        if not self.open: return "(log x)"
        n = self.rng.choice(self.open)
        if self.rng.random() < .9: self.open.remove(n)                  # else: fire it again later
        return "(eb %s %s)" % (n, self.error()) if self.rng.random() < .45 else "(cb %s %s)" % (n, self.number())

    def statement(self, depth=0):
        rng, free = self.rng, self.free()
        c = rng.randrange(40)
        text = ""
        if depth == 0 and (c < 11 or not self.names) and len(self.names) < 10: text = self.make()
        elif c < 19 and free: text = self.add_stage(rng.choice(free), depth)
        elif c < 21 and free: text = "(cancel %s)" % rng.choice(free)
        elif c < 23 and free and depth == 0: text = self.limit(rng.choice(free))
        elif c < 26 and depth == 0: text = "(advance %d)" % rng.randrange(1, 4)
        elif c == 26 and free and depth == 0:
            n = rng.choice(free)
            inner = self.statement(1)
            if n not in self.gone: text = "(pause %s) %s (resume %s)" % (n, inner, n)
            else: text = inner
        elif c == 27 and free: text = "(show %s)" % rng.choice(free)
        elif c == 28 and depth == 0: text = self.drop(free)
        elif c == 29 and depth == 0: text = self.chain(free)
        elif c < 32: text = self.later(depth)
        elif c < 35: text = self.on_objects()
        return text or self.fire()

    def program(self, size):
        return " ".join(" ".join(self.statement() for _ in range(size)).split())


def fresh(seed, count, dtl):
    """COUNT programs that can be compared, each as (name, source, trace)."""
    made = number = 0
    while made < count:
        if number % 100 == 1:
            gc.freeze()                                                 # what is there by now stays: collections are many
        name = "fresh-%d-%d" % (seed, number)
        rng = random.Random(name)
        number += 1
        source = Generator(rng, dtl.race is not None).program(rng.randrange(6, 20))
        vm = dtl.run_vm(source)
        if vm.shared or vm.quirk or dtl.tag(source) == "shared":
            continue
        made += 1
        yield name, source, vm.t
