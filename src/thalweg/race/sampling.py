"""Which settings a study tries next, from what it has tried: five samplers, all without state."""

import difflib
import itertools
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import qmc

from thalweg.race.record import Value
from thalweg.race.spaces import Choice, Dimension, Integer, Space, check_space

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("qmc", "grid", "random", "tpe", "gp")
# Of the two samplers that learn from scores: how many draws, the default among them, come before the model is first
# asked, and how many it is then asked for at once. The batches have fixed sizes whatever trains the draws, or the
# number of processes would decide what is tried.
STARTUP = {"tpe": 11, "gp": 6}
BATCH = 5

History = Sequence[tuple[Mapping[str, Value], float | None]]
Settings = list[Mapping[str, Value]]


def next_draws(
    space: Space,
    default: Mapping[str, Value],
    *,
    sampler: str = "qmc",
    seed: int = 0,
    draws: int = 25,
    history: History = (),
) -> Settings:
    """The settings to try next, each with all hyperparameters; none once there are `draws`.

    `default` has all hyperparameters of the method as published, and is draw 0 as it stands, whether it lies in the
    space or not. `history` holds the draws so far, in order, with their scores (higher is better; None or not finite:
    diverged, and worse than every other). What comes next depends on the arguments alone, so a study that goes on from
    its history equals one that was never interrupted, also where it ends inside a batch, and a larger `draws` only adds
    to it (for `grid` it is another grid).

    - `qmc`: a scrambled Halton sequence. A dimension's part of it depends on the seed and on how many stand before it,
      so all methods are tried at the same relative places of their first dimensions.
    - `grid`: all combinations of evenly spaced values, edges included; the dimension with fewest values gets one more
      for as long as all combinations fit into `draws` - 1. What is then left comes from the Halton sequence. A
      dimension with a single value is left at its default.
    - `random`: independent and uniform.
    - `tpe`, `gp`: the default and 10 or 5 of the Halton sequence, then batches of 5 from Optuna's tree-structured
      Parzen estimator or Gaussian process; within a batch the earlier ones count as running.

    These are uniform in the scale in which each dimension is searched. A space without dimensions gives the default
    every time: a method with nothing to tune has as many trials as the others. Raises ValueError for an unknown
    sampler, numbers out of range, or a space that does not fit the hyperparameters.
    """
    _check(sampler, seed, draws)
    check_space(space, default)
    if len(history) >= draws:
        return []
    if not space:
        return [dict(default) for _ in range(draws - len(history))]
    if sampler in STARTUP and len(history) >= STARTUP[sampler]:
        inside = (len(history) - STARTUP[sampler]) % BATCH
        start = len(history) - inside  # where the batch begins; what came after it was not known then
        batch = _ask(space, default, sampler, seed, min(BATCH, draws - start), history[:start])
        return batch[inside:]
    first = [default, *_settings(space, default, sampler, seed, min(draws, STARTUP.get(sampler, draws)) - 1)]
    return first[len(history) :]


def _check(sampler: str, seed: int, draws: int) -> None:
    if sampler not in SAMPLERS:
        near = difflib.get_close_matches(sampler, SAMPLERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}{hint}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    if draws < 1:
        raise ValueError(f"draws must be >= 1, got {draws}")


def _settings(space: Space, default: Mapping[str, Value], sampler: str, seed: int, count: int) -> Settings:
    """As many settings from a sampler that does not learn, or the first ones of one that does."""
    grid = _grid(space, default, count) if sampler == "grid" else []
    return grid + [_moved(space, default, place) for place in _places(sampler, len(space), seed, count - len(grid))]


def _places(sampler: str, dimensions: int, seed: int, count: int) -> list[list[float]]:
    """Positions from 0 to 1, `dimensions` a setting."""
    if count == 0:
        return []
    if sampler == "random":
        return np.random.default_rng(seed).random((count, dimensions)).tolist()
    return qmc.Halton(dimensions, scramble=True, rng=seed).random(count).tolist()


def _moved(space: Space, default: Mapping[str, Value], place: Sequence[float]) -> Mapping[str, Value]:
    for dimension, position in zip(space, place, strict=True):
        default = dimension.with_value_at(default, position)
    return default


def _grid(space: Space, default: Mapping[str, Value], count: int) -> Settings:
    """The full factorial with at most `count` settings, as evenly over the dimensions as goes; none if that is one."""
    axes: list[list[Value]] = [[dimension.value_in(default)] for dimension in space]
    growing = list(range(len(space)))
    while growing:
        i = min(growing, key=lambda j: len(axes[j]))
        finer = space[i].levels(len(axes[i]) + 1)
        if len(finer) == len(axes[i]) + 1 and math.prod(map(len, axes)) // len(axes[i]) * len(finer) <= count:
            axes[i] = finer
        else:
            growing.remove(i)
    if math.prod(map(len, axes)) == 1:
        return []
    settings = []
    for values in itertools.product(*axes):
        setting = default
        for dimension, value in zip(space, values, strict=True):
            setting = dimension.with_value(setting, value)
        settings.append(setting)
    return settings


def _ask(space: Space, default: Mapping[str, Value], sampler: str, seed: int, count: int, history: History) -> Settings:
    """A batch from a study of Optuna's that is made anew from the history.

    The sampler is seeded by the seed and the place of the batch: with the seed alone a resumed study repeats the
    numbers, and so the settings, that it began with.
    """
    import optuna  # most races do without it

    batch_seed = int(np.random.SeedSequence([seed, len(history)]).generate_state(1)[0])
    distributions = {str(dimension): _distribution(dimension) for dimension in space}
    with _quiet():
        sampler_class = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}[sampler]
        study = optuna.create_study(direction="maximize", sampler=sampler_class(seed=batch_seed, n_startup_trials=1))
        for (hyperparameters, _), score in zip(history, _told(history), strict=True):
            params = {str(dimension): _to_optuna(dimension, hyperparameters) for dimension in space}
            if None not in params.values():  # a default that is none of the choices has no place in the model
                study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
        asked = [study.ask(distributions).params for _ in range(count)]
    return [_from_optuna(space, default, params) for params in asked]


def _told(history: History) -> list[float]:
    """The scores as the models are told them, all finite.

    What lies further below the median than 3 times the way from there to the best is told as lying there: a loss on the
    brink of diverging would hide the differences between the good ones from a Gaussian process. Diverged draws are
    told as worse than that, as far below as that is below the best; Optuna would ignore them.
    """
    finite = [score for _, score in history if score is not None and math.isfinite(score)] or [0.0]
    high, middle, low = max(finite), median(finite), min(finite)
    if high > middle:
        low = max(low, middle - 3 * (high - middle))
    diverged = low - ((high - low) or 1.0)
    return [diverged if score is None or not math.isfinite(score) else max(score, low) for _, score in history]


def _distribution(dimension: Dimension) -> "optuna.distributions.BaseDistribution":
    """What Optuna searches: positions of a range of floats, whole numbers themselves, places in a list of choices."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(range(len(dimension.values)))
    if isinstance(dimension, Integer):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    return FloatDistribution(0.0, 1.0)


def _to_optuna(dimension: Dimension, hyperparameters: Mapping[str, Value]) -> Any:
    """The value as Optuna knows it, the nearer edge if it lies beyond the range; None if it has no place."""
    value = dimension.value_in(hyperparameters)
    position = dimension.position(value)
    if position is None:
        return None
    if isinstance(dimension, Choice):
        return dimension.values.index(value)
    if isinstance(dimension, Integer):
        return min(max(round(float(value)), dimension.low), dimension.high)  # type: ignore[arg-type]  # it has a position
    return position


def _from_optuna(space: Space, default: Mapping[str, Value], params: Mapping[str, Any]) -> Mapping[str, Value]:
    for dimension in space:
        found = params[str(dimension)]
        if isinstance(dimension, Choice):
            default = dimension.with_value(default, dimension.values[found])
        elif isinstance(dimension, Integer):
            default = dimension.with_value(default, found)
        else:
            default = dimension.with_value_at(default, found)
    return default


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Optuna from writing a line a study and from warning of what it calls experimental."""
    from optuna.exceptions import ExperimentalWarning

    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)
