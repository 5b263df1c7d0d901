"""Optimizers that are not rules: torch's, other packages' and a user's own, each called as it wants to be."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from thalweg.race.recipe import RECIPE
from thalweg.race.record import Value
from thalweg.race.spaces import Dimension, Float, Space
from thalweg.tasks.user import module_from

# How a step is called: without a closure; with one that it calls itself (LBFGS); after the gradients are there, with
# one for further passes (SAM).
PLAIN, OWN_PASSES, FURTHER_PASSES = "plain", "own passes", "further passes"
NOT_HYPERPARAMETERS = ("params", "foreach", "fused", "capturable", "differentiable", "maximize")


@dataclass(frozen=True)
class Foreign:
    """Makes an optimizer: `make(params, **hyperparameters)`.

    `path` says where `make` is, as `module:name`; `source` is what else decides how it steps: code, versions.
    """

    make: Callable[..., torch.optim.Optimizer]
    path: str
    source: str = ""

    def __call__(self, params: ParamsT, **hyperparameters: Any) -> torch.optim.Optimizer:
        """The optimizer. Raises ValueError, naming it, where it refuses what it is given."""
        try:
            optimizer = self.make(params, **hyperparameters)
        except Exception as error:  # packages have errors of their own for this
            raise ValueError(
                f"{self.path} cannot be made with {hyperparameters}: {type(error).__name__}: {error}; where it needs "
                "more, write a function of (params, lr=...) that makes it, and name file.py:function"
            ) from error
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(f"{self.path} must make a torch.optim.Optimizer, got {type(optimizer).__name__}")
        return optimizer

    @cached_property
    def defaults(self) -> dict[str, Value]:
        """The hyperparameters in its signature that have a number, a text or a tuple of numbers as default.

        One that has no default, but a place in the search space, begins in the middle of its range. One that is named
        like one of `Recipe` is not among them, and keeps its own default.
        """
        searched = {dimension.name: dimension for dimension in self.space() or ()}
        found: dict[str, Value] = {}
        for name, parameter in inspect.signature(self.make).parameters.items():
            default = parameter.default.item() if isinstance(parameter.default, torch.Tensor) else parameter.default
            if name in NOT_HYPERPARAMETERS or name in RECIPE:
                continue
            if _is_value(default):
                found[name] = default
            elif name in searched:
                found[name] = searched[name].at(0.5)
        return found

    def has_lr(self) -> bool:
        """Whether a schedule can reach its learning rate. Raises ValueError where it cannot be made."""
        optimizer = self([torch.nn.Parameter(torch.zeros(2, 2))], **self.defaults)
        return all(group.get("lr") is not None for group in optimizer.param_groups)

    def space(self) -> Space | None:
        """The search space that it brings with it: dimensions, or by name a (low, high) pair. None where it has none.

        Raises ValueError where that is malformed.
        """
        given = getattr(self.make, "search_space", None)
        if given is None:
            return None
        try:
            if isinstance(given, dict):
                return tuple(Float(name, float(low), float(high)) for name, (low, high) in given.items())
            if all(isinstance(each, Dimension) for each in given):
                return tuple(given)
            raise TypeError("it is neither a dict nor a list of dimensions")
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"search_space of {self.path} must be like {{'lr': (1e-4, 1.0)}}, got {given!r}: {error}"
            ) from error

    def definition(self) -> str:
        """Where it comes from, and what decides how it steps."""
        return f"{self.path}\n{self.source}"


def style_of(optimizer: torch.optim.Optimizer) -> str:
    """How the steps of an optimizer are to be called.

    SAM and its kin have `first_step` and `second_step`, and want the gradients before, and a closure for the second.
    """
    if hasattr(optimizer, "first_step") and hasattr(optimizer, "second_step"):
        return FURTHER_PASSES
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return OWN_PASSES if closure is not None and closure.default is inspect.Parameter.empty else PLAIN


def loaded(path: str) -> Foreign:
    """The optimizer at `package.module:Name` or `file.py:Name`.

    Raises ValueError, naming what cannot be found or imported.
    """
    place, _, name = path.rpartition(":")
    if not place or not name:
        raise ValueError(f"optimizer {path!r} must be module:Name or file.py:Name")
    module, source = _from_file(Path(place), path) if place.endswith(".py") else _from_package(place, path)
    made = getattr(module, name, None)
    if made is None:
        near = difflib.get_close_matches(name, vars(module), n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"optimizer {path!r}: {place} has no {name!r}{meant}")
    if not callable(made):
        raise ValueError(f"optimizer {path!r}: {name!r} is not an optimizer class or a function that makes one")
    return Foreign(made, path, source)


def lbfgs(
    params: Iterable[torch.nn.Parameter], lr: float = 1.0, max_iter: int = 20, history_size: int = 100
) -> torch.optim.Optimizer:
    """torch's LBFGS with its strong Wolfe line search, without which it diverges easily."""
    return torch.optim.LBFGS(
        params, lr=lr, max_iter=int(max_iter), history_size=int(history_size), line_search_fn="strong_wolfe"
    )


def muon(
    params: Iterable[torch.nn.Parameter], lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.1
) -> torch.optim.Optimizer:
    """torch's Muon on the matrices, AdamW on biases and convolutions, at one learning rate for both.

    That is what `adjust_lr_fn="match_rms_adamw"` is for (Liu et al. 2025, arXiv 2502.16982). Raises ValueError where
    torch is older than 2.9, which has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise ValueError(f"torch {torch.__version__} has no Muon; 2.9 and later have")
    return MuonAndAdamW(params, lr=lr, momentum=momentum, weight_decay=weight_decay)


class MuonAndAdamW(torch.optim.Optimizer):
    """Two of torch's optimizers behind one: their parameter groups are its own, so that schedules reach both."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], *, lr: float, momentum: float, weight_decay: float
    ) -> None:
        every = list(params)
        matrices, others = [w for w in every if w.dim() == 2], [w for w in every if w.dim() != 2]
        self._parts: list[torch.optim.Optimizer] = []
        if matrices:
            self._parts.append(
                torch.optim.Muon(
                    matrices, lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
                )
            )
        if others:
            self._parts.append(torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay))
        super().__init__(every, {"lr": lr})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss


def _from_package(place: str, path: str) -> tuple[ModuleType, str]:
    """A module that can be imported, and its version."""
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        hint = "; a file of your own is given as my_file.py:Name" if error.name == place.split(".")[0] else ""
        raise ValueError(f"optimizer {path!r}: there is no module {error.name!r} here{hint}") from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"optimizer {path!r}: importing {place} raised {type(error).__name__}: {error}") from error
    try:
        return module, version(place.split(".")[0])
    except PackageNotFoundError:  # one that is not installed, such as a folder of one's own: its text says as much
        return module, inspect.getsource(module)


def _from_file(file: Path, path: str) -> tuple[ModuleType, str]:
    """A file as a module, and its text."""
    module = module_from(file, f"optimizer {path!r}")
    return module, file.expanduser().read_text(errors="replace")


def _is_value(default: Any) -> bool:
    if isinstance(default, tuple):
        return bool(default) and all(_is_number(part) for part in default)
    return isinstance(default, str) or _is_number(default)


def _is_number(default: Any) -> bool:
    return isinstance(default, (int, float)) and not isinstance(default, bool) and math.isfinite(default)
