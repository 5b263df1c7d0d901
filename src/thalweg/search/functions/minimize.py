"""`minimize`: the minimum of a plain function, by any strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm
from thalweg.search.checkpoint import Checkpoint
from thalweg.search.checks import check_callback, check_whole, checked_target, is_whole, says_stop
from thalweg.search.functions.loop import Search, Setting
from thalweg.search.functions.objective import Function, Objective
from thalweg.search.functions.refine import Refine, refine_named
from thalweg.search.functions.restarts import Restarts, restarts_named
from thalweg.search.functions.result import SearchResult
from thalweg.search.progress import Line, Progress
from thalweg.search.spaces import Box, space_of
from thalweg.search.strategy import Strategy

EVALUATIONS = 1000  # of a run, for each dimension


def minimize(
    f: Function,
    bounds: Any = None,
    dim: int | None = None,
    *,
    strategy: str | Algorithm | Strategy = "cma",
    budget: int | None = None,
    target: float | None = None,
    seed: int | Sequence[int] = 0,
    runs: int | None = None,
    refine: str | Refine | None = None,
    restarts: str | Restarts | None = None,
    patience: int | None = None,
    x0: Any = None,
    sigma0: Any = None,
    vectorized: bool = True,
    executor: Executor | None = None,
    errors: str = "raise",
    store: str | Path | None = None,
    store_every: float = 10.0,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **hyperparameters: Any,
) -> SearchResult:
    """Looks for the point where a function is lowest.

    Arguments:
        f: from points (n, D) to values (n,): all points of a generation, those of all runs that are under way, in one
            call. It gets copies, and is called without autograd. NaN is worse than any value.
        bounds, dim, x0, sigma0, dtype, device: as `Strategy` takes them; dtype None is torch.float64.
        strategy: a name (`thalweg.search.names()`), with `hyperparameters` other than its defaults; an `Algorithm`; or
            a `Strategy`, which brings all that is said of the problem with it and goes on from where it is.
        budget: the evaluations of a run, restarts and local searches included; 1000 D by default. A run stops before a
            generation that would exceed it; only its first one may.
        target: a run stops at the first value of at most this.
        seed: a whole number, from which all runs draw together, which is fast; or one a run, each of which is then what
            it would be alone. A strategy that is given draws from its own generator, but for restarts.
        runs: so many independent searches, in one tensor program.
        refine: a local search by autograd from the best point whenever that is new, at most once in 10 generations and
            2 D evaluations, and at the end; the strategy takes in what it finds. "lbfgs", an `LBFGS`, the name of an
            optimizer such as "adam", or a `Descent`. Each pass for value and gradient is one evaluation.
        restarts: what happens to a run that stops by a reason of the algorithm's or by patience: "ipop" begins anew
            with a population twice as large, "bipop" with large ones and small ones in turn; None: it is over. They
            begin anywhere in the box, or where that is infinite around x0. Runs that are over wait for the others. An
            algorithm without a `population` begins again as it was.
        patience: a run stops after so many generations without a better value.
        vectorized: False where f takes one point (D,) and returns a number.
        executor: where such an f is called, such as a `ProcessPoolExecutor`.
        errors: "raise" passes on what f raises, with a note that says where; "worst" counts such points as NaN. A
            vectorized f that raises is then asked point by point, as (1, D).
        store: a file. It is written every `store_every` seconds, and on Ctrl-C or where f raises; the same call then
            goes on from it, and ends with the bits of one that was never interrupted. f itself is not kept.
        callback: told of every generation; the search stops where it returns True, or anything true.
        progress: whether to show a line on the terminal.

    Raises ValueError, naming the argument and quoting the value; also where f is NaN at all points of the start, or
    takes a single point although it is called `vectorized`: where a generation has as many points as these have
    dimensions, f is called once more for that, with no points.

    >>> def f(x):
    ...     return (x - 1).square().sum(-1)
    >>> result = minimize(f, bounds=(-5, 5), dim=3, strategy="random", refine="lbfgs", target=1e-10)
    >>> result.reason, bool(result.f <= 1e-10)
    ('target', True)
    """
    objective = Objective(f, vectorized, executor, errors)
    check_callback(callback)
    if isinstance(strategy, Strategy):
        problem = {"bounds": bounds, "dim": dim, "x0": x0, "sigma0": sigma0, "runs": runs}
        _check_left_out(problem | {"dtype": dtype, "device": device} | hyperparameters)
        seeds = _seeds(seed, strategy.problem.runs)
        limit = _limit("budget", budget) or strategy.problem.budget or EVALUATIONS * strategy.problem.dim
    else:
        count = 1 if runs is None else _limit("runs", runs) or 1
        seeds = _seeds(seed, count)
        dtype = torch.float64 if dtype is None else dtype
        space, where = space_of(bounds, dim, x0, dtype, device)
        limit = _limit("budget", budget) or EVALUATIONS * space.dim
        strategy = Strategy(
            strategy,
            space,
            x0=x0,
            sigma0=sigma0,
            runs=count,
            budget=limit,
            generator=[torch.Generator(where).manual_seed(one) for one in seeds],
            dtype=dtype,
            device=where,
            **hyperparameters,
        )
    setting = Setting(
        limit,
        checked_target(target),
        _limit("patience", patience),
        refine_named(refine),
        restarts_named(restarts),
        seeds,
    )
    if setting.refine is not None and not isinstance(strategy.problem.space, Box):
        kind = type(strategy.problem.space).__name__
        raise ValueError(f"refine must be None where points are of {kind}, which have no gradient, got {refine!r}")
    search = Search(objective, strategy, setting)
    kept = None if store is None else _kept(search, store, store_every)
    stopped = _run(search, kept, callback, Line(limit) if progress else None)
    return _result(search, stopped)


def _run(
    search: Search, kept: Checkpoint | None, callback: Callable[[Progress], Any] | None, line: Line | None
) -> bool:
    """Goes on until all runs are over; True where the callback ended it."""
    stopped = False
    with line or nullcontext(), nullcontext() if kept is None else kept.guarded():
        while not stopped and search.step():
            if kept is not None:
                kept.take(search.state)
            if callback is not None or line is not None:
                now = _progress(search)
                if callback is not None:
                    with search.safely():
                        stopped = says_stop(callback(now))
                if line is not None:
                    line(now)
    if kept is not None:
        kept.save(search.state())
    return stopped


def _kept(search: Search, store: str | Path, every: float) -> Checkpoint:
    """The file of a search, which goes on from what is in it."""
    problem, setting, space = search.problem, search.setting, search.problem.space
    asked = {
        "kind": "minimize",
        "strategy": {"name": type(search.algorithm).__name__} | search.algorithm.hyperparameters(),
        "space": {"kind": type(space).__name__} | vars(space),
        "x0": problem.x0,
        "sigma0": problem.sigma0,
        "runs": problem.runs,
        "dtype": problem.dtype,
        **vars(setting),
    }
    checkpoint = Checkpoint(store, asked, every)
    state = checkpoint.load()
    if state is not None:
        search.load(state)

    def keep(now: bool) -> None:
        if now or checkpoint.due:
            checkpoint.save(search.state())

    search.keep = keep
    return checkpoint


def _progress(search: Search) -> Progress:
    evals, f = _shaped(search, torch.from_numpy(search.tally.evals.copy())), _shaped(search, _values(search))
    leg = search.leg
    return Progress(evals, f, search.strategy.generation, leg.number, int(leg.under_way.sum()), search.setting.budget)


def _result(search: Search, stopped: bool) -> SearchResult:
    solved, histories = search.tally.solved, search.tally.histories()
    reasons = [
        reason or ("target" if hit else "callback" if stopped else reason)
        for reason, hit in zip(search.reasons, solved, strict=True)
    ]
    alone = search.problem.runs == 1
    restarts = torch.tensor([max(0, len(past) - 1) for past in search.past])
    return SearchResult(
        x=search.tally.x[0] if alone else search.tally.x,
        f=_shaped(search, _values(search)),
        evals=_shaped(search, torch.from_numpy(search.tally.evals.copy())),
        history=histories[0] if alone else histories,
        reason=reasons[0] if alone else tuple(reasons),
        restarts=_shaped(search, restarts),
        failures=search.objective.failures,
        strategy=search.strategy,
    )


def _values(search: Search) -> Tensor:
    return torch.from_numpy(search.tally.f).to(search.problem.device, search.problem.dtype)


def _shaped(search: Search, values: Tensor) -> Tensor:
    return values[0] if search.problem.runs == 1 else values


# Checks


def _check_left_out(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} must be left out where strategy is a Strategy, which brings its own, got {value!r:.80}"
            )


def _limit(name: str, value: Any) -> int | None:
    check_whole(**{name: value})
    return None if value is None else int(value)


def _seeds(seed: Any, runs: int) -> list[int]:
    given: Any = seed.tolist() if isinstance(seed, (np.ndarray, Tensor)) else seed
    seeds = [given] if is_whole(given) else given
    whole = isinstance(seeds, (list, tuple, range)) and all(is_whole(one) and 0 <= one < 2**63 for one in seeds)
    if not whole or len(seeds) not in (1, runs):
        raise ValueError(f"seed must be a whole number >= 0, or one a run ({runs}), got {seed!r:.80}")
    return [int(one) for one in seeds]
