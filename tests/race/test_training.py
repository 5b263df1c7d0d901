"""The training loop: epochs, batches, early stopping, the plateau schedule, divergence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from race.teams import CPU, difference, member, network, order_for, trained, weights_of, workload

from thalweg.race.alone import Alone
from thalweg.race.recipe import Recipe
from thalweg.race.seeds import Stream
from thalweg.race.training import batch_order, first_batches, train


class Played:
    """A team that does nothing but note its steps, with validation losses as written: one list a member."""

    def __init__(self, losses: list[list[float]]) -> None:
        self.members = len(losses)
        self.losses_to_come = np.array(losses).T
        self.epoch = 0
        self.steps: list[tuple[list[float], list[bool], int]] = []
        self.kept: list[list[bool]] = []

    def step(self, rows, factors, active):
        self.steps.append((factors.tolist(), active.tolist(), rows.shape[1]))

    def outputs(self, part):
        return part

    def losses(self, outputs, part):
        return self.losses_to_come[self.epoch] if part == "validation" else np.ones(self.members)

    def metrics(self, outputs, part):
        self.epoch += 1  # it is asked last
        return np.zeros(self.members)

    def keep(self, better):
        self.kept.append(better.tolist())


def play(losses: list[list[float]], *recipes: Recipe, examples: int = 4, batch: int = 4):
    team = Played(losses)
    orders = [torch.arange(examples).expand(len(losses[0]) - 1, -1)] * len(losses)
    return team, train(team, recipes, orders, batch)


def test_an_epoch_goes_through_all_examples_and_the_last_batch_may_be_smaller():
    team, _ = play([[1.0, 1.0]], Recipe(), examples=10, batch=4)
    assert [size for _, _, size in team.steps] == [4, 4, 2]


def test_training_ends_after_so_many_epochs_without_a_lower_loss():
    """The second member's best is that before training; the third's never stays away for two epochs."""
    losses = [[3, 2, 2.5, 2.1, 9, 9, 9], [1, 2, 3, 9, 9, 9, 9], [9, 8, 8.5, 7, 7.5, 6, 6.5]]
    team, curves = play(losses, *[Recipe(patience=2)] * 3)
    assert (curves.lengths - 1).tolist() == [3, 2, 6]
    assert [active for _, active, _ in team.steps] == [
        [True] * 3, [True] * 3, [True, False, True], [False, False, True], [False, False, True], [False, False, True]
    ]  # fmt: skip
    assert curves.of("validation_loss", 0) == (3, 2, 2.5, 2.1)


def test_without_patience_training_goes_on_to_the_end():
    assert play([[1, 2, 3, 4, 5]], Recipe())[1].lengths.tolist() == [5]


def test_the_weights_of_the_lowest_loss_are_kept_the_untrained_ones_too():
    team, _ = play([[3, 2, 2.5, 1], [1, 1, 1, 1]], Recipe(), Recipe())
    assert team.kept == [[True, True], [True, False], [False, False], [True, False]]


def test_a_plateau_cuts_the_rate_to_a_tenth_after_a_tenth_of_the_epochs():
    """Thirty epochs, so three without a lower loss; and three more for the next cut."""
    losses = [[5, 4, *[4] * 29], [float(31 - k) for k in range(31)]]
    team, _ = play(losses, *[Recipe(schedule="plateau")] * 2)
    rates = np.array([factors for factors, _, _ in team.steps])
    assert rates[:, 0] == pytest.approx([1] * 4 + [0.1] * 3 + [0.01] * 3 + [1e-3] * 3 + [1e-4] * 3 + [1e-5] * 3
                                        + [1e-6] * 3 + [1e-7] * 3 + [1e-8] * 3 + [1e-9] * 2)  # fmt: skip
    assert (rates[:, 1] == 1).all()


def test_a_trial_that_is_not_finite_has_diverged_and_its_curve_ends_before_that():
    team, curves = play([[2, 1, math.nan, 1, 1], [2, 1, 1, 1, math.inf], [2, 1, 1, 1, 1]], *[Recipe()] * 3)
    assert curves.diverged.tolist() == [True, True, False]
    assert curves.of("validation_loss", 0) == (2, 1)
    assert curves.of("validation_loss", 1) == (2, 1, 1, 1)
    assert [active[0] for _, active, _ in team.steps] == [True, True, False, False]


def test_when_all_have_ended_nothing_more_is_done():
    team, _ = play([[math.nan] * 9, [1, math.nan, *[1] * 7]], Recipe(), Recipe())
    assert [active for _, active, _ in team.steps] == [[False, True]]


def test_a_trial_whose_loss_is_finite_only_later_has_diverged_all_the_same():
    _, curves = play([[math.inf, 1, 1]], Recipe())
    assert curves.diverged.tolist() == [True]
    assert curves.of("validation_loss", 0) == ()


def test_a_metric_that_is_not_finite_at_first_is_the_tasks_fault_and_later_the_trials():
    class Unjudged(Played):
        def metrics(self, outputs, part):
            super().metrics(outputs, part)
            return np.full(1, math.nan if self.epoch > self.first else 0.0)

    for first in (0, 2):
        team = Unjudged([[2, 1, 1, 1]])
        team.first = first
        orders = [torch.zeros(3, 4, dtype=torch.int64)]
        if first:
            assert train(team, [Recipe()], orders, 4).of("validation_loss", 0) == (2, 1)
        else:
            with pytest.raises(ValueError, match="the metric must be finite where the loss is, got nan"):
                train(team, [Recipe()], orders, 4)


def test_every_epoch_has_a_permutation_of_its_own():
    order = batch_order(9, 3, torch.Generator().manual_seed(0))
    assert order.sort(1).values.tolist() == [list(range(9))] * 3
    assert len({tuple(row) for row in order.tolist()}) == 3
    assert torch.equal(order, batch_order(9, 3, torch.Generator().manual_seed(0)))
    batches = first_batches(order, 4)
    assert [len(batch) for batch in batches] == [4, 4, 1] * 3
    assert len(first_batches(batch_order(50, 5, torch.Generator()), 1)) == 100


def test_training_is_gradient_descent_on_the_batches_in_their_order():
    """Written out, with cosine, decay, l1 and torch's SGD."""
    one = member("sgd", 0, lr=0.2, schedule="cosine", l1=0.01, weight_decay=0.1)
    team = Alone(one, CPU)
    curves = trained(team, [one])
    net = network(one.seed.generator(Stream.INIT))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, weight_decay=0.1)
    step, losses = 0, []
    for order in order_for(one):
        for rows in order.split(8):
            optimizer.param_groups[0]["lr"] = 0.2 * (1 + math.cos(math.pi * step / 50)) / 2
            optimizer.zero_grad()
            data = one.workload.train[rows]
            penalty = 0.01 * sum(weight.abs().sum() for weight in net.parameters())
            (one.workload.loss(net.eval()(data.inputs), data.targets) + penalty).backward()
            optimizer.step()
            step += 1
        data = one.workload.validation
        losses.append(one.workload.loss(net(data.inputs), data.targets).item())
    assert curves.of("validation_loss", 0)[1:] == pytest.approx(losses, rel=1e-9)
    assert difference(weights_of(team), dict(net.named_parameters())) < 1e-9
    assert team.counts.forward.tolist() == team.counts.steps.tolist() == [50]
    assert team.counts.examples.tolist() == [400]


def test_a_batch_size_of_ones_own_changes_the_steps_and_not_the_order():
    given = workload(examples=20, epochs=2)
    counted = {}
    for size in (1, 7, "full", None):
        one = member("sgd", 0, given, batch_size=size)
        team = Alone(one, CPU)
        trained(team, [one])
        counted[size] = (team.counts.steps[0], team.counts.examples[0])
    assert counted == {1: (40, 40), 7: (6, 40), "full": (2, 40), None: (6, 40)}
    assert replace(given, batch_size=50).batch_size == 50
    assert member("sgd", 0, replace(given, batch_size=50)).batch == 20
