#!/usr/bin/python3
"""DTL: a tiny language of Deferred programs; this side runs them on real Twisted.

usage: dtl.py run FILE          -> prints every program of FILE with its trace
       dtl.py gen SEED COUNT    -> prints COUNT random programs (always terminate)
       dtl.py fresh SEED COUNT  -> prints COUNT random programs of the extended kind (programs.py), each with its trace
Needs Twisted (Debian: python3-twisted, run with /usr/bin/python3). golden.txt was made with Twisted 24.7+;
an older one leaves out the programs that use `race`.
A program is:  #name <words>  then s-expressions, up to the next '#name'.
"""
import gc, random, sys
from twisted.internet import defer
from twisted.internet.defer import (AlreadyCalledError, CancelledError, Deferred, DeferredList,
    DeferredLock, DeferredQueue, DeferredSemaphore, FirstError, QueueOverflow,
    QueueUnderflow, TimeoutError, gatherResults, maybeDeferred)
try:
    from twisted.internet.defer import FailureGroup, race
except ImportError:                                 # before Twisted 24.7: programs that race are left out
    FailureGroup = race = None
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import Clock, LoopingCall, deferLater
from twisted.python import log
from twisted.python.failure import Failure
from twisted.logger import globalLogBeginner

globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False, discardBuffer=True)   # keep no event, hence no failure, alive

gc.disable()                                        # collections happen where this file says, nowhere else
gc.freeze()                                         # keep gc.collect() cheap below


class E0(Exception): pass
class E1(E0): pass
class E2(E0): pass
class E3(E1): pass
EXC = {"E0": E0, "E1": E1, "E2": E2, "E3": E3, "Cancelled": CancelledError, "Timeout": TimeoutError}


# ---------------------------------------------------------------- reader
def read(text):
    toks = text.replace("(", " ( ").replace(")", " ) ").split()
    stack = [[]]
    for t in toks:
        if t == "(":
            stack.append([])
        elif t == ")":
            x = stack.pop(); stack[-1].append(x)
        else:
            stack[-1].append(t)
    assert len(stack) == 1, "unbalanced"
    return stack[0]


def val(t):
    if t == "nil":
        return None
    try:
        return int(t)
    except ValueError:
        return t


# ---------------------------------------------------------------- printer
def exc(e):
    if isinstance(e, FirstError):
        return "First(%d,%s)" % (e.index, exc(e.subFailure.value))
    if FailureGroup is not None and isinstance(e, FailureGroup):
        return "Group(%s)" % ",".join(exc(f.value) for f in e.failures)
    return {"CancelledError": "Cancelled", "TimeoutError": "Timeout"}.get(type(e).__name__, type(e).__name__)


TOUCHES = {"then", "catch", "both", "pair", "chain", "cancel", "pause", "resume", "timeout", "show", "drop"}


def cancels_coroutine():
    """Is a coroutine's deferred being cancelled? What a canceller throws then becomes its result (D8: here it leaves cancel)."""
    frame = sys._getframe()
    while frame:
        if frame.f_code.co_name in ("handleCancel", "_handleCancelInlineCallbacks"):    # before and since Twisted 24
            return True
        frame = frame.f_back
    return False


class VM:
    def __init__(self):
        self.d, self.o, self.t, self.clock, self.order = {}, {}, [], Clock(), []
        self.timers = {}
        self.gone, self.shared = set(), False       # names handed to someone else; was one touched afterwards?
        self.quirk = False                          # did Twisted do what mobius does differently on purpose (D6, D9)?

    def hand(self, *names):
        self.shared |= any(n in self.gone for n in names)
        given = [self.d[n] for n in names]
        self.gone.update(names)
        self.quirk |= any(d._runningCallbacks for d in given)          # D6: its result is not there yet
        return given

    def out(self, s):
        self.t.append(s)

    def fmt(self, v):
        if v is None:
            return "nil"
        if isinstance(v, Failure):
            return "!" + exc(v.value)
        if isinstance(v, list):
            return "[" + ",".join(("+" if x[0] else "-") + self.fmt(x[1]) if isinstance(x, tuple) and isinstance(x[0], bool) else self.fmt(x) for x in v) + "]"
        if isinstance(v, tuple):
            return "<" + ",".join(self.fmt(x) for x in v) + ">"
        if isinstance(v, Deferred):
            return "deferred"
        if isinstance(v, (DeferredLock, DeferredSemaphore)):
            return "held"
        if isinstance(v, LoopingCall):
            return "loop"
        return str(v)

    def bind(self, name, d):
        self.d[name] = d
        if name not in self.order:
            self.order.append(name)
        return d

    # ------------------------------------------------------------ stages
    def stage(self, label, body):
        def f(r=None):
            self.out("%s<%s" % (label, self.fmt(r)))
            return self.body(label, body, r)
        return f

    def body(self, label, body, r):
        for a in body:
            k = a[0]
            if k == "ret":
                self.out("%s>%s" % (label, a[1])); return val(a[1])
            if k == "add":
                v = r + int(a[1]) if isinstance(r, int) else "%s+%s" % (self.fmt(r), a[1])
                self.out("%s>%s" % (label, self.fmt(v))); return v
            if k == "raise":
                self.out("%s!%s" % (label, a[1])); raise EXC[a[1]]()
            if k == "fail":
                self.out("%s>!%s" % (label, a[1])); return Failure(EXC[a[1]]())
            if k == "wait":
                self.out("%s@%s" % (label, a[1])); return self.hand(a[1])[0]
            if k == "sleep":
                self.out("%s@sleep" % label); return deferLater(self.clock, int(a[1]), lambda: "slept")
            if k == "trap":
                if not r.check(*[EXC[x] for x in a[1:]]):
                    self.out("%s^" % label); r.raiseException()
                continue
            self.do(a)
        self.out("%s>%s" % (label, self.fmt(r)))
        return r

    # ------------------------------------------------------------ coroutines
    async def co(self, label, stmts):
        last = None
        for a in stmts:
            k = a[0]
            if k == "await":
                last = await self.hand(a[1])[0]
                self.out("%s.got %s" % (label, self.fmt(last)))
            elif k == "call":                       # await another coroutine directly
                last = await self.co(a[1], a[2:])
                self.out("%s.got %s" % (label, self.fmt(last)))
            elif k == "nap":
                last = await deferLater(self.clock, int(a[1]))
            elif k == "try":                        # (try (stmts) E (handler stmts))
                try:
                    last = await self.co(label, a[1])
                except EXC[a[2]] as e:
                    self.out("%s.caught %s" % (label, exc(e)))
                    last = await self.co(label, a[3])
            elif k == "finally":                    # (finally (stmts) (cleanup stmts))
                try:
                    last = await self.co(label, a[1])
                except GeneratorExit:                   # collected, not ended (R137)
                    raise
                except BaseException:
                    self.out("%s.finally" % label)
                    await self.co(label, a[2])
                    raise
                self.out("%s.finally" % label)
                await self.co(label, a[2])
            elif k == "ret":
                return val(a[1])
            elif k == "raise":
                raise EXC[a[1]]()
            elif k == "awaitloop":
                n = 0
                for i in range(int(a[1])):
                    n += await defer.succeed(1)
                last = n
            else:
                self.do(a)
        return last

    # ------------------------------------------------------------ statements
    def do(self, a):
        k = a[0]
        if k in TOUCHES and a[1] in self.gone:
            self.shared = True
        try:
            getattr(self, "s_" + k.replace("-", "_"))(*a[1:])
        except AlreadyCalledError:
            self.out("?%s already" % k)
        except (QueueOverflow, QueueUnderflow) as e:
            self.out("?%s %s" % (k, type(e).__name__))
        except E0 as e:
            self.out("?%s %s" % (k, exc(e)))
        except (AlreadyCalled, AlreadyCancelled) as e:                  # of a timer
            self.out("?%s %s" % (k, type(e).__name__))
        except KeyError:                                                # a name that was dropped, or is not there yet
            self.out("?%s gone" % k)
        except AssertionError:
            self.out("?%s assert" % k)

    def s_new(self, n, canceller=None):
        c = None
        if canceller is not None:
            label, body = canceller[0], canceller[1:]

            def c(d):
                self.out("%s.cancel" % label)
                for x in body:
                    if x[0] == "raise":
                        self.quirk |= cancels_coroutine()
                        raise EXC[x[1]]()
                    self.do(x)
        self.bind(n, Deferred(c))

    def s_fired(self, n, v): self.bind(n, defer.succeed(val(v)))
    def s_failed(self, n, e): self.bind(n, defer.fail(EXC[e]()))
    def s_then(self, n, l, *b): self.d[n].addCallback(self.stage(l, b))
    def s_catch(self, n, l, *b): self.d[n].addErrback(self.stage(l, b))
    def s_both(self, n, l, *b): self.d[n].addBoth(self.stage(l, b))
    def s_pair(self, n, c, e): self.d[n].addCallbacks(self.stage(c[0], c[1:]), self.stage(e[0], e[1:]))
    def s_chain(self, a, b): self.d[a].chainDeferred(self.d[b])
    def s_cb(self, n, v): self.d[n].callback(val(v))
    def s_eb(self, n, e): self.d[n].errback(EXC[e]())
    def s_cancel(self, n): self.d[n].cancel()
    def s_pause(self, n): self.d[n].pause()
    def s_resume(self, n):
        d = self.d[n]
        self.quirk |= d.paused <= isinstance(getattr(d, "result", None), Deferred)      # D8: no pause of the user's to undo
        d.unpause()

    def s_log(self, x): self.out("." + x)
    def s_drop(self, n):
        del self.d[n]; self.order.remove(n); gc.collect()

    def s_show(self, n):
        d = self.d[n]
        if not hasattr(d, "result") or d._runningCallbacks:             # its value is with the stage that runs
            s = "pending"
        elif isinstance(d.result, Deferred):
            s = "waiting"
        else:
            s = self.fmt(d.result)
        self.out("%s=%s%s" % (n, s, " paused" if d.paused else ""))

    def s_timeout(self, n, secs, *otc):
        if otc:
            f = self.stage(otc[0], otc[1:])
            self.d[n].addTimeout(int(secs), self.clock, lambda r, t: f(r))
        else:
            self.d[n].addTimeout(int(secs), self.clock)

    def s_later(self, secs, l, *b):
        def f():
            self.out("%s@%d" % (l, self.clock.seconds()))
            self.body(l, b, None)
        self.timers[l] = self.clock.callLater(int(secs), f)

    def s_stop(self, l): self.timers[l].cancel()
    def s_reset(self, l, secs):
        self.timers[l].reset(int(secs))
        self.check_ties(self.timers[l])

    def s_delay(self, l, secs):
        self.timers[l].delay(int(secs))
        self.check_ties(self.timers[l])

    def check_ties(self, moved):                    # D4: among calls due at the same time, where does a moved one stand?
        self.quirk |= any(c is not moved and c.getTime() == moved.getTime() for c in self.clock.getDelayedCalls())

    def s_advance(self, secs): self.clock.advance(int(secs))

    def s_loop(self, n, key, interval, now, l, *b):
        lc = LoopingCall(lambda: self.stage(l, b)(int(self.clock.seconds())))
        lc.clock = self.clock
        self.o[key] = lc
        self.bind(n, lc.start(int(interval), now == "now"))

    def s_loop_stop(self, key): self.o[key].stop()
    def s_loop_reset(self, key): self.o[key].reset()

    def s_list(self, n, flags, *ds):
        self.bind(n, self.watch(DeferredList(self.hand(*ds), "c" in flags, "e" in flags, "k" in flags)))

    def s_gather(self, n, flags, *ds):
        self.bind(n, self.watch(gatherResults(self.hand(*ds), "k" in flags)))

    def watch(self, d):                             # D9: a cancel while it waits in one of its own stages
        plain = d.cancel

        def cancel():
            self.quirk |= d.called and isinstance(d.result, Deferred)
            plain()
        d.cancel = cancel
        return d

    def s_race(self, n, *ds): self.bind(n, race(self.hand(*ds)))
    def s_maybe(self, n, l, *b): self.bind(n, maybeDeferred(lambda: self.body(l, b, None)))
    def s_coro(self, n, l, *st): self.bind(n, Deferred.fromCoroutine(self.co(l, st)))
    def s_lock(self, k): self.o[k] = DeferredLock()
    def s_sem(self, k, n): self.o[k] = DeferredSemaphore(int(n))
    def s_acquire(self, n, k): self.bind(n, self.o[k].acquire())
    def s_release(self, k): self.o[k].release()
    def s_run(self, n, k, l, *b): self.bind(n, self.o[k].run(lambda: self.body(l, b, None)))
    def s_queue(self, k, size, backlog): self.o[k] = DeferredQueue(val(size), val(backlog))
    def s_put(self, k, v): self.o[k].put(val(v))
    def s_get(self, n, k): self.bind(n, self.o[k].get())

    def s_deep(self, n, last, count):               # count deferreds, each waiting on the next
        prev = self.hand(last)[0]
        for _ in range(int(count)):
            o = defer.succeed(None)
            o.addCallback(lambda r, p=prev: p)
            prev = o
        self.bind(n, prev)


def run_vm(src):
    vm = VM()
    unhandled = []

    def obs(e):
        if e.get("isError") and "failure" in e:
            vm.out("unhandled %s" % exc(e["failure"].value))
    log.addObserver(obs)
    try:
        for form in read(src):
            vm.do(form)
        vm.out("--")
        for n in list(vm.order):
            vm.s_show(n)
        for n in list(vm.order):
            vm.s_drop(n)
        vm.o.clear(); vm.clock.calls[:] = []; vm.timers.clear()
        while gc.collect():                         # until nothing is left that could speak up in a later program
            pass
    finally:
        log.removeObserver(obs)
    return vm


def run(src):
    vm = run_vm(src)
    return vm.t, vm.shared


# ---------------------------------------------------------------- generator
def gen(rng, size=14):
    """Random program that always terminates.

    Kept inside the single-owner subset: once a deferred is handed over (returned from a
    stage, put in a gather/race, or awaited) only cb/eb may name it again, and a stage
    nested in another stage never waits, so nothing can wait on a deferred that is running.
    """
    names, gone, open_, labels, prog = [], set(), [], iter(range(10**6)), []

    def lab(p="s"):
        return "%s%d" % (p, next(labels))

    def fresh():
        names.append("d%d" % len(names))
        return names[-1]

    def outcome(depth, own):
        c = rng.randrange(10)
        if c < 2: return "(ret %d)" % rng.randrange(9)
        if c < 4: return "(add %d)" % rng.randrange(1, 9)
        if c < 5: return "(raise E%d)" % rng.randrange(4)
        if c < 6: return "(fail E%d)" % rng.randrange(4)
        if c < 8 and depth == 0:
            later = [n for n in names if n not in gone and n != own and int(n[1:]) > int(own[1:])]
            if later:
                n = rng.choice(later); gone.add(n)
                return "(wait %s)" % n
        return ""

    def body(depth, own):
        acts = [stmt(depth + 1)] if depth < 2 and rng.random() < .3 else []
        return " ".join(x for x in acts + [outcome(depth, own)] if x)

    def stmt(depth=0):
        free = [n for n in names if n not in gone]
        c = rng.randrange(20)
        if (c < 5 and depth == 0 and len(names) < 8) or not names:
            n = fresh()
            r = rng.randrange(8)
            if r == 0: return "(fired %s %d)" % (n, rng.randrange(9))
            if r == 1: return "(failed %s E%d)" % (n, rng.randrange(4))
            if r == 2: open_.append(n); return "(new %s (%s))" % (n, lab("k"))
            if r == 3: open_.append(n); return "(new %s (%s (cb %s 7)))" % (n, lab("k"), n)
            if r == 4 and free:
                o = rng.choice(free); gone.add(o)
                return "(coro %s %s (await %s) (ret %d))" % (n, lab("c"), o, rng.randrange(9))
            if r == 5 and len(free) > 1:
                two = rng.sample(free, 2); gone.update(two)
                return "(%s %s)" % (rng.choice(["gather %s k" % n, "race %s" % n]), " ".join(two))
            open_.append(n)
            return "(new %s)" % n
        if c < 12 and free:
            n = rng.choice(free)
            return "(%s %s %s %s)" % (rng.choice(["then", "then", "catch", "both"]), n, lab(), body(depth, n))
        if c == 12 and free: return "(cancel %s)" % rng.choice(free)
        if c == 13 and free and depth == 0: return "(timeout %s %d)" % (rng.choice(free), rng.randrange(1, 5))
        if c == 14 and depth == 0: return "(advance %d)" % rng.randrange(1, 4)
        if c == 15 and free and depth == 0:
            n = rng.choice(free)
            return "(pause %s) %s (resume %s)" % (n, stmt(1), n)
        if not open_:
            return "(log x)"
        n = rng.choice(open_)
        if rng.random() < .9:                       # else: fire it again later
            open_.remove(n)
        return "(eb %s E%d)" % (n, rng.randrange(4)) if c < 18 else "(cb %s %d)" % (n, rng.randrange(9))

    for _ in range(size):
        prog.append(stmt())
    return "\n".join(prog)


def programs(path):
    name, buf = None, []
    for line in open(path):
        if line.startswith("#name"):
            if name:
                yield name, "".join(buf)
            name, buf = line[5:].strip(), []
        elif not line.startswith("#"):
            buf.append(line)
    if name:
        yield name, "".join(buf)


HAND = {"wait": 0, "await": 0, "gather": 2, "race": 1, "list": 2, "deep": 1}       # index of first name handed over


def tag(src):
    """'unique' if no deferred is used (other than cb/eb) after it was handed to someone else"""
    gone, shared = set(), []

    def walk(f):
        if not f or not isinstance(f[0], str):
            for x in f:
                walk(x)
            return
        if f[0] not in ("cb", "eb", "wait", "await") and len(f) > 1 and isinstance(f[1], str) and f[1] in gone:
            shared.append(f[1])
        if f[0] in HAND:
            for x in f[2:3] if f[0] == "deep" else f[1 + HAND[f[0]]:]:
                if x in gone:
                    shared.append(x)
                gone.add(x)
        for x in f[1:]:
            if isinstance(x, list):
                walk(x)
    for f in read(src):
        walk(f)
    return "shared" if shared else "unique"


if __name__ == "__main__":
    if sys.argv[1] == "run":
        for name, src in programs(sys.argv[2]):
            if race is None and "(race " in src:
                print("left out, this Twisted has no race:", name, file=sys.stderr)
                continue
            trace, shared = run(src)
            print("#name", name, "[%s]" % ("shared" if shared else tag(src)))
            print(" ".join(src.split()))
            print("=> " + " | ".join(trace))
            print()
    elif sys.argv[1] == "fresh":
        import programs
        for name, src, trace in programs.fresh(int(sys.argv[2]), int(sys.argv[3]), sys.modules[__name__]):
            print("#name %s [unique]\n%s\n=> %s\n" % (name, src, " | ".join(trace)))
    else:
        rng = random.Random(int(sys.argv[2]))
        for i in range(int(sys.argv[3])):
            print("#name random-%s-%d" % (sys.argv[2], i))
            print(gen(rng))
