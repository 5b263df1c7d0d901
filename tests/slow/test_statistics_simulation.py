"""Verdicts keep their promises in thousands of simulated races: false alarms, power, equivalence, coverage.

A race has a baseline and seven methods, or one, over paired seeds; a run's score has deviation 1 over seeds, or is an
accuracy in whole test examples. Every figure is for the fixed seeds below; a race more or less moves it by a hair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from thalweg.race.statistics import judge, mean_intervals, paired_differences, pairing, pairs_needed, tuning_noise

pytestmark = [pytest.mark.slow]

RACES = 2000


@dataclass(frozen=True)
class Races:
    """Simulated races: how many methods beside the baseline, seeds, their correlation, and the true shift of all."""

    methods: int
    seeds: int
    rho: float
    shift: float = 0.0
    examples: int | None = None  # of the test part, where the score is an accuracy: few of them make many ties
    skewed: bool = False
    count: int = RACES

    def scores(self) -> np.ndarray:
        """Of shape (races, 1 + methods, seeds), the baseline first."""
        rng = np.random.default_rng([self.methods, self.seeds, int(100 * self.rho), self.examples or 0])
        shared = rng.normal(size=(self.count, 1, self.seeds))
        own = rng.normal(size=(self.count, 1 + self.methods, self.seeds))
        scores = math.sqrt(self.rho) * shared + math.sqrt(1 - self.rho) * own
        if self.skewed:
            scores = 1 - np.exp(scores)  # as losses are: now and then one is far off
        scores[:, 1:] += self.shift
        if self.examples:
            scores = np.rint(np.clip(0.9 + 0.04 * scores, 0, 1) * self.examples) / self.examples
        return scores

    def differences(self) -> np.ndarray:
        """Of shape (races, methods, seeds): a family of comparisons with the baseline for each race."""
        scores = self.scores()
        return paired_differences(scores[:, 1:], scores[:, :1])

    def margins(self, deviations: float) -> np.ndarray:
        """So many of the baseline's deviations, as estimated in each race, of shape (races, 1)."""
        return deviations * self.scores()[:, 0].std(axis=-1, ddof=1)[:, None]


def share(verdicts: np.ndarray, verdict: str) -> float:
    return float((verdicts == verdict).mean())


def false_alarms(verdicts: np.ndarray) -> float:
    """The share of races in which any method was called better or worse."""
    return float(np.isin(verdicts, ["better", "worse"]).any(axis=1).mean())


NULLS = {
    "15 seeds": Races(7, 15, 0.5),
    "30 seeds": Races(7, 30, 0.5),
    "uncorrelated": Races(7, 30, 0.0),
    "one method": Races(1, 30, 0.5),
    "accuracies of 30 examples, 15 seeds": Races(7, 15, 0.5, examples=30),
    "accuracies of 30 examples": Races(7, 30, 0.5, examples=30),
    "accuracies of 360 examples": Races(7, 30, 0.5, examples=360),
    "skewed": Races(7, 30, 0.5, skewed=True),
}


@pytest.mark.parametrize("races", NULLS.values(), ids=NULLS)
def test_in_6_percent_of_null_races_or_fewer_anything_is_called_better_or_worse(races):
    found = judge(races.differences(), races.margins(0.5))
    without_margin = float((found.p < 0.05).any(axis=1).mean())
    assert false_alarms(found.verdict) <= without_margin <= 0.06


def test_the_sign_flip_test_keeps_to_it_as_well():
    races = Races(7, 15, 0.5, examples=360, count=500)
    assert false_alarms(judge(races.differences(), test="sign-flip").verdict) <= 0.06


@pytest.mark.parametrize(("methods", "rho"), [(1, 0.0), (1, 0.5), (7, 0.25), (7, 0.5)])
def test_a_shift_of_08_deviations_is_called_better_in_75_percent_of_30_seeds(methods, rho):
    races = Races(methods, 30, rho, shift=0.8, count=500)
    assert share(judge(races.differences(), races.margins(0.5)).verdict, "better") >= 0.75


def test_of_seven_methods_without_correlation_it_takes_more_than_30_seeds():
    """Holm's price for seven comparisons: 69 % of them are found; `pairs_needed` says so."""
    races = Races(7, 30, 0.0, shift=0.8, count=500)
    assert 0.6 < share(judge(races.differences()).verdict, "better") < 0.75
    assert pairs_needed(math.sqrt(2), 0.8, comparisons=7) > 40


@pytest.mark.parametrize(("rho", "deviations"), [(0.0, 1.0), (0.5, 1.0), (0.8, 0.5)])
def test_a_null_with_a_wide_margin_is_called_equivalent_in_75_percent(rho, deviations):
    races = Races(7, 30, rho, count=500)
    verdicts = judge(races.differences(), races.margins(deviations)).verdict
    assert share(verdicts, "equivalent") >= 0.75


def test_equivalent_needs_the_margin():
    races = Races(7, 30, 0.8, count=500)
    assert share(judge(races.differences()).verdict, "equivalent") == 0
    assert share(judge(races.differences(), 0.0).verdict, "equivalent") == 0
    assert share(judge(races.differences(), races.margins(0.01)).verdict, "equivalent") == 0


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_a_true_difference_as_large_as_the_margin_is_rarely_called_equivalent(rho):
    """Two one-sided tests at 5 %; a margin that is itself estimated is now and then too wide: it has a bound apart."""
    races = Races(7, 30, rho, shift=0.5, count=1000)
    assert share(judge(races.differences(), 0.5).verdict, "equivalent") <= 0.065
    assert share(judge(races.differences(), races.margins(0.5)).verdict, "equivalent") <= 0.085


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_the_pairs_that_a_verdict_needs_give_it_its_power(rho):
    sd = math.sqrt(2 * (1 - rho))
    for_shift = Races(7, pairs_needed(sd, 0.8, comparisons=7), rho, shift=0.8, count=500)
    found = judge(for_shift.differences())
    assert 0.76 < float(((found.p_alone < 0.05 / 7) & (found.difference > 0)).mean()) < 0.86
    assert share(found.verdict, "better") > 0.8  # Holm's later steps find more
    for_equivalence = Races(7, pairs_needed(sd, 0.0, 0.5), rho, count=500)
    assert 0.76 < share(judge(for_equivalence.differences(), 0.5).verdict, "equivalent") < 0.86


def covered(differences: np.ndarray, truth: float, level: float = 0.95) -> float:
    ((low, high),) = mean_intervals(differences, (level,))
    return float(((low <= truth) & (truth <= high)).mean())


SAMPLES = {
    "normal": (lambda rng, shape: rng.normal(0.2, 1, shape), 0.2),
    "chi-square, 4 df": (lambda rng, shape: rng.chisquare(4, shape), 4.0),
    "difference of losses of unlike spread": (
        lambda rng, shape: np.exp(rng.normal(0, 0.5, shape)) - np.exp(rng.normal(0, 0.25, shape)),
        math.exp(0.125) - math.exp(0.03125),
    ),
    "accuracies": (lambda rng, shape: (rng.binomial(30, 0.9, shape) - rng.binomial(30, 0.85, shape)) / 30, 0.05),
}


@pytest.mark.parametrize("pairs", [15, 30])
@pytest.mark.parametrize(("draw", "truth"), SAMPLES.values(), ids=SAMPLES)
def test_95_percent_intervals_cover_93_to_97_percent(draw, truth, pairs):
    differences = draw(np.random.default_rng(pairs), (5000, pairs))
    assert 0.93 <= covered(differences, truth) <= 0.97
    assert 0.87 <= covered(differences, truth, 0.9) <= 0.93


def test_at_30_pairs_they_do_for_exponential_differences_and_at_15_nearly():
    rng = np.random.default_rng(1)
    assert 0.93 <= covered(rng.exponential(size=(5000, 30)), 1.0) <= 0.97
    assert 0.92 <= covered(rng.exponential(size=(5000, 15)), 1.0) <= 0.97


def test_where_a_few_pairs_are_very_far_off_they_cover_less():
    """The limit of the method, as intervals.py says."""
    rng = np.random.default_rng(2)
    assert 0.89 <= covered(rng.lognormal(size=(5000, 30)), math.exp(0.5)) <= 0.93
    assert 0.90 <= covered(rng.standard_t(3, (5000, 30)), 0.0) <= 0.93


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_intervals_of_what_pairing_saved_cover(rho):
    found = [pairing(scores) for scores in Races(1, 30, rho, count=300).scores()]
    assert 0.91 <= np.mean([p.correlation_low <= rho <= p.correlation_high for p in found]) <= 0.985
    assert 0.91 <= np.mean([p.saved_low <= 1 / (1 - rho) <= p.saved_high for p in found]) <= 0.985


def test_verdicts_are_about_the_settings_that_were_chosen():
    """Two methods that tuning makes equal on average, with a noise of half a deviation between three tunings.

    The runs then are no sample of tunings, and the settings do differ: a verdict on them is none on the methods. The
    interval of `tuning_noise` is on the methods, and covers their true difference, 0.
    """
    rng = np.random.default_rng(0)
    study = np.arange(30) % 3
    differences = rng.normal(size=(500, 30)) + 0.5 * rng.normal(size=(500, 3))[:, study]
    assert false_alarms(judge(differences[:, None]).verdict) > 0.2
    found = [tuning_noise(d, study) for d in differences]
    assert 0.93 <= np.mean([noise.low <= 0 <= noise.high for noise in found]) <= 0.97


def test_a_verdict_is_about_the_settings_that_studies_chose_and_not_about_methods_under_any_tuning():
    """Methods are equal on average; the luck of three studies, which their seeds share, moves scores by 0.5."""
    races = Races(7, 30, 0.5, count=500)
    luck = np.random.default_rng(0).normal(scale=0.5, size=(500, 7, 3))
    found = judge(races.differences() + np.tile(luck, 10), races.margins(0.5))
    assert false_alarms(found.verdict) > 0.5
