"""What swarms found for targets, kept: where the answer depends on the target alone there are few to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# Of outputs and targets, each once: the best outputs and the curvatures.
Find = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
Look = Callable[[Tensor], Tensor]  # takes from a table what belongs to the targets


class Cache:
    """A table of answers, by target and member.

    At the element level targets are numbers: those to `expect`, or all that are met, which only a CPU can list without
    waiting. Where targets are classes there are as many as outputs.
    """

    def __init__(self, level: str, expect: Sequence[float] | None) -> None:
        self.level = level
        self._expect = None if expect is None else torch.tensor(sorted(set(expect)), dtype=torch.float64)
        self._keys: Tensor | None = None
        self._best = self._curvature = torch.empty(0)

    def answers(self, outputs: Tensor, targets: Tensor, find: Find, *, curved: bool) -> tuple[Tensor, Tensor]:
        """For targets (members, n, ...) the best outputs, in the outputs' shape, and where it is asked for the
        curvatures; else nothing that means anything."""
        by_class = self.level == "sample" or not targets.is_floating_point()
        places = self._classes(outputs, targets, find) if by_class else self._numbers(outputs, targets, find)
        best = places(self._best)
        return best, places(self._curvature) if curved else best

    def state_dict(self) -> dict[str, Any]:
        """The table."""
        return {"keys": self._keys, "best": self._best, "curvature": self._curvature}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The table as it was."""
        self._keys, self._best, self._curvature = state["keys"], state["best"], state["curvature"]

    def _classes(self, outputs: Tensor, targets: Tensor, find: Find) -> Look:
        if targets.is_floating_point() or outputs.dim() != 3 or targets.dim() != 2:
            raise ValueError(
                "cache needs targets that are numbers in the outputs' shape, at the element level, or classes (n,) for "
                f"outputs (n, classes), got shapes {tuple(targets.shape[1:])} and {tuple(outputs.shape[1:])}"
            )
        members, _, classes = outputs.shape
        if self._keys is None or len(self._best) != members:
            self._keys = torch.arange(classes, device=outputs.device)
            rows = self._keys.expand(members, classes).contiguous()
            self._best, self._curvature, *_ = find(outputs.new_zeros(members, classes, classes), rows)
        member = torch.arange(members, device=outputs.device).unsqueeze(1)
        return lambda table: table[member, targets]

    def _numbers(self, outputs: Tensor, targets: Tensor, find: Find) -> Look:
        if targets.shape != outputs.shape:
            raise ValueError(
                f"cache at the element level needs targets of the outputs' shape, got {tuple(targets.shape[1:])} and "
                f"{tuple(outputs.shape[1:])}"
            )
        targets = targets.to(outputs)
        if self._keys is None or len(self._best) != len(outputs):
            self._keys = targets.new_empty(0)
            self._best = self._curvature = targets.new_empty(len(outputs), 0)
            self._add(self._first_keys(targets), find)
        places = self._places(targets)
        known = self._keys[places] == targets
        if self._expect is None and not bool(known.all()):
            met = targets.unique()
            self._add(met[~torch.isin(met, self._keys)], find)
            places = self._places(targets)
            known = self._keys[places] == targets
        rows = places.flatten(1)
        return lambda table: torch.where(known, table.gather(1, rows).reshape(outputs.shape), torch.nan)

    def _first_keys(self, targets: Tensor) -> Tensor:
        if self._expect is not None:
            return self._expect.to(targets)
        if targets.device.type != "cpu":
            raise ValueError(
                f"cache must name the targets to expect on {targets.device}, such as cache=(0.0, 1.0), got True"
            )
        return targets.unique()

    def _add(self, keys: Tensor, find: Find) -> None:
        """More keys to the table: one problem each for every member."""
        assert self._keys is not None
        rows = keys.expand(len(self._best), len(keys)).contiguous()
        best, curvature, *_ = find(torch.zeros_like(rows), rows)
        self._keys, order = torch.cat([self._keys, keys]).sort()
        self._best = torch.cat([self._best, best], dim=1)[:, order]
        self._curvature = torch.cat([self._curvature, curvature], dim=1)[:, order]

    def _places(self, targets: Tensor) -> Tensor:
        assert self._keys is not None
        return torch.searchsorted(self._keys, targets.contiguous()).clamp_(max=len(self._keys) - 1)
