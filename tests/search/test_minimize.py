"""`minimize`: what it counts, when it stops, what it makes of f, and that it goes on as if nothing had happened."""

import functools
import io
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from search.functions import HIGH, LOW, Function, evaluations_to, strategy_for
from search.scripted import Countdown, Recorded, bowl, interrupted_after

from thalweg.search import (
    IPOP,
    LBFGS,
    Bits,
    Box,
    Descent,
    History,
    Strategy,
    checkpoint,
    minimize,
    train_without_gradients,
)
from thalweg.search.convergence import quartiles
from thalweg.search.functions.objective import _Call
from thalweg.search.functions.tally import Tally
from thalweg.search.strategies.particle_swarm import PSO

BOUNDS = (-5.0, 5.0)
RUNS = 3


def same(one, other):
    """Whether two results are equal bit for bit."""
    pairs = zip(_histories(one), _histories(other), strict=True)
    return (
        torch.equal(one.x, other.x)
        and torch.equal(one.f, other.f)
        and torch.equal(one.evals, other.evals)
        and torch.equal(one.restarts, other.restarts)
        and (one.reason, one.failures) == (other.reason, other.failures)
        and all(torch.equal(a.evals, b.evals) and torch.equal(a.f, b.f) for a, b in pairs)
    )


def _histories(result):
    return [result.history] if isinstance(result.history, History) else result.history


# What is counted


@pytest.mark.parametrize("budget", [100, 199, 200, 999])
def test_a_generation_that_would_exceed_the_budget_is_not_begun(budget):
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy="random", population=100, budget=budget)
    assert f.sizes == [100] * (budget // 100)  # one call a generation
    assert result.evals == sum(f.sizes)
    assert result.reason == "budget"


def test_a_budget_below_the_population_buys_one_generation():
    result = minimize(bowl, BOUNDS, 3, strategy="random", population=100, budget=7)
    assert (result.evals, result.reason) == (100, "budget")


def test_without_a_budget_it_is_a_thousand_evaluations_a_dimension():
    assert minimize(bowl, BOUNDS, 3, strategy="random", population=100).evals == 3000


@pytest.mark.parametrize("name", ["random", "pso", "de"])
def test_it_finds_what_the_strategy_finds_by_ask_and_tell(name):
    function = Function("sphere", runs=1, dim=4)
    hit, _ = evaluations_to(1.0, function, strategy_for(function, name, 20_000), 20_000)
    result = minimize(function, (LOW, HIGH), 4, strategy=name, budget=20_000, target=1.0)
    assert result.evals == hit[0]
    assert result.reason == "target"


def test_the_target_counts_to_the_very_evaluation():
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy="random", population=100, target=1.0)
    values = np.array(f.values)
    assert result.evals == 1 + (values <= 1.0).argmax()
    assert result.f == values[result.evals - 1]
    assert torch.equal(bowl(result.x), result.f)
    assert result.history.first(1.0) == result.evals == result.history.evals[-1]
    assert bool(result.solved)


def test_the_history_is_the_lowest_value_so_far_at_every_evaluation():
    f = Recorded(bowl)
    history = minimize(f, BOUNDS, 3, strategy="random", population=7, budget=700).history
    lowest = np.minimum.accumulate(f.values)
    assert torch.equal(history.at(torch.arange(1, 701)), torch.from_numpy(lowest))
    assert history.at(0) == torch.inf
    assert len(history.f) == len(np.unique(lowest))  # compact: only where it changed
    assert history.first(-1.0) is None


# Several runs


def test_of_several_runs_only_those_under_way_are_evaluated_all_in_one_call():
    f = Recorded(bowl)
    algorithm = Countdown(life=torch.tensor([1, 4, 2]))
    result = minimize(f, BOUNDS, 3, strategy=algorithm, runs=3)
    assert f.sizes == [12, 8, 4, 4]
    assert result.evals.tolist() == [4, 16, 8]
    assert result.reason == ("tired",) * 3
    assert result.x.shape == (3, 3)
    assert result.f.shape == result.restarts.shape == (3,)
    assert [int(history.evals[0]) for history in result.history] == [1, 1, 1]


@pytest.mark.parametrize("name", ["random", "pso", "de"])
def test_each_run_with_a_seed_of_its_own_is_what_it_would_be_alone(name):
    arguments = dict(bounds=BOUNDS, dim=3, strategy=name, budget=2000, target=0.5)
    together = minimize(bowl, **arguments, runs=RUNS, seed=[3, 4, 5])
    for run, seed in enumerate([3, 4, 5]):
        alone = minimize(bowl, **arguments, seed=seed)
        assert alone.evals == together.evals[run]
        assert alone.reason == together.reason[run]
        torch.testing.assert_close(alone.x, together.x[run], rtol=0, atol=0)
        assert torch.equal(alone.history.evals, together.history[run].evals)


# What becomes of f


def test_f_may_write_to_its_points_and_runs_without_autograd():
    def writes(x):
        values = bowl(x)
        assert not torch.is_grad_enabled()
        x.fill_(torch.nan)
        return values

    assert same(*(minimize(f, BOUNDS, 3, strategy="pso", budget=500) for f in (writes, bowl)))
    alone = dict(vectorized=False, strategy="pso", budget=500)
    with ThreadPoolExecutor(2) as pool:
        results = [minimize(f, BOUNDS, 3, **alone, executor=pool) for f in (writes, bowl)]
    assert same(*results)


@pytest.mark.parametrize("convert", [float, np.float64, lambda value: value, lambda value: value.reshape(1)])
def test_a_function_of_one_point_gives_what_a_vectorized_one_gives(convert):
    single = minimize(lambda x: convert(bowl(x)), BOUNDS, 3, strategy="pso", budget=400, runs=2, vectorized=False)
    assert same(single, minimize(bowl, BOUNDS, 3, strategy="pso", budget=400, runs=2))


def test_an_executor_keeps_the_order_however_long_each_point_takes():
    def slow(x):
        time.sleep(0.002 * float(x[0] > 0))
        return bowl(x)

    arguments = dict(bounds=BOUNDS, dim=3, strategy="de", population=8, budget=80, vectorized=False)
    with ThreadPoolExecutor(4) as pool:
        assert same(minimize(slow, **arguments, executor=pool), minimize(bowl, **arguments))


def test_a_function_travels_to_another_process_with_what_it_holds():
    shift = torch.tensor([1.0, 2.0])
    call = _Call(lambda x: (x - shift).square().sum(), False, torch.float64, torch.device("cpu"))
    assert pickle.loads(pickle.dumps(functools.partial(call)))(np.array([0.0, 0.0])) == 5.0


@pytest.mark.slow
def test_processes_give_what_one_process_gives():
    arguments = dict(bounds=BOUNDS, dim=3, strategy="de", population=8, budget=80, vectorized=False)
    with ProcessPoolExecutor(2) as pool:
        assert same(minimize(lambda x: bowl(x).item(), **arguments, executor=pool), minimize(bowl, **arguments))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_points_have_the_dtype_that_is_asked_for(dtype):
    seen = set()

    def f(x):
        seen.add(x.dtype)
        return bowl(x.double())

    result = minimize(f, BOUNDS, 3, strategy="random", dtype=dtype, budget=200)
    minimize(f, BOUNDS, 3, strategy="random", dtype=dtype, budget=200, vectorized=False)
    assert seen == {dtype} == {result.x.dtype, result.f.dtype}


def test_bits_are_searched_too():
    result = minimize(lambda x: -x.sum(-1), Bits(6), strategy="random", target=-6, budget=20_000)
    assert result.x.tolist() == [1.0] * 6


def test_nan_is_worse_than_anything_and_nothing_but_nan_is_an_error():
    holes = minimize(lambda x: torch.where(x[:, 0] < 2, torch.nan, bowl(x)), BOUNDS, 3, strategy="pso", budget=4000)
    assert holes.f == pytest.approx(1.0, abs=1e-3)  # at the hole's edge, x = (2, 1, 1)
    with pytest.raises(ValueError, match=r"f must be a number somewhere, got nan at all 200 points of the start"):
        minimize(lambda x: x[:, 0] * torch.nan, BOUNDS, 3, strategy="random", runs=2)
    later = Recorded(lambda x: bowl(x) * (torch.nan if later.sizes else 1.0))
    assert minimize(later, BOUNDS, 3, strategy="random", budget=500).evals == 500


def test_where_all_is_infinite_the_first_point_is_the_best():
    result = minimize(lambda x: x[:, 0] * 0 + torch.inf, BOUNDS, 3, strategy="random", budget=500)
    assert result.f == torch.inf
    assert result.history.evals.tolist() == [1]
    assert torch.equal(result.x, Strategy("random", BOUNDS, dim=3).ask()[0])


@pytest.mark.parametrize(
    ("f", "vectorized", "words"),
    [
        (lambda x: bowl(x).sum(), True, r"of shape \(100,\), got \(\); one that takes a single point needs"),
        (lambda x: bowl(x).unsqueeze(1), True, r"of shape \(100,\), got \(100, 1\)"),
        (lambda x: bowl(x)[1:], True, r"of shape \(100,\), got \(99,\)"),
        (lambda x: None, True, r"f must return numbers, got None"),
        (lambda x: "low", True, r"f must return numbers, got 'low'"),
        (lambda x: bowl(x) * 1j, True, r"f must return real numbers, got torch.complex128"),
        (lambda x: x, False, r"f must return one number.* got shape \(3,\); one that takes all points at once needs"),
        (lambda x: None, False, r"f must return numbers, got None"),
    ],
)
def test_what_f_returns_is_checked(f, vectorized, words):
    with pytest.raises(ValueError, match=words):
        minimize(f, BOUNDS, 3, strategy="random", vectorized=vectorized)


def test_what_f_raises_passes_on_with_the_point_and_harms_nothing():
    algorithm = Strategy("pso", BOUNDS, dim=3)
    f = Recorded(bowl, fails_at=5)
    with pytest.raises(ZeroDivisionError, match="as the test wants it") as raised:
        minimize(f, strategy=algorithm, budget=800)
    assert any("points (40, 3)" in note for note in raised.value.__notes__)
    assert algorithm.evals == 5 * 40
    later = minimize(f, strategy=algorithm, budget=800)
    assert torch.equal(later.x, minimize(bowl, BOUNDS, 3, strategy="pso", budget=800).x)

    f = Recorded(bowl, fails_at=203)
    with pytest.raises(ZeroDivisionError) as raised:
        minimize(f, BOUNDS, 3, strategy="pso", vectorized=False)
    assert any("point 3 of the generation, x = [" in note for note in raised.value.__notes__)


@pytest.mark.parametrize("vectorized", [True, False])
def test_points_where_f_raises_can_count_as_worst(vectorized):
    def fussy(x):
        if bool((x[..., 0] < 2).any()):
            raise ArithmeticError("too far to the left")
        return bowl(x)

    def holed(x):
        return torch.where(x[..., 0] < 2, torch.nan, bowl(x))

    arguments = dict(bounds=BOUNDS, dim=3, strategy="pso", budget=2000, vectorized=vectorized)
    forgiven = minimize(fussy, **arguments, errors="worst")
    assert torch.equal(forgiven.x, minimize(holed, **arguments).x)
    assert forgiven.failures > 100
    with pytest.raises(ValueError, match=r"got nan at all .*; the last exception was ArithmeticError: too far"):
        minimize(fussy, (-5.0, 1.0), 3, strategy="pso", vectorized=vectorized, errors="worst")


# f of one point that is taken for one of many


def columns(x):
    """SciPy's rosen has a point in each column."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(0)


@pytest.mark.parametrize("dim", [1, 2, 10])
@pytest.mark.parametrize(
    "f", [columns, lambda x: x[0] ** 2 + x[-1] ** 2, lambda x: sum(x**2), lambda x: (x**2).sum(0)], ids=range(4)
)
def test_a_function_of_one_point_is_refused_where_there_are_as_many_points_as_dimensions(f, dim):
    with pytest.raises((ValueError, IndexError)) as refused:
        minimize(f, BOUNDS, dim, strategy="random", population=dim, budget=100)
    said = [str(refused.value), *getattr(refused.value, "__notes__", ())]
    assert any("one that takes a single point needs vectorized=False" in each for each in said)


def test_to_see_whether_it_takes_one_point_f_is_not_asked_for_another():
    """By no points at all, and once."""
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy="random", population=3, budget=12)
    assert f.sizes == [3, 0, 3, 3, 3]
    assert result.evals == 12


def test_a_function_that_cannot_take_no_points_is_asked_for_one():
    sizes = []

    def f(x):
        sizes.append(len(x))
        return torch.stack([bowl(row) for row in x])  # which raises for none

    arguments = dict(bounds=BOUNDS, dim=3, strategy="random", population=3, budget=12)
    assert same(minimize(f, **arguments), minimize(bowl, **arguments))
    assert sizes == [3, 0, 1, 3, 3, 3]


# When it stops


def test_patience_is_of_generations_without_a_better_value():
    flat = minimize(lambda x: 0 * bowl(x), BOUNDS, 3, strategy="random", population=10, patience=4)
    assert (flat.evals, flat.reason) == (10 * (1 + 4), "patience")
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy="random", population=10, patience=4, budget=100_000)
    lowest = np.minimum.accumulate(np.array(f.values).reshape(-1, 10).min(1))
    assert lowest[-6] > lowest[-5] == lowest[-1]
    assert result.reason == "patience"


def test_a_callback_is_told_of_each_generation_and_may_stop():
    told = []

    def callback(progress):
        told.append((progress.generation, int(progress.evals), progress.f.item()))
        return progress.generation == 3

    result = minimize(bowl, BOUNDS, 3, strategy="random", callback=callback)
    assert [(generation, evals) for generation, evals, _ in told] == [(1, 100), (2, 200), (3, 300)]
    assert [f for *_, f in told] == result.history.at([100, 200, 300]).tolist()
    assert result.reason == "callback"


@pytest.mark.parametrize("truth", [torch.tensor(True), np.True_, 1], ids=repr)
def test_a_callback_says_stop_by_anything_that_is_true(truth):
    assert minimize(bowl, BOUNDS, 3, strategy="random", callback=lambda _: truth).reason == "callback"
    assert minimize(bowl, BOUNDS, 3, strategy="random", callback=lambda _: not truth).reason == "budget"


def test_a_strategy_goes_on_from_where_it_is():
    strategy = Strategy("pso", BOUNDS, dim=3)
    first = minimize(bowl, strategy=strategy, budget=400)
    second = minimize(bowl, strategy=strategy, budget=1000)
    assert (first.evals, second.evals) == (400, 1000)
    assert torch.equal(second.x, minimize(bowl, BOUNDS, 3, strategy="pso", budget=1000).x)
    assert second.history.evals[0] == 400
    assert second.history.f[0] == first.f
    again = minimize(bowl, strategy=strategy, budget=1000, target=1e9)
    assert (again.evals, again.reason) == (1000, "target")


def test_runs_that_rest_in_a_strategy_are_left_alone():
    strategy = Strategy("random", BOUNDS, dim=3, runs=2)
    strategy.park(torch.tensor([True, False]))
    result = minimize(bowl, strategy=strategy, budget=300)
    assert (result.evals.tolist(), result.reason) == ([0, 300], ("parked", "budget"))


# Resume

INTERRUPTED = {
    "random": dict(strategy="random", population=10),
    "pso": dict(strategy="pso", runs=RUNS, target=0.1),
    "de, a seed a run": dict(strategy="de", runs=RUNS, seed=[1, 2, 3], population=30),
    "shade": dict(strategy="shade"),
    "one by one": dict(strategy="pso", vectorized=False, budget=130),
    "ipop": dict(strategy=Countdown(), restarts="ipop", runs=RUNS),
    "bipop": dict(strategy=Countdown(), restarts="bipop", runs=RUNS, seed=[1, 2, 3]),
    "unbounded": dict(strategy=Countdown(), restarts="ipop", bounds=None, x0=[0.0, 0.0, 0.0], sigma0=1.0, dim=None),
    "refined": dict(strategy="pso", refine="lbfgs", patience=20),
    "refined by adam, with restarts": dict(strategy="pso", refine=Descent(steps=20), patience=5, restarts="ipop"),
}


def waves(x):
    """Many minima, so that there is something to do after a local search."""
    return bowl(x) + 3 * sum((1 - torch.cos(4 * (x - 1))).unbind(-1))


@pytest.mark.parametrize("case", INTERRUPTED)
def test_a_search_that_was_interrupted_ends_with_the_bits_of_one_that_was_not(case, tmp_path):
    arguments = dict(bounds=BOUNDS, dim=3, budget=900) | INTERRUPTED[case]
    store, interruptions, resumed = tmp_path / "search.pt", 0, None
    uninterrupted = minimize(waves, **arguments)
    while resumed is None:
        f = Recorded(waves, fails_at=5)  # calls after the last interruption
        try:
            resumed = minimize(f, **arguments, store=store, store_every=0.0)
        except ZeroDivisionError:
            interruptions += 1
            assert interruptions < 300
    assert interruptions > 2
    assert same(resumed, uninterrupted)
    finished = minimize(Recorded(waves, fails_at=0), **arguments, store=store)  # which does not call f at all
    assert same(finished, uninterrupted)


def test_a_search_goes_on_from_whatever_generation_its_file_is_of(tmp_path):
    store, kept = tmp_path / "search.pt", []
    arguments = dict(bounds=BOUNDS, dim=3, budget=300, strategy=Countdown(), restarts="ipop", refine="lbfgs", runs=2)
    arguments["store"] = store
    whole = minimize(waves, **arguments, store_every=0.0, callback=lambda _: kept.append(store.read_bytes()))
    assert len(kept) > 10
    for content in kept:
        store.write_bytes(content)
        assert same(minimize(waves, **arguments), whole)


def test_points_that_were_answered_one_by_one_are_not_asked_for_again(tmp_path):
    arguments = dict(bounds=BOUNDS, dim=3, strategy="random", budget=300, vectorized=False, store=tmp_path / "s.pt")
    first = Recorded(bowl, fails_at=142)
    with pytest.raises(ZeroDivisionError):
        minimize(first, **arguments)
    second = Recorded(bowl)
    minimize(second, **arguments)
    assert (len(first.values), len(second.values)) == (142, 158)


def test_a_search_that_the_callback_stopped_can_go_on(tmp_path):
    arguments = dict(bounds=BOUNDS, dim=3, strategy="pso", budget=900, store=tmp_path / "search.pt")
    assert minimize(bowl, **arguments, callback=lambda progress: progress.generation == 4).reason == "callback"
    uninterrupted = minimize(bowl, BOUNDS, 3, strategy="pso", budget=900)
    assert same(minimize(bowl, **arguments), uninterrupted)


def test_what_a_callback_raises_passes_on_and_nothing_is_lost(tmp_path):
    def callback(progress):
        if progress.generation == 4:
            raise KeyboardInterrupt

    arguments = dict(bounds=BOUNDS, dim=3, strategy="pso", budget=900, store=tmp_path / "search.pt")
    with pytest.raises(KeyboardInterrupt):
        minimize(bowl, **arguments, callback=callback)
    f = Recorded(bowl)
    assert same(minimize(f, **arguments), minimize(bowl, BOUNDS, 3, strategy="pso", budget=900))
    assert sum(f.sizes) == 880 - 4 * 40


@pytest.mark.parametrize(("owner", "name"), [(PSO, "sample"), (PSO, "update"), (Tally, "add")])
def test_a_search_broken_off_between_calls_of_f_goes_on_from_the_last_whole_generation(
    tmp_path, monkeypatch, owner, name
):
    """By Ctrl-C, where what the strategy knows has changed and what is counted has not."""
    arguments = dict(bounds=BOUNDS, dim=3, strategy="pso", budget=900)
    store, f = tmp_path / "search.pt", Recorded(bowl)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "_SPARING", 0.0)  # it keeps the state after every generation
        patched.setattr(owner, name, interrupted_after(getattr(owner, name), calls=7))
        with pytest.raises(KeyboardInterrupt):
            minimize(bowl, **arguments, store=store, store_every=1e9)
    assert same(minimize(f, **arguments, store=store), minimize(bowl, **arguments))
    assert sum(f.sizes) == 880 - 6 * 40


def test_a_made_strategy_that_was_interrupted_goes_on_in_a_fresh_one(tmp_path):
    def arguments():
        generator = torch.Generator().manual_seed(7)
        return dict(strategy=Strategy("de", BOUNDS, dim=3, generator=generator), budget=900)

    with pytest.raises(ZeroDivisionError):
        minimize(Recorded(bowl, fails_at=4), **arguments(), store=tmp_path / "search.pt")
    resumed = minimize(bowl, **arguments(), store=tmp_path / "search.pt")
    assert same(resumed, minimize(bowl, **arguments()))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (dict(seed=1), r"its seeds is \[0\], not \[1\]"),
        (dict(budget=901), r"its budget is 900, not 901"),
        (dict(strategy="random"), r"its strategy is name=PSO.*not name=RandomSearch"),
        (dict(population=20), r"its strategy is name=PSO, population=40.*not name=PSO, population=20"),
        (dict(bounds=(-5.0, 4.0)), r"its space is .*high=\[5\.0, 5\.0, 5\.0\].*not .*4\.0"),
        (dict(x0=[0.0, 0.0, 0.0]), r"its x0 is None, not "),
        (dict(target=0.5), r"its target is None, not 0\.5"),
        (dict(restarts="ipop"), r"its restarts is None, not IPOP"),
        (dict(refine="lbfgs"), r"its refine is None, not LBFGS"),
        (dict(runs=2), r"its runs is 1, not 2"),
        (dict(dtype=torch.float32), r"its dtype is torch.float64, not torch.float32"),
    ],
)
def test_the_file_of_another_search_is_refused_and_left_as_it_is(other, words, tmp_path):
    arguments = dict(bounds=BOUNDS, dim=3, strategy="pso", budget=900, store=tmp_path / "search.pt")
    minimize(bowl, **arguments)
    before = arguments["store"].read_bytes()
    with pytest.raises(ValueError, match=rf"holds another search: {words}"):
        minimize(bowl, **(arguments | other))
    assert arguments["store"].read_bytes() == before


def test_the_file_of_a_training_is_refused_as_that(tmp_path):
    store = tmp_path / "training"
    network = torch.nn.Linear(2, 1)
    data = torch.ones(4, 2), torch.zeros(4, 1)
    train_without_gradients(network, torch.nn.functional.mse_loss, data, budget=20, store=store)
    with pytest.raises(ValueError, match="holds another search: its kind is train_without_gradients, not minimize"):
        minimize(bowl, BOUNDS, 3, store=store)


def test_a_folder_is_no_file_of_a_search(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        minimize(bowl, BOUNDS, 3, store=tmp_path)


def saved(value):
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no such thing", pickle.dumps({"a": 1}), saved({"a": 1}), saved(torch.ones(3)), saved(Box)]
)
def test_a_file_that_is_no_search_is_refused_and_left_as_it_is(content, tmp_path):
    store = tmp_path / "search.pt"
    store.write_bytes(content)
    with pytest.raises(ValueError, match=r"a file that a search wrote, but .*search.pt' is none; name another .* it$"):
        minimize(bowl, BOUNDS, 3, strategy="random", store=store)
    assert store.read_bytes() == content


# Pictures and lines


def test_quartiles_are_values_that_runs_have_also_where_some_have_none_yet():
    histories = [(np.array([1 + run]), np.array([float(run)])) for run in range(5)]
    low, median, high = quartiles(histories, np.array([1, 3, 5]))
    assert low.tolist() == [np.inf, 1.0, 1.0]
    assert median.tolist() == [np.inf, 2.0, 2.0]
    assert high.tolist() == [np.inf, np.inf, 3.0]


@pytest.mark.parametrize(("runs", "labels"), [(1, []), (4, ["median", "quartiles"])])
def test_the_plot_shows_what_the_history_says(runs, labels, tmp_path):
    result = minimize(bowl, BOUNDS, 3, strategy="random", population=10, budget=500, runs=runs)
    (axes,) = result.plot(tmp_path / "convergence.svg").axes
    assert (tmp_path / "convergence.svg").read_text().count("<svg") == 1
    x, y = axes.lines[0].get_data()
    histories = [result.history] if runs == 1 else result.history
    values = torch.stack([history.at(torch.from_numpy(x)) for history in histories])
    assert torch.equal(torch.from_numpy(y), values.quantile(0.5, dim=0, interpolation="nearest"))
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == labels if labels else not axes.get_legend()


def test_values_that_are_not_positive_are_plotted_on_a_plain_axis():
    result = minimize(lambda x: bowl(x) - 100, BOUNDS, 3, strategy="random", budget=500)
    assert result.plot().axes[0].get_yscale() == "linear"


def test_the_line_of_progress_is_for_terminals_alone(capsys, monkeypatch):
    minimize(bowl, BOUNDS, 3, strategy="random", progress=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes it for a terminal
    minimize(bowl, BOUNDS, 3, strategy="random", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "evaluations" in err


# What cannot be


def test_integers_of_numpy_are_integers(tmp_path):
    given = dict(budget=500, seed=3, runs=2, patience=50, population=20)
    taken = {name: np.int64(value) for name, value in given.items()}
    expected = minimize(bowl, BOUNDS, 3, strategy="de", **given)
    first = minimize(bowl, BOUNDS, np.int64(3), strategy="de", store=tmp_path / "s.pt", **taken)
    again = minimize(bowl, BOUNDS, 3, strategy="de", store=tmp_path / "s.pt", **given)  # the same search
    for result in (first, again):
        assert torch.equal(result.x, expected.x)
        assert torch.equal(result.evals, expected.evals)


@pytest.mark.parametrize("convert", [np.array, torch.tensor, tuple])
def test_seeds_come_in_any_sequence(convert):
    arguments = dict(bounds=BOUNDS, dim=3, strategy="random", budget=200, runs=3)
    assert same(minimize(bowl, **arguments, seed=convert([3, 4, 5])), minimize(bowl, **arguments, seed=[3, 4, 5]))


REFUSED = {
    "no function": (dict(f=3), r"f must be a function of points, got 3"),
    "a strategy that there is not": (dict(strategy="randon"), r"'randon' is unknown \(did you mean random\?\)"),
    "bounds that cross": (dict(bounds=(5.0, -5.0)), r"bounds must be low < high, got 5 and -5"),
    "no dimensions": (dict(dim=None), r"dim must be given"),
    "no budget": (dict(budget=0), r"budget must be a whole number >= 1, got 0"),
    "half a budget": (dict(budget=1e4), r"budget must be a whole number >= 1, got 10000\.0"),
    "a target that is NaN": (dict(target=float("nan")), r"target must be finite, or None for no target, got nan"),
    "a target in words": (dict(target="low"), r"target must be a number, got 'low'"),
    "no runs": (dict(runs=0), r"runs must be a whole number >= 1, got 0"),
    "a negative seed": (dict(seed=-1), r"seed must be a whole number >= 0, or one a run \(1\), got -1"),
    "too few seeds": (dict(seed=[1, 2], runs=3), r"or one a run \(3\), got \[1, 2\]"),
    "no patience": (dict(patience=0), r"patience must be a whole number >= 1, got 0"),
    "restarts that there are not": (dict(restarts="pop"), r"restarts must be None, 'ipop', .* got 'pop'"),
    "restarts that shrink": (dict(restarts=lambda: IPOP(factor=0.5)), r"factor must be >= 1, got 0\.5"),
    "a fraction of a restart": (dict(restarts=lambda: IPOP(most=1.5)), r"most must be .* got 1\.5"),
    "a local search that there is not": (dict(refine="bfgs"), r"refine must be None, 'lbfgs', .* got 'bfgs'"),
    "a local search without steps": (dict(refine=lambda: Descent(steps=0)), r"steps must be .* got 0"),
    "a local search that climbs": (dict(refine=lambda: Descent(lr=-1.0)), r"lr must be > 0, got -1\.0"),
    "a memory of nothing": (dict(refine=lambda: LBFGS(memory=0)), r"memory must be .* got 0"),
    "an executor for a vectorized f": (dict(executor=ThreadPoolExecutor(1)), r"executor must be None where f is vec"),
    "an executor that is none": (dict(executor=4, vectorized=False), r"executor must be a .* got 4"),
    "errors that are silent": (dict(errors="ignore"), r"errors must be 'raise' or 'worst', got 'ignore'"),
    "a store in no folder": (dict(store="/no/such/folder/s.pt"), r"store must be in a folder that is there, got '/no/"),
    "a store in the past": (dict(store="s.pt", store_every=-1.0), r"store_every must be >= 0 seconds, got -1\.0"),
    "a hyperparameter of another": (dict(crossover=0.9), r"'crossover' is no hyperparameter of random"),
    "bounds beside a strategy": (dict(strategy=Strategy("random", BOUNDS, dim=3)), r"bounds must be left out where"),
    "a dtype beside a strategy": (
        dict(strategy=Strategy("random", BOUNDS, dim=3), bounds=None, dim=None, dtype=torch.float32),
        r"dtype must be left out where strategy is a Strategy.* got torch.float32",
    ),
    "a start in words": (dict(x0="a"), r"x0 must be numbers, \(D,\) or \(runs, D\), got 'a'"),
    "a truth for a budget": (dict(budget=True), r"budget must be a whole number >= 1, got True"),
    "a truth for a seed": (dict(seed=True), r"seed must be a whole number >= 0, .* got True"),
    "a store at no time": (dict(store="s.pt", store_every="a"), r"store_every must be a number, got 'a'"),
    "a callback that cannot be called": (dict(callback=3), r"callback must be a function or None, got 3"),
    "seeds that are no whole numbers": (dict(seed=np.array([0.5])), r"seed must be a whole number >= 0, .* got array"),
    "an executor that was not made": (
        dict(executor=ThreadPoolExecutor, vectorized=False),
        r"executor must be a concurrent.futures.Executor or None, got <class",
    ),
    "a store that is no path": (dict(store=5), r"store must be the path of a file, got 5"),
    "a device that there is not": (dict(device="gpu"), r"device must be one that torch has here, .* got 'gpu'"),
    "a learning rate in words": (dict(refine=lambda: Descent(lr="a")), r"lr must be > 0.* got 'a'"),
    "a tolerance in words": (dict(refine=lambda: LBFGS(tolerance="a")), r"tolerance must be >= 0, got 'a'"),
    "a factor in words": (dict(restarts=lambda: IPOP(factor="a")), r"factor must be >= 1, got 'a'"),
    "bits by default": (
        dict(strategy="cma", bounds=Bits(3), dim=None),
        r"strategy must .* searches Bits, such as .*qea.* got CMA",
    ),
    "bits that are refined": (dict(bounds=Bits(3), refine="lbfgs"), r"refine must be None where points are of Bits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name_and_value_before_f_is_called(case):
    given, words = REFUSED[case]
    f = Recorded(bowl)
    with pytest.raises(ValueError, match=words):
        minimize(
            **(
                dict(f=f, bounds=BOUNDS, dim=3, strategy="random")
                | {
                    name: value() if name in ("restarts", "refine") and callable(value) else value
                    for name, value in given.items()
                }
            )
        )
    assert not f.sizes
