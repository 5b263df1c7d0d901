"""Strategies and gradients together: what is inherited, when one gives way to the other, and what it all costs."""

import copy

import pytest
import torch
from torch import nn

from thalweg.search import Bandit, ESDescent, Generations, InformedMutation, Memetic, ThenGradient

INPUTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]])
TARGETS = torch.tensor([[1.0], [-2.0], [-1.0], [4.0]])


def network():
    layer = nn.utils.skip_init(nn.Linear, 2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, 0.25]]))
    return layer


def loss(outputs, targets):
    return (outputs - targets).square().mean()


def slope(w):
    """Of the loss, for weights (P, 2)."""
    residual = w @ INPUTS.T - TARGETS.T
    return 2 * residual @ INPUTS / len(INPUTS)


def trainer(kind, **options):
    return kind(network(), loss, chunk="loop", generator=torch.Generator().manual_seed(1), **options)


def asked(trained):
    return trained.strategy.ask()


@pytest.mark.parametrize(("steps", "lr"), [(1, 0.1), (3, 0.05)])
def test_lamarckian_members_inherit_their_steps_and_baldwinian_ones_do_not(steps, lr):
    expected = {}
    for lamarckian in (True, False):
        trained = trainer(Memetic, strategy="de", population=6, steps=steps, lr=lr, lamarckian=lamarckian)
        born = asked(trained)
        improved = born
        for _ in range(steps):
            improved = improved - lr * slope(improved)
        trained.step(INPUTS, TARGETS)
        fitness = (improved @ INPUTS.T - TARGETS.T).square().mean(1)
        expected[lamarckian] = improved if lamarckian else born
        best = trained.strategy.best
        torch.testing.assert_close(best.f, fitness.min())
        torch.testing.assert_close(best.x, expected[lamarckian][fitness.argmin()])
        torch.testing.assert_close(trained.network.weight.detach()[0], improved[fitness.argmin()])
        assert trained.forward == 6 * (steps + 1)
        assert trained.backward == 6 * steps


def test_without_a_step_to_speak_of_a_memetic_strategy_is_the_strategy():
    memetic = trainer(Memetic, strategy="de", population=6, lr=0.0)
    plain = trainer(Generations, strategy="de", population=6)
    for _ in range(5):
        memetic.step(INPUTS, TARGETS)
        plain.step(INPUTS, TARGETS)
    assert torch.equal(asked(memetic), asked(plain))


def test_mutations_lean_down_the_gradient_by_a_drawn_share():
    trained = trainer(InformedMutation, strategy="de", population=6, lr=0.5, scale=0.2)
    born, twin = trained.strategy.ask(), torch.Generator()
    twin.set_state(trained.generator.get_state())
    torch.randint(2**62, (), generator=twin)  # the seed of what the network may draw
    share = torch.rand(6, 1, generator=twin)
    down = slope(torch.tensor([[0.5, 0.25]]))
    far = 0.2 * trained.members.spread.norm()
    moved = born - share * 0.5 * far * down / down.norm()
    trained.step(INPUTS, TARGETS)
    fitness = (moved @ INPUTS.T - TARGETS.T).square().mean(1)
    torch.testing.assert_close(trained.strategy.best.x, moved[fitness.argmin()])
    assert (trained.forward, trained.backward) == (7, 1)


def test_the_optimizer_takes_over_where_generations_stop_getting_better_and_is_that_optimizer():
    trained = trainer(ThenGradient, strategy="random", population=4, scale=1e-6, patience=3, rule="sgd", lr=0.1)
    generations = 0
    while trained.searching:
        trained.step(INPUTS, TARGETS)
        generations += 1
    assert generations == 2 * 3
    w = trained.network.weight.detach().clone()
    trained.step(INPUTS, TARGETS)
    torch.testing.assert_close(trained.network.weight.detach(), w - 0.1 * slope(w))
    assert (trained.forward, trained.backward) == (6 * 4 + 1, 1)


def test_progress_keeps_the_strategy_going_until_its_share_of_the_budget_is_spent():
    trained = trainer(ThenGradient, strategy="snes", population=40, scale=0.3, patience=3, least=0.0, budget=1000)
    while trained.searching:
        trained.step(INPUTS, TARGETS)
    assert trained.forward == 480  # twelve generations; a thirteenth would have gone beyond a half


def test_batches_of_which_one_was_easy_do_not_end_the_search():
    trained = trainer(ThenGradient, strategy="snes", population=40, scale=0.3, patience=3)
    trained._lowest.extend([4.0, 0.1, 4.0, 2.0, 2.0, 2.0])
    assert not trained._stalled()
    trained._lowest.extend([2.0, 2.0, 2.0])
    assert trained._stalled()


@pytest.mark.parametrize(("scale", "lr", "favourite"), [(1.0, 0.0, "strategy"), (1e-6, 0.02, "gradient")])
def test_the_bandit_comes_to_take_what_gains_more_per_pass(scale, lr, favourite):
    trained = trainer(Bandit, strategy="snes", population=20, scale=scale, rule="sgd", lr=lr, explore=0.02)
    for _ in range(20):
        trained.step(INPUTS, TARGETS)
    (other,) = trained.taken.keys() - {favourite}
    assert trained.taken[favourite] > 4 * trained.taken[other]
    assert sum(trained.taken.values()) == 20


def test_gains_are_per_pass_and_averaged_and_what_diverged_has_lost_all():
    trained = trainer(Bandit, strategy="snes", population=20, memory=0.5)
    trained._learn("strategy", 5.0, 1.0, 20)
    trained._learn("strategy", 1.0, 1.0, 20)
    trained._learn("gradient", 3.0, float("nan"), 3)
    trained._learn("gradient", float("nan"), 3.0, 3)
    assert trained.gains == {"strategy": pytest.approx(0.1), "gradient": pytest.approx(-1.0)}


def test_a_bandit_that_always_explores_takes_both_alike():
    trained = trainer(Bandit, strategy="snes", population=8, scale=0.1, rule="sgd", lr=0.01, explore=1.0)
    for _ in range(60):
        trained.step(INPUTS, TARGETS)
    assert 15 <= trained.taken["strategy"] <= 45


def test_after_steps_of_the_optimizer_the_strategy_looks_around_where_the_network_is():
    trained = trainer(Bandit, strategy="snes", population=20, scale=1e-6, rule="sgd", lr=0.1)
    while not trained.taken["gradient"]:
        trained.step(INPUTS, TARGETS)
    torch.testing.assert_close(trained.strategy.center, trained.members.weights())


@pytest.mark.parametrize("kind", [Generations, Memetic, ThenGradient, InformedMutation, Bandit, ESDescent])
def test_what_is_spent_is_what_was_said_it_would_cost(kind):
    trained = trainer(kind, population=12, scale=0.5, **({"patience": 2} if kind is ThenGradient else {}))
    for _ in range(8):
        said, before = trained.cost, trained.spent
        trained.step(INPUTS, TARGETS)
        assert trained.spent - before == said


class Normalised(nn.Module):
    """With batch normalisation, dropout, and where it is asked for a branch on values, which no stack can follow."""

    def __init__(self, branches):
        super().__init__()
        self.first, self.norm = nn.utils.skip_init(nn.Linear, 2, 4), nn.BatchNorm1d(4)
        self.drop, self.last = nn.Dropout(0.2), nn.utils.skip_init(nn.Linear, 4, 1)
        self.branches = branches
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for w in self.parameters():
                w.copy_(torch.randn(w.shape, generator=generator))

    def forward(self, x):
        x = self.norm(self.first(x))
        return self.last(self.drop(x if not self.branches or x.sum() > -1e9 else -x))


@pytest.mark.parametrize("branches", [False, True])
@pytest.mark.parametrize("kind", [Generations, Memetic, ThenGradient, InformedMutation, Bandit, ESDescent])
def test_normalisation_dropout_and_branches_are_no_trouble(kind, branches):
    before = torch.get_rng_state()
    module = Normalised(branches)
    trained = kind(module, loss, population=4, chunk="loop", generator=torch.Generator().manual_seed(1))
    for _ in range(14):
        trained.step(3 + INPUTS, TARGETS)
    assert module.norm.num_batches_tracked == 14
    # In evaluation mode it answers by the statistics of what it was trained on.
    inside = module.first(3 + INPUTS).detach()
    assert (module.norm.running_mean - inside.mean(0)).norm() < 0.8 * inside.mean(0).norm()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", [Memetic, ThenGradient, InformedMutation, Bandit])
def test_a_loss_made_of_steps_has_gradient_zero(kind):
    def steps(outputs, targets):
        return ((outputs > 0) != (targets > 0)).double().mean()

    trained = kind(network(), steps, population=6, chunk="loop", generator=torch.Generator().manual_seed(1))
    for _ in range(12):
        trained.step(INPUTS, TARGETS)
    assert trained.members.weights().isfinite().all()


def test_an_estimated_gradient_leads_down_and_is_charged_by_its_evaluations():
    trained = trainer(ESDescent, population=20, rule="adam", lr=0.1)
    first = float(loss(trained.network(INPUTS), TARGETS).detach())
    for _ in range(60):
        trained.step(INPUTS, TARGETS)
    assert float(loss(trained.network(INPUTS), TARGETS).detach()) < 0.05 * first
    assert (trained.forward, trained.backward) == (1200, 0)


@pytest.mark.parametrize("kind", [Generations, Memetic, ThenGradient, InformedMutation, Bandit, ESDescent])
def test_a_trainer_twice_gives_the_same_bits_and_leaves_the_global_generator_alone(kind):
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        trained = trainer(kind, population=8)
        for _ in range(6):
            trained.step(INPUTS, TARGETS)
        found.append(copy.deepcopy(trained.network.weight.detach()))
    assert torch.equal(*found)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (Generations, {"scale": 0.0}, r"scale must be > 0 and finite, got 0\.0"),
        (Generations, {"strategy": "snees"}, r"'snees' is unknown"),
        (Memetic, {"steps": 0}, r"steps must be .* got 0"),
        (ThenGradient, {"patience": 0}, r"patience must be .* got 0"),
        (ThenGradient, {"least": 1.0}, r"least must be in \[0, 1\), got 1\.0"),
        (Bandit, {"explore": 0.0}, r"explore must be in \(0, 1\], got 0\.0"),
        (Bandit, {"memory": 2.0}, r"memory must be in \(0, 1\], got 2\.0"),
        (Bandit, {"strategy": "de"}, r"strategy must have a middle, .* got 'de'"),
        (ThenGradient, {"most": 0.0}, r"most must be in \(0, 1\], got 0\.0"),
        (Memetic, {"rule": "adamm"}, r"adamm"),
        (Memetic, {"lr": -1.0}, r"lr must be in .* got -1\.0"),
        (ESDescent, {"scale": -1.0}, r"scale must be > 0"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name_and_value(kind, options, words):
    with pytest.raises(ValueError, match=words):
        trainer(kind, **options)
