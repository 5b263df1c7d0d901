"""Gravity's races and averages: variants against their closed forms, tiny runs of each part, tables from records."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from thalweg.optim import RuleOptimizer
from thalweg.race.method import method_named
from thalweg.race.statistics import against
from thalweg.reproduce import Measured, Options, Records, pixels
from thalweg.reproduce.fair_races import Effort, untuned
from thalweg.reproduce.gravity import beta, choices, fair_race, overflow, rates, sequences, starts
from thalweg.rules.gallery import find
from thalweg.tasks import Examples

GRADIENTS = torch.randn(25, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def silent(line):
    """Takes what a part tells."""


def options(folder: Path) -> Options:
    return Options(quick=True, store=folder)


# The averages as rules


def steps_of(rule, **hyperparameters):
    """What each step takes off the weights, over the learning rate, (steps, weights)."""
    weight = torch.nn.Parameter(torch.zeros(GRADIENTS.shape[1], dtype=torch.float64))
    optimizer = RuleOptimizer([weight], rule, lr=1.0, **hyperparameters)
    found = []
    for gradient in GRADIENTS:
        before = weight.detach().clone()
        weight.grad = gradient.clone()
        optimizer.step()
        found.append(before - weight.detach())
    return torch.stack(found)


def zetas():
    """The damped gradients of equation 21, with m of equation 20."""
    m = 1 / GRADIENTS.abs().amax(dim=1, keepdim=True)
    return GRADIENTS / (1 + (GRADIENTS / m) ** 2)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_equation_22_from_zero_is_a_sum_of_powers(rate):
    for t in range(1, len(GRADIENTS) + 1):
        powers = rate ** torch.arange(t - 1, -1, -1, dtype=torch.float64)
        wanted = (1 - rate) * powers @ zetas()[:t]
        assert torch.allclose(steps_of(starts.AVERAGE, beta=rate)[t - 1], wanted, rtol=1e-10)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_the_corrected_average_is_the_weighted_mean_of_what_was_there(rate):
    found = steps_of(starts.CORRECTED, beta=rate)
    for t in range(1, len(GRADIENTS) + 1):
        powers = rate ** torch.arange(t - 1, -1, -1, dtype=torch.float64)
        assert torch.allclose(found[t - 1], powers @ zetas()[:t] / powers.sum(), rtol=1e-9)


def test_equation_25_as_it_is_printed_averages_on_what_is_corrected():
    found, value = steps_of(starts.PRINTED, beta=0.9), torch.zeros(GRADIENTS.shape[1], dtype=torch.float64)
    for t, zeta in enumerate(zetas(), start=1):
        value = (0.9 * value + 0.1 * zeta) / (1 - 0.9**t)
        assert torch.allclose(found[t - 1], value, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.9, 1.0])
def test_beta_hat_from_zero_is_gravity_without_its_noise(rate):
    gravity = steps_of(find("gravity").rule, beta=rate, alpha=0.0)
    assert torch.allclose(steps_of(starts.BETA_HAT, beta=rate), gravity, rtol=1e-12)


def test_all_variants_of_figure_7_are_one_rule_and_beta_0_takes_the_damped_gradient_itself():
    variants = starts.variants()
    assert {one.optimizer for name, one in variants.items() if name not in starts.STARTS} == {starts.AVERAGE}
    assert torch.allclose(steps_of(starts.AVERAGE, beta=0.0), zetas(), rtol=1e-12)
    assert starts.FIXED in variants


def test_networks_by_method_begin_at_the_same_weights_and_see_the_same_batches():
    """At a learning rate of 0 nothing moves; two of the same method are the same."""
    task = starts.network_task("digits")
    average = starts.variants()["beta = 0.5"]
    still = average.at({"lr": 0.0, "beta": 0.5})
    found = starts.losses_of(task, [still, average, average], [0, 1, 3], 2)
    assert found.shape == (3, 2, 3)
    assert (found[0] == found[0, :, :1]).all()
    assert (found[:, :, 0] == found[0, :, 0]).all()
    assert (found[1] == found[2]).all()
    assert (found[1, :, 2] < found[1, :, 0]).all()


# Equation 25


def test_the_printed_equation_grows_until_beta_to_the_t_is_below_1_less_beta():
    for rate in (0.9, 0.99):
        found = overflow.correction(rate)
        last = math.floor(math.log(1 - rate) / math.log(rate))
        assert found.printed_at == last
        value, exact = Fraction(0), Fraction(str(rate))
        for t in range(1, last + 1):
            value = (exact * value + 1 - exact) / (1 - exact**t)
            value = value.limit_denominator(10**40)
        assert found.printed == pytest.approx(math.log10(value), rel=1e-9)


def test_the_printed_equation_overflows_float32_for_beta_close_to_1_alone_and_adams_reading_never():
    found = {of["beta"]: of for of in overflow.corrections()}
    assert found[0.9]["float32"] is None
    assert all(found[rate]["float32"] is not None for rate in (0.99, 0.999, 0.9999))
    assert [found[rate]["float64"] is None for rate in (0.99, 0.999)] == [True, False]
    assert all(of["corrected"] < 1e-3 for of in found.values())


# Large learning rates


def test_the_constant_answers_loss_is_the_entropy_or_the_variance():
    assert rates._spread(torch.tensor([0, 1, 2, 3])) == pytest.approx(math.log(4))
    assert rates._spread(torch.tensor([[1.0], [3.0]])) == pytest.approx(1.0)
    assert rates.constant_loss(starts.network_task("digits"), 1) == pytest.approx(math.log(10), rel=1e-3)


def beta_records():
    """Two seeds; the first of the one that diverges is gone at its end."""
    curves = {name: [[2.0, 1.7, 0.9], [2.0, 1.9, 1.7]] for name in starts.variants()}
    curves["printed"] = [[2.0, 1.0, math.nan], [2.0, 3.0, 9.0]]
    losses = {
        name: [[0.5, 0.5], [1.95, 0.5], [math.nan, 5.0]] for name in rates.METHODS
    }  # two seeds at three learning rates
    by_rate = {"lr": [0.1, 1.0, 10.0], "start": [2.0, 1.9], "constant": 2.0, "losses": losses}
    figures = {
        "at": [0, 1, 4],
        "curves": dict.fromkeys(starts.LAYERS, curves),
        "overflow": overflow.corrections()[:2],
        "rates": dict.fromkeys(rates.PROBLEMS, by_rate),
    }
    return Records.read(Records("gravity", (), {"beta": figures}).to_json())


def test_what_is_asked_of_the_averages():
    records = beta_records()
    assert beta.fallen(records, "digits", "gravity", 0.1) == [1, 4]
    assert beta.fallen(records, "digits", "gravity", 0.5) == [4, math.inf]
    assert beta.finite(records, "digits_deep", "sgd") == [1, 1, 0.5]
    assert beta.learnt(records, "digits_deep", "sgd") == [1, 0.5, 0]
    assert beta.largest(records, "digits_deep", beta.finite(records, "digits_deep", "sgd")) == 1.0
    nothing = Records("gravity", ())
    assert beta.fallen(nothing, "digits", "gravity", 0.1) == beta.finite(nothing, "digits", "sgd") == []
    assert beta.beta_tables(nothing) == beta.beta_pictures(nothing) == []


def test_the_tables_and_pictures_of_the_averages():
    records = beta_records()
    tables = {table.name: table for table in beta.beta_tables(records)}
    falls = {row[0].text: [cell.text for cell in row[1:]] for row in tables["start-digits"].rows}
    assert falls["gravity"] == ["2.5", "not in time", "1.3"]
    assert falls["printed"][-1] == "diverged"
    first = tables["equation-25"].rows[1]
    assert [cell.text for cell in first[:3]] == ["0.99", "10^65.3", "458"]
    assert tables["rates-digits-deep"].rows[0][2].text == "100%, 50%"
    assert len(beta.beta_pictures(records)) == 2 * len(starts.LAYERS)


def test_losses_are_measured_after_every_early_step_and_after_the_last():
    assert beta.marks(5) == [0, 1, 2, 3, 4, 5]
    found = beta.marks(1000)
    assert found[: beta.EVERY] == list(range(beta.EVERY))
    assert found[-1] == 1000
    assert sorted(set(found)) == found


@pytest.mark.slow
def test_a_tiny_run_of_the_averages(tmp_path):
    scale = beta.Scale(steps=4, seeds=2, a_decade=1, rate_steps=2, rate_seeds=2)
    records = Records.read(beta.run(options(tmp_path), silent, scale).to_json())
    curves = records.figures["beta"]["curves"]["digits_deep"]
    assert curves.keys() == starts.variants().keys()
    assert {len(own) for own in curves["gravity"]} == {5}
    start = records.figures["beta"]["rates"]["digits_deep"]["start"]
    assert start == [own[0] for own in curves["gravity"]]  # the same seeds draw the same weights
    assert len(beta.finite(records, "diabetes_unscaled", "gravity")) == 8


# Races


def test_what_is_at_its_defaults_has_nothing_to_search():
    found = {method.name: method for method in fair_race.methods()}
    assert tuple(found) == fair_race.COLUMNS
    assert found["gravity@defaults"].hyperparameters == method_named("gravity").hyperparameters
    assert found["rmsprop@defaults"].hyperparameters["alpha"] == 0.9
    assert [method.name for method in found.values() if not method.space] == list(fair_race.COLUMNS[-3:])
    assert not any(method.ablations for method in found.values())
    assert untuned("adam", {"lr": 0.5}, "half").name == "adam@half"


def test_the_scale_of_the_fair_race_in_words():
    assert fair_race.QUICK.words == (
        "600 images shrunk to half, the Keras networks, 8 epochs, 2 tunings of 4 draws, 9 paired seeds"
    )


@pytest.mark.parametrize(
    ("scales", "compared"),
    [
        ((fair_race.QUICK, fair_race.FULL), len(fair_race.COLUMNS)),
        ((choices.QUICK, choices.FULL), len(choices.METHODS)),
        ((sequences.QUICK, sequences.FULL), len(sequences.METHODS)),
    ],
    ids=["fair", "choices", "sequences"],
)
def test_seeds_are_enough_for_verdicts(scales, compared):
    """Where one method is ahead of the baseline on every seed, and the others are as good, it is found better."""
    for scale in scales:
        base = [0.1 * i for i in range(scale.effort.seeds)]
        scores = {"baseline": base, "ahead": [5 + 1.1 * each for each in base]}
        scores |= {f"even {i}": base for i in range(compared - len(scores))}
        assert against(scores, "baseline", 0.5)["ahead"].verdict == "better"


def test_a_tiny_fair_race(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    images = Examples(torch.rand(200, 1, 28, 28, generator=generator), torch.arange(200) % 2)
    monkeypatch.setattr(pixels, "ImageData", lambda images_, part, folder: lambda: images)
    pixels.read_images.cache_clear()
    scale = fair_race.Scale(60, ("mnist",), 1, Effort(seeds=2, draws=2, studies=1))
    records = Records.read(fair_race.run(options(tmp_path), silent, scale).to_json())
    pixels.read_images.cache_clear()
    assert [one.column for one in records.measured] == list(fair_race.COLUMNS)
    assert {len(one.fair) for one in records.measured} == {2}
    assert records.figures["fair"]["mnist"]["lr"]["gravity@defaults"] == [0.1]
    assert 0 < records.figures["fair"]["mnist"]["constant"] < 100
    names = [table.name for table in fair_race.fair_tables(records)]
    assert names == ["Fair race-against-adam", "Fair race-against-gravity", "fair-rates"]


@pytest.mark.slow
def test_a_tiny_race_of_choices(tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "METHODS", choices.METHODS[:2])
    scale = choices.Scale(("digits_deep",), Effort(seeds=2, draws=2, studies=1))
    records = Records.read(choices.run(options(tmp_path), silent, scale).to_json())
    cells = {(table, name) for table in (choices.PUBLISHED, choices.TABLE) for name in choices.METHODS}
    assert {(one.table, one.column) for one in records.measured} == cells
    assert len(records.measured) == len(cells)
    assert records.figures["choices"]["digits_deep"]["lr"].keys() == set(choices.METHODS)
    tables = choices.choices_tables(records)
    assert [len(table.rows) for table in tables] == [1, 1, 1]
    assert len(tables[0].columns) == len(choices.METHODS)


def test_the_text_is_long_enough_and_the_same_every_time(tmp_path):
    assert sequences.text() == sequences.text()
    assert len(sequences.text()) > 20_000
    task = sequences.task_of(sequences.CHARACTERS, 3, 16, tmp_path)
    assert (task.name, task.epochs, task.batch_size) == ("characters", 3, 16)
    assert task.workload(torch.Generator()).train.inputs.shape[1] == 32


@pytest.mark.slow
def test_a_tiny_race_of_sequences(tmp_path, monkeypatch):
    monkeypatch.setattr(sequences, "METHODS", ("gravity", "adam"))
    scale = replace(sequences.QUICK, epochs={"modular_addition": 1}, effort=Effort(2, 1, 1))
    records = Records.read(sequences.run(options(tmp_path), silent, scale).to_json())
    assert [one.row for one in records.measured] == ["modular_addition"] * 2
    assert records.figures["sequences"]["modular_addition"]["epochs"] == 1
    assert len(sequences.sequence_tables(records)) == 3


def test_where_nobody_is_above_the_constant_answer_nothing_is_learnt():
    measured = tuple(
        Measured(sequences.TABLE, row, name, "accuracy", fair=(score, score))
        for row, score in (("modular_addition", 4.0), ("characters", 40.0))
        for name in sequences.METHODS
    )
    of = {"constant": 3.0, "lr": {}, "train_loss": {name: [1.0, 2.0] for name in sequences.METHODS}, "epochs": 7}
    found = {row: {**of, "lr": {"adam": [0.1]}} for row in ("modular_addition", "characters")}
    records = Records("gravity", measured, {"sequences": found})
    assert sequences.learnt(records) == ["characters"]
    rows = sequences.sequence_tables(records)[1].rows
    assert [row[-1].text for row in rows] == ["no", "yes"]
    assert rows[1][2].text == "40.0, 1.5"
    assert sequences.learnt(Records("gravity", ())) == []
