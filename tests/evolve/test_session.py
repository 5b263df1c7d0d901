"""A session trains every candidate as its own optimizer would alone, whoever else is trained with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, cross_entropy

from thalweg.evolve import lending
from thalweg.evolve.session import Session
from thalweg.optim import RuleOptimizer
from thalweg.race.seeds import Seed, Stream
from thalweg.race.training import batch_order
from thalweg.rules import Rule
from thalweg.tasks import Task, dropout
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import mlp

EPOCHS = 3
LEARNING = (
    Rule("descent", "w = w - 0.1*g"),
    Rule("momentum", "v = beta*v + g\nw = w - lr*v", lr=0.03, beta=0.9),
    Rule("sign", "w = w - 0.01*sign(g)"),
    Rule("adaptive", "m = 0.9*m + 0.1*g\nv = 0.99*v + 0.01*g*g\nw = w - 0.01*m/(sqrt(v)/sqrt(1 - 0.99**t) + 1e-8)"),
    Rule("scaled", "w = w - 0.1*g/(norm(g) + 0.1)"),
)
BLOWN_UP = Rule("blown up", "w = w + 1e30*g")
TWO = Rule("slow", "w = w - 0.001*g")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_norm(generator: torch.Generator) -> nn.Module:
    first, last = mlp((4, 8, 3), generator)[0], mlp((8, 3), generator)[0]
    first.bias = None  # its gradient would be nothing but rounding
    return nn.Sequential(first, nn.BatchNorm1d(8), nn.ReLU(), last)


class Branching(nn.Module):
    """The same as the network in it, but that a value of its data decides what is worked out: no trace can say that."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if x.sum().item() < 1e9 else self.inner(-x)


def branching(generator: torch.Generator) -> nn.Module:
    return Branching(mlp((4, 8, 3), generator, 0.2))


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    targets = torch.randint(3, (100,), generator=generator)
    return torch.randn(100, 4, generator=generator) + 2 * nn.functional.one_hot(targets, 4), targets


SEED = Seed(3, "blobs", 1)
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": partial(mlp, (4, 8, 3)),
    "dropout": partial(mlp, (4, 8, 3), dropout=0.3),
    "batch norm": with_norm,
    "branching": branching,
}


def task(network: str = "mlp") -> Task:
    model = NETWORKS[network]
    return Task(model, cross_entropy, data, metric=ACCURACY, name="blobs", batch_size=16, epochs=EPOCHS)


def alone(rule: Rule, task: Task, seed: Seed, epochs: int) -> tuple[float, float, float]:
    """The score, loss and test score of one network in a plain loop."""
    workload, test = task.workload_and_test(seed.generator(Stream.SPLIT))
    network = dropout.with_own_dropout(workload.network(seed.generator(Stream.INIT))).train()
    generator = seed.generator(Stream.DROPOUT)
    for layer in dropout.layers(network).values():
        layer.generator = generator
    optimizer = RuleOptimizer(network.parameters(), rule, backend="plain")
    for order in batch_order(len(workload.train), epochs, seed.generator(Stream.ORDER)):
        for rows in order.split(task.batch_size):
            optimizer.zero_grad()
            task.loss(network(workload.train.inputs[rows]), workload.train.targets[rows]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        answers, tested = network(workload.validation.inputs), network(test.inputs)
        score = float(task.metric.function(answers, workload.validation.targets))
        loss = float(task.loss(answers, workload.validation.targets))
        return score, loss, float(task.metric.function(tested, test.targets))


def results(session: Session) -> np.ndarray:
    return np.stack([session.scores(), session.losses(), session.test_scores()], axis=1)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_session_is_training_each_candidate_alone(network):
    own = task(network)
    session = Session(LEARNING, own, SEED)
    session.advance(EPOCHS)
    expected = [alone(rule, own, SEED, EPOCHS) for rule in LEARNING]
    np.testing.assert_allclose(results(session), expected, rtol=2e-4)


def test_only_a_network_that_cannot_be_stacked_is_trained_one_after_another():
    for network in NETWORKS:
        session = Session(LEARNING, task(network), SEED)
        session.step(1)
        assert session.singly == (len(LEARNING) if network == "branching" else 0)


def test_all_candidates_begin_alike_and_equal_rules_stay_equal_to_the_bit():
    session = Session([LEARNING[1], LEARNING[0], LEARNING[1]], task("dropout"), SEED)
    score, loss = session.untrained()
    assert session.scores().tolist() == [score] * 3
    np.testing.assert_allclose(session.losses(), loss, rtol=1e-5)
    session.advance(EPOCHS)
    losses = session.losses()
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("network", ["dropout", "branching"])
def test_a_neighbour_that_is_not_finite_changes_no_bit_and_scores_minus_infinity(network):
    own = task(network)
    calm, wild = Session([*LEARNING, TWO], own, SEED), Session([*LEARNING, BLOWN_UP], own, SEED)
    for session in (calm, wild):
        session.advance(1)
    np.testing.assert_array_equal(results(calm)[:-1], results(wild)[:-1])
    assert results(wild)[-1].tolist() == [-np.inf, np.inf, -np.inf]
    assert wild.examples[-1] < calm.examples[-1]


class Probability(nn.Module):
    """The chance of one of two classes."""

    def __init__(self, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = mlp((4, 8, 1), generator, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.inner(x)).squeeze(-1)


def chance_task(dropout: float) -> Task:
    inputs, targets = data()
    return Task(
        partial(Probability, dropout),
        binary_cross_entropy,
        (inputs, (targets == 0).float()),
        name="chance",
        batch_size=16,
    )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_loss_that_raises_on_what_is_not_finite_fails_only_the_candidate_whose_it_is(dropout):
    session = Session([LEARNING[0], Rule("divided", "w = w - 0.1*g/0"), LEARNING[1]], chance_task(dropout), SEED)
    session.advance(EPOCHS)
    scores = session.scores()
    assert (scores[1], session.singly) == (-np.inf, 0)
    assert session.examples[1] == 16
    expected = [alone(rule, chance_task(dropout), SEED, EPOCHS)[0] for rule in LEARNING[:2]]
    np.testing.assert_allclose(scores[[0, 2]], expected, rtol=2e-4)


def particular(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that raises as soon as anything has been learnt."""
    loss = cross_entropy(outputs, targets)
    if loss.item() < 0.5:
        raise RuntimeError("far too good")
    return loss


def test_a_loss_that_raises_at_what_a_candidate_has_made_of_the_weights_fails_that_candidate():
    own = Task(partial(mlp, (4, 8, 3)), particular, data, name="particular", metric=ACCURACY, batch_size=16)
    session = Session([LEARNING[0], TWO], own, SEED)
    session.advance(30)
    assert session.scores()[0] == -np.inf
    assert session.scores()[1] > 0


def failing(outputs: Tensor, targets: Tensor) -> Tensor:
    raise RuntimeError("no loss today")


@pytest.mark.parametrize("chunk", [None, 2])
def test_a_loss_that_raises_before_any_step_is_an_error_that_names_the_task(chunk):
    own = Task(NETWORKS["mlp"], failing, data, name="broken", metric=ACCURACY)
    with pytest.raises(ValueError, match=r"task broken: training its network failed: RuntimeError: no loss today"):
        Session(LEARNING, own, SEED, chunk=chunk).step(1)


def test_dropping_some_leaves_the_others_going_on_as_they_would():
    rules = [*LEARNING, TWO, BLOWN_UP, *LEARNING]
    keep = np.array([False, True, False, True, True, False, False, True, False, False, True, False])
    own = task("dropout")
    whole, part = Session(rules, own, SEED), Session(rules, own, SEED)
    whole.advance(EPOCHS)
    part.advance(1)
    part.drop(keep)
    assert len(part) == keep.sum()
    part.advance(1)
    part.drop(np.array([True, True, False, True, True]))
    part.advance(EPOCHS - 2)
    keep[4] = False
    np.testing.assert_allclose(results(part), results(whole)[keep], rtol=2e-4)
    np.testing.assert_array_equal(part.examples, whole.examples[keep])


def test_the_size_of_cohorts_changes_results_by_rounding_alone():
    rules = [*LEARNING, TWO, BLOWN_UP]
    own = task("dropout")
    sessions = [Session(rules, own, SEED, chunk=chunk) for chunk in (None, 1, 3)]
    for session in sessions:
        session.advance(EPOCHS)
    assert [len(session._groups) for session in sessions] == [1, 7, 3]
    for session in sessions[1:]:
        np.testing.assert_allclose(results(session), results(sessions[0]), rtol=2e-4)


def test_steps_and_parts_of_epochs_add_up():
    own = task()
    whole, parts = Session(LEARNING, own, SEED), Session(LEARNING, own, SEED)
    assert whole.steps_per_epoch == 4  # 60 examples to train on, in batches of 16
    whole.step(11)
    for _ in range(11):
        parts.advance(0.25)
    np.testing.assert_array_equal(results(whole), results(parts))
    assert whole.examples.tolist() == [2 * 60 + 3 * 16] * len(LEARNING)


def test_seeds_differ_in_split_weights_and_order_and_repeat_themselves():
    own = task("dropout")

    def losses(rep: int, advance: float) -> list[float]:
        session = Session(LEARNING, own, Seed(3, "blobs", rep))
        session.advance(advance)
        return session.losses().tolist()

    untrained = [losses(rep, 0) for rep in range(4)]
    assert np.std([each[0] for each in untrained]) > 0
    first = losses(0, 1)
    assert losses(1, 1) != first
    assert losses(0, 1) == first  # in cohorts that another seed has used in between


def test_the_global_generators_are_left_as_they_were():
    before = torch.random.get_rng_state()
    session = Session(LEARNING, task("dropout"), SEED)
    session.advance(1)
    session.scores()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_test_part_is_only_read_when_its_scores_are_asked_for(monkeypatch):
    own = task()
    asked = []
    whole = Task.workload_and_test
    monkeypatch.setattr(Task, "workload", lambda self, split: whole(self, split)[0])
    monkeypatch.setattr(Task, "workload_and_test", lambda self, split: asked.append(1) or whole(self, split))
    session = Session(LEARNING, own, SEED)
    session.advance(1)
    session.scores()
    assert not asked
    session.test_scores()
    assert asked == [1]


def test_members_in_a_cohort_follow_from_the_network_alone_and_bound_its_memory():
    own = task()
    workload = own.workload(SEED.generator(Stream.SPLIT))
    small = workload.network(SEED.generator(Stream.INIT))
    large = mlp((4, 4000, 4000, 3), SEED.generator(Stream.INIT))
    batch = workload.train[:16]
    assert lending.most_members(own, small, batch) == lending.MOST_MEMBERS
    assert lending.most_members(own, large, batch) == 1


def test_a_cohort_has_at_most_a_third_of_its_members_to_fill_it_up():
    for members in range(1, 600):
        size = lending.padded(members)
        assert members <= size <= max(members, 1.5 * members - 1)
    assert len({lending.padded(members) for members in range(1, 513)}) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rules": []}, "rules must hold at least one"),
        ({"batch": 0}, "batch must be a whole number of at least 1, got 0"),
        ({"chunk": 2.5}, "chunk must be a whole number of at least 1, got 2.5"),
    ],
)
def test_arguments_out_of_bounds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Session(**{"rules": LEARNING, "task": task(), "seed": SEED, **arguments})


def test_calls_out_of_bounds_are_refused():
    session = Session(LEARNING, task(), SEED)
    for epochs in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="epochs must be a number of at least 0"):
            session.advance(epochs)
    for keep in (np.ones(4, dtype=bool), np.ones(5)):
        with pytest.raises(ValueError, match="keep must be one bool for each of 5 candidates"):
            session.drop(keep)
