#!/usr/bin/env python3
"""The harness on invented runs: order, ratios, spreads, budget, going on after a pause, table and chart."""
import pathlib
import unittest
import xml.etree.ElementTree

from harness import chart, registry, table
from harness.contract import BenchError, Case, Context, Family, Program
from harness.session import FamilySession, Paused
from harness.summary import spread_of, summarise

COST = {"slow floor": 12.0, "floor": 10.0, "ours": 11.0, "theirs": 40.0}
MACHINE = {"date": "2026-01-01T00:00:00", "commit": "0", "cpu": "a <cpu>", "cores": 2, "memory_gib": 1.0,
           "kernel": "Linux", "compiler": "g++", "flags": "-O3", "versions": {}}


class Invented(Family):
    name, title, op = "invented", "An invented family", "thing"
    rounds = {"quick": 3, "full": 9}
    budget = {"quick": 10, "full": 20}

    def __init__(self, context):
        super().__init__(context)
        self.calls = []

    def cases(self):
        for placement in ("same", "split"):
            for name, group in (("slow floor", "floor"), ("floor", "floor"), ("ours", "mobius"), ("theirs", "peer")):
                yield Case(Program(name, group), "a row", placement)

    def run(self, case, seconds):
        self.calls.append((case, seconds))
        factor = 1 + 0.05 * (len(self.calls) % 3)  # the machine's noise, the same for both ends
        return {"cpu_ns_per_op": COST[case.program.name] * factor, "load_cpu_ns_per_op": 10.0 * factor}

    def countable(self, case):
        return case.placement == "same"

    def count(self, case):
        return {"allocs_per_op": 2.0}


def session(record=None, kind=Invented, **options):
    family = kind(Context(pathlib.Path(), pathlib.Path(), "quick", pathlib.Path(), {}))
    return FamilySession(family, list(family.cases()), 7, {} if record is None else record, **options)


def measured(**options):
    one = session(**options)
    one.measure(None, lambda *_: None)
    return one, summarise(one.family, one.cases, one.record)


class Order(unittest.TestCase):
    def test_each_round_has_every_case_once_in_an_order_of_its_own(self):
        one, _ = measured()
        rounds = [[(run["placement"], run["program"]) for run in one.record["runs"] if run["round"] == number]
                  for number in range(3)]
        self.assertEqual([sorted(each) for each in rounds], [sorted(rounds[0])] * 3)
        self.assertEqual(len(rounds[0]), 8)
        self.assertTrue(rounds[0] != rounds[1] or rounds[1] != rounds[2])

    def test_the_same_seed_gives_the_same_order(self):
        self.assertEqual(list(session().steps()), list(session().steps()))

    def test_what_was_measured_before_a_pause_is_not_measured_again(self):
        first = session()
        with self.assertRaises(Paused):
            first.measure(0, lambda *_: None)
        record = first.record
        session(record).measure_one(next(iter(session(record).steps())))
        again = session(record)
        again.measure(None, lambda *_: None)
        keys = [(run["program"], run["placement"], run["round"]) for run in record["runs"]]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(len(keys), 24)

    def test_a_larger_budget_gives_longer_runs_within_limits(self):
        self.assertEqual(session(budget=0.1).seconds_per_run(), 0.1)
        self.assertEqual(session(budget=1e6).seconds_per_run(), 1.0)
        middle = session(budget=24 * (0.5 + Invented.overhead) + 4 * 2.0).seconds_per_run()
        self.assertAlmostEqual(middle, 0.5)

    def test_a_case_that_fails_twice_is_given_up_and_the_others_go_on(self):
        class Failing(Invented):
            def run(self, case, seconds):
                if case.program.name == "theirs":
                    raise BenchError("it does not start")
                return super().run(case, seconds)

        one, summary = measured(kind=Failing)
        self.assertEqual(len(one.record["failures"]), 4)
        self.assertEqual(len(one.record["runs"]), 18)
        self.assertNotIn("theirs", [entry["program"] for entry in summary])


class Numbers(unittest.TestCase):
    def test_the_better_floor_divides_and_noise_of_both_ends_cancels_in_g(self):
        _, summary = measured()
        entries = {entry["program"]: entry for entry in summary if entry["placement"] == "same"}
        self.assertTrue(entries["floor"]["divisor"])
        self.assertFalse(entries["slow floor"]["divisor"])
        self.assertAlmostEqual(entries["floor"]["r"]["median"], 1.0)
        self.assertAlmostEqual(entries["ours"]["g"]["median"], 1.1)
        self.assertAlmostEqual(entries["theirs"]["g"]["median"], 4.0)

    def test_counts_of_one_placement_hold_for_the_row(self):
        _, summary = measured()
        self.assertTrue(all(entry["metrics"]["allocs_per_op"]["median"] == 2.0 for entry in summary))

    def test_the_spread_is_the_distance_of_the_quartiles_over_the_median(self):
        self.assertEqual(spread_of([1.0, 2.0, 3.0, 4.0, 5.0]),
                         {"median": 3.0, "low": 2.0, "high": 4.0, "spread": 2 / 3})
        self.assertEqual(spread_of([5.0])["spread"], 0.0)

    def test_a_number_that_swings_is_marked(self):
        self.assertEqual(table.shown(spread_of([100.0, 110.0, 120.0]), 0), "110")
        self.assertEqual(table.shown(spread_of([100.0, 150.0, 200.0]), 0), "~150")


class Output(unittest.TestCase):
    def test_the_table_has_a_line_for_each_entry(self):
        one, summary = measured()
        lines = table.family_table(one.family, summary).splitlines()
        self.assertEqual(sum(line.startswith("|") for line in lines), 2 + len(summary))

    def test_a_chart_is_drawn_for_each_placement_and_is_well_formed(self):
        one, summary = measured()
        drawn = chart.charts(one.family, summary, MACHINE)
        self.assertEqual(sorted(drawn), ["invented-same", "invented-split"])
        for svg in drawn.values():
            self.assertTrue(xml.etree.ElementTree.fromstring(svg).tag.endswith("svg"))
            self.assertIn(">ours<", svg)


class Choice(unittest.TestCase):
    def test_floors_stay_when_programs_are_chosen(self):
        family = session().family
        chosen = {case.program.name for case in registry.select_cases(family, ["our"])}
        self.assertEqual(chosen, {"slow floor", "floor", "ours"})
        self.assertEqual(registry.select_cases(family, ["nobody"]), [])

    def test_every_family_of_the_bench_keeps_the_contract(self):
        source = pathlib.Path(registry.__file__).parents[1]
        cores = {placement: ({0}, {0}) for placement in ("alone", "same", "split")}
        total = {"quick": 0, "full": 0}
        for name, kind in registry.families(source).items():
            for mode in total:
                family = kind(Context(source, pathlib.Path("none"), mode, pathlib.Path("none"), cores))
                cases = list(family.cases())
                self.assertEqual(family.name, name)
                self.assertTrue(cases)
                self.assertEqual(len(cases), len(set(cases)), f"{name} names a case twice")
                for column in (*family.columns, family.ratio_of):
                    family.metric(column)
                total[mode] += family.budget[mode]
        self.assertLessEqual(total["quick"], 240)
        self.assertLessEqual(total["full"], 2700)


unittest.main()
