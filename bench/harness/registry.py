"""Finds the families: every bench/<name>/family.py."""
import importlib.util

from .contract import BenchError

# The order of the report; a family that is not named here comes after these.
ORDER = ("echo", "http", "client", "styles", "micro", "idle", "scale")


def families(source):
    """name -> class, in the order of the report."""
    found = {}
    for path in source.glob("*/family.py"):
        spec = importlib.util.spec_from_file_location(f"family_{path.parent.name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.parent.name] = module.family
    rank = {name: number for number, name in enumerate(ORDER)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def choose(source, names):
    """The families and the program names that the words of the command line ask for.

    A word is a family or a part of a program's name; programs alone are looked for in all families."""
    known = families(source)
    chosen = [name for name in known if name in names]
    programs = [name for name in names if name not in known]
    return {name: known[name] for name in (chosen or known)}, programs


def select_cases(family, programs):
    """The family's cases for the wanted programs: floors always stay, nothing divides without them."""
    cases = list(family.cases())
    if not programs:
        return cases
    named = {case.program for case in cases if any(word.lower() in case.program.name.lower() for word in programs)}
    return [case for case in cases if named and (case.program in named or case.program.group == "floor")]


def check_names(all_cases, programs):
    for word in programs:
        if not any(word.lower() in case.program.name.lower() for case in all_cases):
            raise BenchError(f"no family and no program is called {word!r}")
