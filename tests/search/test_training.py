"""Networks trained without a gradient: what is returned, why it stopped, and that it can go on where it was."""

import copy
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from search.networks import stream
from search.scripted import interrupted_after
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from thalweg.search import Population, checkpoint, quantised, train_without_gradients
from thalweg.search.networks.batches import Batches
from thalweg.search.strategies.controls import RandomSearch
from thalweg.search.strategies.natural_evolution import SNES
from thalweg.swarm.losses import F1Loss, ZeroOneLoss
from thalweg.tasks import Examples, accuracy, find, mlp

XOR = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])
PAGE = Path(__file__).parents[2] / "docs" / "search-networks.md"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blobs(rows=90, seed=0):
    """Three classes that a line cannot tell apart."""
    generator = stream(seed)
    x = torch.randn(rows, 2, generator=generator)
    return x, (x.norm(dim=1) > 1).long() + (x[:, 0] > 0).long()


def train(module=None, loss=cross_entropy, data=None, strategy="snes", budget=200, **options):
    module = mlp((2, 6, 3), stream(0)) if module is None else module
    data = blobs() if data is None else data
    return train_without_gradients(module, loss, data, strategy, budget, **{"population": 20, "chunk": 20} | options)


def same(some, others):
    """Whether two trainings ended with the same bits and had the same history, but for the clock."""
    weights = all(map(torch.equal, some.module.state_dict().values(), others.module.state_dict().values()))
    rows = [[(g.evals, g.lowest, g.median, str(g.validation)) for g in each.history] for each in (some, others)]
    return weights and rows[0] == rows[1] and (some.loss, some.evals) == (others.loss, others.evals)


# What is learnt


SLOWER = [pytest.param(name, marks=pytest.mark.slow) for name in ("pgpe", "sep-cma", "cma", "pso", "shade")]


@pytest.mark.parametrize("strategy", ["snes", "de", *SLOWER])
def test_xor_is_learnt(strategy):
    model = mlp((2, 8, 2), stream(0))
    result = train_without_gradients(model, cross_entropy, XOR, strategy, 10_000, target=0.05, chunk=20)
    assert result.reason == "target"
    assert result.module(XOR[0]).argmax(1).tolist() == [0, 1, 1, 0]


@pytest.mark.slow
def test_f1_is_raised_directly():
    """One in eight is of class 1: who always says 0 has an F1 of 0."""
    x = torch.randn(200, 4, generator=stream(0))
    y = (x.sum(1) > 2.3).long()
    result = train(mlp((4, 2), stream(1)), F1Loss("binary"), (x, y), budget=6000)
    assert result.loss == pytest.approx(float(F1Loss("binary")(result.module(x), y).detach()), abs=1e-6)
    assert result.loss < 0.05


@pytest.mark.slow
def test_the_accuracy_of_a_network_of_two_bits_is_raised_directly():
    x = torch.randn(200, 4, generator=stream(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = quantised(mlp((4, 16, 2), stream(1)), bits=2)
    cross_entropy(model(x), y).backward()
    assert all((w.grad == 0).all() for w in model.parameters() if w.dim() == 2)  # gradients know no way
    result = train(model, ZeroOneLoss(), (x, y), budget=10_000, population=50)
    assert accuracy(result.module(x), y) >= 0.93
    assert all(layer.weight.unique().numel() <= 4 for layer in (result.module[0], result.module[3]))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["snes", "pgpe", "sep-cma"])
def test_2410_weights_tell_digits_apart_in_a_minute(strategy):
    workload, test = find("digits").workload_and_test(stream(0))
    train_part, validation = workload.train, workload.validation
    data = Examples(
        torch.cat([train_part.inputs, validation.inputs]), torch.cat([train_part.targets, validation.targets])
    )
    model = mlp((64, 32, 10), stream(0))
    assert sum(w.numel() for w in model.parameters()) == 2410
    result = train_without_gradients(model, cross_entropy, data, strategy, 40_000, population=100, batch_size=256)
    assert accuracy(result.module(test.inputs), test.targets) >= 0.95
    assert result.history[-1].seconds < 180


# What is returned


def test_the_module_that_is_given_stays_and_a_copy_comes_back():
    model = mlp((2, 6, 3), stream(0), dropout=0.2)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    result = train(model, validation=blobs(seed=1))
    assert result.module is not model
    assert not result.module.training
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(w.grad is None and w.requires_grad for w in result.module.parameters())


def test_its_loss_is_that_of_the_module_on_all_of_the_data():
    result = train(budget=1000)
    assert result.loss == pytest.approx(loss_of(result.module, blobs()))
    assert result.loss <= min(generation.lowest for generation in result.history) + 1e-6  # the best, or the middle


def test_validation_data_choose_which_weights_are_kept():
    held = blobs(30, seed=1)
    result = train(budget=2000, validation=held, validate_every=3, batch_size=10)
    looked = [g.validation for g in result.history if not math.isnan(g.validation)]
    assert len(looked) == len(result.history) // 3
    assert result.loss <= min(looked)
    assert result.loss == pytest.approx(loss_of(result.module, held), rel=1e-5)


def test_center_and_best_are_what_the_strategy_says():
    for keep in ("center", "best"):
        result = train(keep=keep, batch_size=30)
        strategy = result.strategy
        expected = strategy.center if keep == "center" else strategy.best.x
        assert torch.equal(nn.utils.parameters_to_vector(result.module.parameters()), expected)


@pytest.mark.parametrize("noise", [{"batch_size": 30}, {"module": mlp((2, 6, 3), stream(0), dropout=0.3)}])
def test_where_luck_has_a_part_the_middle_is_returned_and_not_the_luckiest(noise):
    result = train(**noise)
    expected = result.strategy.center
    assert torch.equal(nn.utils.parameters_to_vector(result.module.parameters()), expected)


def test_of_a_strategy_without_a_middle_the_last_generations_best_are_judged_on_all_of_the_data():
    x, y = blobs()
    sampled.clear()
    result = train(strategy=Recorded(population=20), population=None, batch_size=30, budget=60)
    last = sampled[len(result.history) - 1]
    found = nn.utils.parameters_to_vector(result.module.parameters())
    losses = [loss_of(_with(result.module, row), (x, y)) for row in last]
    assert any(torch.equal(found, row) for row in last)
    assert result.loss == pytest.approx(loss_of(result.module, (x, y)), rel=1e-5)
    assert sum(loss < result.loss - 1e-6 for loss in losses) <= 10  # of twenty, the ten that were not judged at most


sampled = []


class Recorded(RandomSearch):
    """Random search, of which all generations can be seen."""

    def sample(self, s):
        x = super().sample(s)
        sampled.append(x[0].clone())
        return x


@torch.no_grad()
def loss_of(module, data):
    return float(cross_entropy(module(data[0]), data[1]))


def _with(module, x):
    module = copy.deepcopy(module)
    nn.utils.vector_to_parameters(x, module.parameters())
    return module


def test_running_statistics_of_what_is_returned_are_those_of_the_data():
    x, y = blobs(91)  # the last row would be a batch of its own
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3))
    result = train(model, data=(x, y), batch_size=30)
    means = torch.stack([rows.mean(0) for rows in x[:90].split(30)]).mean(0)
    torch.testing.assert_close(result.module[0].running_mean, means)
    assert (model[0].running_mean == 0).all()
    assert result.loss == pytest.approx(loss_of(result.module, (x, y)), rel=1e-5)


def test_in_evaluation_mode_running_statistics_are_the_modules_own_throughout():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3))
    model(blobs()[0])
    before = model[0].running_mean.clone()
    assert torch.equal(train(model, batch_size=30, training=False).module[0].running_mean, before)


def test_tied_and_frozen_weights_stay_that():
    model = mlp((2, 6, 3), stream(0))
    model[0].weight.requires_grad_(False)
    result = train(model)
    assert torch.equal(result.module[0].weight, model[0].weight)
    assert not torch.equal(result.module[0].bias, model[0].bias)


# Batches


def test_batches_of_an_epoch_hold_different_rows_and_all_are_of_one_size():
    x = torch.arange(10.0)
    batches = Batches(Examples(x, x), 3, stream(0))
    assert batches.per_epoch == 3
    epochs = []
    for _ in range(20):
        rows = []
        for _ in range(3):
            inputs, targets = batches.current()
            assert torch.equal(inputs, batches.current()[0])  # the same for everybody
            assert torch.equal(inputs, targets)
            rows += inputs.tolist()
            batches.advance()
        assert len(set(rows)) == 9
        epochs.append(tuple(rows))
    assert len(set(epochs)) == 20
    assert {row for rows in epochs for row in rows} == set(x.tolist())


def test_all_data_are_one_batch_in_their_own_order():
    x = torch.arange(10.0)
    batches = Batches(Examples(x, x), None, stream(0))
    batches.advance()
    assert torch.equal(batches.current()[0], x)


@pytest.mark.slow
def test_data_may_come_in_any_form():
    x, y = blobs()
    dataset = TensorDataset(x, y)
    expected = train(data=(x, y))
    for data in (Examples(x, y), dataset, DataLoader(dataset, batch_size=7), (x.numpy(), y.numpy())):
        assert same(train(data=data), expected)


# Draws


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    options = {"batch_size": 30, "module": mlp((2, 6, 3), stream(0), dropout=0.3)}
    assert same(train(seed=3, **options), train(seed=3, progress=True, **options))
    assert same(train(seed=3, **options), train(generator=stream(3), **options))
    assert not same(train(seed=3, **options), train(seed=4, **options))


def test_an_algorithm_object_is_the_same_as_its_name():
    assert same(train(strategy=SNES(population=20), population=None), train(strategy="snes"))


# Why it stops


def test_the_budget_is_never_exceeded_but_by_the_first_generation():
    assert train(budget=199).evals == 180
    assert train(budget=200).evals == 200
    result = train(budget=5)
    assert (result.evals, result.reason) == (20, "budget")


def test_it_stops_at_the_target():
    result = train(budget=100_000, target=0.7)
    assert result.reason == "target"
    lowest = [generation.lowest for generation in result.history]
    assert lowest[-1] <= 0.7 < min(lowest[:-1])


def test_patience_counts_generations_without_a_lower_loss():
    result = train(loss=lambda outputs, targets: outputs.sum() * 0, patience=4, budget=10_000)
    assert (result.reason, len(result.history)) == ("patience", 5)


def test_time_and_callbacks_end_it():
    assert train(budget=10**9, seconds=0.2).reason == "seconds"
    result = train(budget=10**9, callback=lambda generation: generation.evals >= 60)
    assert (result.reason, result.evals) == ("callback", 60)


@pytest.mark.parametrize("truth", [torch.tensor(True), np.True_, 1], ids=repr)
def test_a_callback_says_stop_by_anything_that_is_true(truth):
    assert train(callback=lambda generation: truth).reason == "callback"


@pytest.mark.parametrize("truth", [None, torch.tensor(False), np.False_, 0], ids=repr)
def test_a_callback_says_go_on_by_anything_that_is_not(truth):
    assert train(callback=lambda generation: truth).reason == "budget"


@pytest.mark.parametrize("rows", [slice(None), slice(3, 4)], ids=["all data", "one row"])
def test_data_that_are_nan_end_it_at_the_first_generation(rows):
    x, y = blobs()
    x[rows] = math.nan
    with pytest.raises(ValueError, match="got nan for all 20 members of the first generation; leave out rows of data"):
        train(data=(x, y), callback=lambda generation: pytest.fail("a generation was made"))


def test_later_generations_that_are_nan_are_survived():
    calls = []

    def loss(outputs, targets):
        calls.append(1)
        return cross_entropy(outputs, targets) * (math.nan if len(calls) > 50 else 1.0)

    result = train(loss=loss, chunk="loop", budget=200)
    assert [math.isfinite(generation.lowest) for generation in result.history[::9]] == [True, False]
    assert all(w.isfinite().all() for w in result.module.parameters())


def test_what_labels_out_of_range_raise_says_what_was_judged_on_what():
    x, y = blobs()
    with pytest.raises(IndexError) as caught:
        train(data=(x, y + 1))
    (note,) = caught.value.__notes__
    assert note.startswith("loss_fn was to judge the module on data: inputs (90, 2), and targets (90,)")
    assert note.endswith("from 1 to 3")


def test_integers_of_numpy_are_integers():
    given = {"budget": 200, "seed": 3, "batch_size": 30, "population": 20, "patience": 50}
    assert same(train(**given), train(**{name: np.int64(value) for name, value in given.items()}))


# Stored and resumed


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 30, "validation": blobs(30, seed=1), "validate_every": 2},
        {"module": mlp((2, 6, 3), stream(0), dropout=0.3), "batch_size": 40},
        {"strategy": "shade", "chunk": 7},
        {"strategy": "random", "batch_size": 30},
    ],
    ids=["all data", "validated batches", "dropout", "shrinking population", "no middle"],
)
def test_a_training_that_is_interrupted_ends_with_the_bits_of_one_that_is_not(tmp_path, options):
    whole = train(budget=600, **options)
    store = tmp_path / "training"

    class Killed(Exception):
        pass

    def kill(generation):
        if len(generations) < 7:
            generations.append(generation)
        else:
            raise Killed

    generations = []
    with pytest.raises(Killed):
        train(budget=600, store=store, store_every=0, callback=kill, **options)
    seen = []
    resumed = train(budget=600, store=store, callback=seen.append, **options)
    assert same(resumed, whole)
    assert 0 < len(seen) < len(whole.history)
    again = train(budget=600, store=store, callback=seen.append, **options)
    assert same(again, whole)


@pytest.mark.parametrize(("owner", "name"), [(Population, "losses"), (SNES, "update")])
def test_a_training_broken_off_within_a_generation_goes_on_from_the_last_whole_one(tmp_path, monkeypatch, owner, name):
    """By Ctrl-C, when masks are drawn already, or the mean has moved, for a generation that is not counted yet."""
    options = {"module": mlp((2, 6, 3), stream(0), dropout=0.3), "batch_size": 40, "budget": 600}
    store, whole, seen = tmp_path / "training", train(**options), []
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "_SPARING", 0.0)  # it keeps the state after every generation
        patched.setattr(owner, name, interrupted_after(getattr(owner, name), calls=7))
        with pytest.raises(KeyboardInterrupt):
            train(store=store, store_every=1e9, **options)
    assert same(train(store=store, callback=seen.append, **options), whole)
    assert len(seen) == len(whole.history) - 6


def test_what_a_loss_raises_loses_no_generation_before(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SPARING", 0.0)
    calls = []

    def loss(outputs, targets):
        if len(calls) == 60:
            raise ZeroDivisionError
        calls.append(1)
        return cross_entropy(outputs, targets)

    with pytest.raises(ZeroDivisionError):
        train(loss=loss, chunk="loop", store=tmp_path / "training", store_every=1e9)
    kept = torch.load(tmp_path / "training", weights_only=True)
    assert len(kept["thalweg search 1"]["history"]) == 2


def test_a_resumed_training_takes_the_chunk_that_was_timed(tmp_path):
    first = train(budget=40, chunk="auto", store=tmp_path / "training")
    assert first.chunk != "auto"
    assert train(budget=80, chunk="auto", store=tmp_path / "training").chunk == first.chunk


def test_a_stored_training_can_be_given_a_larger_budget(tmp_path):
    train(budget=100, store=tmp_path / "training")
    assert same(train(budget=300, store=tmp_path / "training"), train(budget=300))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"data": blobs(seed=5)}, "data"),
        ({"strategy": "pgpe"}, "strategy"),
        ({"batch_size": 10, "validate_every": 1}, "batch_size"),
        ({"seed": 1}, "seed"),
        ({"scale": 1.0}, "scale"),
        ({"training": False}, "training"),
        ({"loss": lambda outputs, targets: cross_entropy(2 * outputs, targets)}, "loss_fn"),
        ({"module": mlp((2, 7, 3), stream(0))}, "module"),
        ({"module": mlp((2, 6, 3), stream(1))}, "weights"),
        ({"params": lambda name, w: w.dim() > 1}, "params"),
        ({"generator": stream(0)}, "seed"),
    ],
)
def test_a_store_of_another_training_is_refused(tmp_path, other, named):
    train(store=tmp_path / "training")
    with pytest.raises(ValueError, match=f"its {named} is"):
        train(store=tmp_path / "training", **other)


def test_the_plot_is_saved(tmp_path):
    train().plot(tmp_path / "losses.svg")
    assert (tmp_path / "losses.svg").stat().st_size > 0


# The page


@pytest.mark.slow
def test_the_examples_of_the_page_run():
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S):
            exec(code, names)
    x, y, best = names["x"], names["y"], names["best"]
    assert F1Loss("binary")(best(x), y) < 0.2
    assert names["loss"] < 0.2
    assert (names["trainer"].forward, names["trainer"].backward, names["trainer"].spent) == (720, 360, 1440)
    assert accuracy(names["network"](x), y) > 0.9
    assert accuracy(names["result"].module(x), y) > 0.95
    assert names["small"][0].weight.unique().numel() <= 4


# Bad input


def with_nan(model):
    with torch.no_grad():
        model[0].bias[1] = math.nan
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be a whole number >= 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number >= 1, got 2.5"),
        ({"patience": 0}, "patience must be a whole number >= 1, got 0"),
        ({"validate_every": 0}, "validate_every must be a whole number >= 1, got 0"),
        ({"scale": None}, "scale must be a number, got None"),
        ({"target": "a"}, "target must be a number, got 'a'"),
        ({"seconds": "a"}, "seconds must be a number, got 'a'"),
        ({"seed": True}, "seed must be a whole number from 0 .*, got True"),
        ({"scale": 0.0}, "scale must be > 0 and finite, got 0.0"),
        ({"target": math.nan}, "target must be finite, or None for no target, got nan"),
        ({"seconds": 0}, "seconds must be > 0, or None for no limit, got 0"),
        ({"keep": "last"}, "keep must be None or one of best, center, got 'last'"),
        ({"seed": -1}, "seed must be a whole number from 0 .*, got -1"),
        ({"generator": 3}, "generator must be a torch.Generator or None, got 3"),
        ({"strategy": "snees"}, "'snees' is unknown .did you mean snes"),
        ({"population": 1}, "population must be a whole number >= 2, got 1"),
        ({"lr": 0.1}, "'lr' is no hyperparameter of snes"),
        ({"data": torch.zeros(3)}, "data must be Examples, .* got Tensor"),
        ({"data": (torch.zeros(3, 2), torch.zeros(2))}, "data has 3 inputs but 2 targets"),
        ({"validation": 5}, "validation must be Examples, .* got int"),
        ({"loss": lambda outputs, targets: outputs}, "loss_fn must return one number .* got a tensor of shape"),
        ({"callback": 3}, "callback must be a function or None, got 3"),
        ({"callback": lambda _: torch.ones(2)}, r"callback must return True to stop, or None or False, got tensor"),
        ({"store": 5}, "store must be the path of a file, got 5"),
        ({"params": ["0.weight"]}, r"params must be a function .* got \['0.weight'\]"),
        ({"chunk": "all"}, "chunk must be .* got 'all'"),
        ({"x0": torch.zeros(39)}, "x0 must be left out, for a search begins at the weights of the network; got tensor"),
        ({"sigma0": 0.1}, "sigma0 must be left out, for scale says how far .* got 0.1"),
        ({"runs": 2}, "runs must be left out, for one network is one run; .* got 2"),
        ({"dtype": torch.float64}, "dtype must be left out, for it is that of the network; got torch.float64"),
        ({"bounds": (-1, 1)}, "bounds must be left out, for the weights of a network have none"),
        (
            {"module": with_nan(mlp((2, 6, 3), stream(0)))},
            r"module must have finite weights.* got inf or nan in 0\.bias",
        ),
        ({"strategy": "ga-lamarckian"}, r"'ga-lamarckian' is no strategy by itself.* thalweg.search.Memetic"),
    ],
)
def test_bad_arguments_are_named_and_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        train(**options)
