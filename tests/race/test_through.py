"""Methods that have their gradients from elsewhere than autograd: in cohorts as alone, and what is counted of them."""

from __future__ import annotations

import pytest
import torch
from race.teams import CPU, difference, member, redrawn, trained, weights_of, workload
from race.test_teams import Fixed, assert_stack_equals_alone
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg import race
from thalweg.race.alone import Alone
from thalweg.race.composed import COMPOSED
from thalweg.race.method import method_named, names, with_ablations
from thalweg.race.paste import loss_line, optimizer_line
from thalweg.swarm.losses import F1Loss, ZeroOneLoss
from thalweg.tasks import ACCURACY, Task

pytestmark = pytest.mark.usefixtures("one_thread")


SMALL = {"particles": 4, "iterations": 3}
FEW = {"evaluations": 8}


def few(name: str) -> dict[str, int]:
    """Hyperparameters with which the method takes little time."""
    own = method_named(name).hyperparameters
    return {key: value for key, value in (SMALL | FEW).items() if key in own}


FAST = ("adaswarm", "adam_label_distance", "output_es")  # one of each kind; the others are run with the slow tests
EVERY = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name, parts in COMPOSED.items()
    if parts.through is not None and parts.sweep is None and name != "smooth_surrogate"
]


@pytest.mark.parametrize("name", EVERY)
def test_members_of_a_cohort_train_as_alone(name):
    """On cross entropy, each with a scale of its own, on splits and seeds of their own."""
    scales = method_named(name).through.scales
    members = [
        member(
            name, i, given=workload(i, epochs=3), dropout=0.2, **few(name), **{scale: 0.3 + 0.1 * i for scale in scales}
        )
        for i in range(3)
    ]
    assert_stack_equals_alone(members)


@pytest.mark.parametrize("loss", [F1Loss(), ZeroOneLoss()], ids=["joint", "sample"])
@pytest.mark.parametrize(
    "name", ["adaswarm_fitted", "output_spsa", "output_es", "output_differences", "smooth_surrogate"]
)
def test_losses_without_a_derivative_train_in_a_cohort_as_alone(name, loss):
    members = [member(name, i, given=workload(i, epochs=2, loss=loss), lr=0.05, **few(name)) for i in range(2)]
    assert_stack_equals_alone(members)


@pytest.mark.parametrize("name", ["adaswarm"])
def test_odd_networks_train_in_a_cohort_as_alone(name):
    """Running statistics move once a step, although a network answers twice."""

    def odd(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return redrawn(Fixed(dtype), generator)

    members = [member(name, i, given=workload(i, make=odd, epochs=2), **few(name)) for i in range(2)]
    assert_stack_equals_alone(members)


def test_a_step_counts_the_evaluations_of_the_loss():
    for name, each in (("adam", 1), ("adaswarm", 4 * 3), ("output_spsa", 8), ("adam_label_distance", 0)):
        alone = Alone(member(name, 0, given=workload(0, epochs=1), **few(name)), CPU)
        trained(alone, [alone.trial])
        assert alone.counts.losses[0] == each * alone.counts.steps[0]
        assert alone.counts.forward[0] == alone.counts.steps[0]


def test_without_a_derivative_adam_stays_where_it_is_and_estimators_do_not():
    """What the whole of this is for."""
    for name, moves in (("adam", False), ("adaswarm_fitted", True), ("output_es", True), ("smooth_surrogate", True)):
        one = member(name, 0, given=workload(0, epochs=2, loss=SteppedLoss()), **few(name))
        before = Alone(one, CPU)
        start = {key: value.clone() for key, value in weights_of(before).items()}
        trained(before, [one])
        assert (difference(weights_of(before), start) > 1e-3) == moves, name


class SteppedLoss(ZeroOneLoss):
    """The share of errors, tied to the outputs by a gradient that is 0."""

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().__call__(outputs, targets) + 0.0 * outputs.sum()


def test_the_ablations_of_adaswarm_join_a_race():
    plain = ["adam", "adam_label_distance", "adam_best_distance"]
    assert with_ablations(["adaswarm"]) == ["adaswarm", *plain]
    assert set(COMPOSED) <= set(names())


def test_methods_of_one_rule_and_different_gradients_have_different_definitions():
    definitions = [str(method_named(name).definition()) for name in ("adam", *COMPOSED)]
    assert len(set(definitions)) == len(definitions)


def test_label_smoothing_is_refused():
    with pytest.raises(
        ValueError, match="label_smoothing is for losses that autograd differentiates, not for adaswarm"
    ):
        member("adaswarm", 0, label_smoothing=0.1)


def test_what_is_pasted_makes_loss_and_optimizer():
    method = method_named("adaswarm")
    setting = {**method.hyperparameters, "lr": 0.01, "span": 0.5}
    info = method.info()
    model, loss_fn = nn.Linear(2, 2), nn.CrossEntropyLoss(reduction="none")
    import thalweg

    made = eval(loss_line(info, setting).removeprefix("loss_fn = "), {"thalweg": thalweg, "loss_fn": loss_fn})
    assert (made.span, made.coeff, made.count, made.iterations) == (0.5, "paper", 10, 20)
    line = optimizer_line(info, setting)
    assert line.startswith("thalweg.optim.Adam(model.parameters(), lr=0.01")
    optimizer = eval(line, {"thalweg": thalweg, "model": model})
    made(model(torch.ones(3, 2)), torch.tensor([0, 1, 1])).backward()
    optimizer.step()


@pytest.mark.slow
def test_a_race_of_them_repeats_to_the_bit(tmp_path):
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    task = Task(
        lambda: nn.Linear(4, 2), cross_entropy, (x, (x[:, 0] > 0).long()), metric=ACCURACY, name="sign", epochs=2
    )
    results = [
        race([task], ["adaswarm"], seeds=2, budget=2, studies=1, repeats=0, store=tmp_path / str(i), workers=1)
        for i in range(2)
    ]
    hashes = [[one.result_hash for kept in result.records.values() for one in kept] for result in results]
    assert hashes[0] == hashes[1]
    assert {method.name for method in results[0].methods} == {"adaswarm", *COMPOSED["adaswarm"].ablations}
