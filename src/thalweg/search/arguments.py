"""What a strategy is asked for, checked and as it needs it: the algorithm, the generators, and where it begins."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, Problem
from thalweg.search.catalogue import algorithm_named, names_for
from thalweg.search.checks import is_whole
from thalweg.search.spaces import Box, Space, names_of


def resolved(algorithm: str | Algorithm, hyperparameters: dict[str, Any], problem: Problem) -> Algorithm:
    """The algorithm with its hyperparameters, those that differ among runs as (runs, 1, 1). Raises ValueError where it
    does not search the space of the problem, or a hyperparameter cannot be."""
    if isinstance(algorithm, str):
        algorithm = algorithm_named(algorithm, type(problem.space), hyperparameters)
    elif hyperparameters:
        raise ValueError(f"hyperparameters must be set in the algorithm where one is given, got {hyperparameters}")
    if not isinstance(algorithm, Algorithm):
        raise ValueError(f"algorithm must be a name or an Algorithm, got {algorithm!r:.80}")
    if type(problem.space) not in algorithm.spaces:
        space = type(problem.space)
        raise ValueError(
            f"strategy must be one that searches {space.__name__}, such as {', '.join(names_for(space))}; got "
            f"{type(algorithm).__name__}, which searches {names_of(algorithm.spaces)}"
        )
    algorithm = _with_tensors(algorithm, problem)
    known = {name: x for name, x in algorithm.hyperparameters().items() if name not in algorithm.tables}
    tensors = {name: x for name, x in known.items() if isinstance(x, Tensor) and x.dim()}
    for name, x in tensors.items():
        if name not in algorithm.batched or x.numel() != problem.runs:
            raise ValueError(
                f"{name} must be one number{f', or one a run ({problem.runs},)' * (name in algorithm.batched)}, got "
                f"shape {tuple(x.shape)}"
            )
    made: dict[str, Any] = {name: int(x) for name, x in known.items() if is_whole(x) and not isinstance(x, int)}
    made |= {name: x.to(problem.device, problem.dtype).reshape(-1, 1, 1) for name, x in tensors.items()}
    return replace(algorithm, **made) if made else algorithm


def _with_tensors(algorithm: Algorithm, problem: Problem) -> Algorithm:
    """The algorithm with tensors in place of lists and arrays, in hyperparameters that are numbers or tables."""
    numbers = {field.name for field in fields(algorithm) if isinstance(field.default, (int, float))}
    made: dict[str, Any] = {}
    for name in (*numbers.union(algorithm.batched), *algorithm.tables):
        value = getattr(algorithm, name)
        listed = isinstance(value, (list, tuple, np.ndarray))
        if listed or (name in algorithm.tables and value is not None and not isinstance(value, Tensor)):
            try:
                made[name] = torch.as_tensor(value, dtype=problem.dtype, device=problem.device)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"{name} must be numbers, got {value!r:.80}") from error
    return replace(algorithm, **made) if made else algorithm


def generators_of(given: Any, runs: int, device: torch.device) -> list[torch.Generator]:
    """One generator, or one a run. Raises ValueError for anything else."""
    if given is None:
        return [torch.Generator(device).manual_seed(0)]
    generators = [given] if isinstance(given, torch.Generator) else given
    fits = isinstance(generators, (list, tuple)) and all(isinstance(own, torch.Generator) for own in generators)
    if not fits or len(generators) not in (1, runs):
        raise ValueError(f"generator must be a torch.Generator, or one a run ({runs}), got {given!r:.80}")
    return list(generators)


def start_of(x0: Any, dim: int, runs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """x0 as (runs, 1, D). Raises ValueError where it is not that."""
    try:
        x = torch.as_tensor(x0, dtype=dtype, device=device).detach()
        x = x.reshape(-1, 1, dim).expand(runs, 1, dim)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"x0 must be ({dim},) or ({runs}, {dim}), got {x0!r:.80}") from error
    if not bool(x.isfinite().all()):
        raise ValueError("x0 must be finite, got inf or nan in it")
    return x.clone()


def spread_of(sigma0: Any, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """sigma0 as (1, 1, D). Raises ValueError where it is not that."""
    try:
        sigma = torch.as_tensor(sigma0, dtype=dtype, device=device).detach().expand(dim)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"sigma0 must be a number or ({dim},), got {sigma0!r:.80}") from error
    if not bool(((sigma > 0) & sigma.isfinite()).all()):
        raise ValueError(f"sigma0 must be > 0 and finite, got {sigma0!r:.80}")
    return sigma.reshape(1, 1, dim).clone()


def check_start(space: Space, x0: Tensor | None, sigma0: Tensor | None) -> None:
    """Raises ValueError where a search cannot begin there, or must be told where."""
    if not isinstance(space, Box):
        if x0 is not None and not space.holds(x0):
            raise ValueError(f"x0 must be a point of {space}, got another")
        return
    if not space.bounded and (x0 is None or sigma0 is None):
        missing = "x0" if x0 is None else "sigma0"
        raise ValueError(f"{missing} must be given where bounds are not finite, got None")
    if x0 is not None and not bool(((space.low <= x0) & (x0 <= space.high)).all()):
        raise ValueError("x0 must lie in the bounds, got a point outside")
