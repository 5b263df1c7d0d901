"""`Objective`: how a plain function is called, and what it returns is checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import lru_cache
from typing import Any

import cloudpickle
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Function = Callable[[Tensor], Any]
ERRORS = ("raise", "worst")
_ONE_BY_ONE = "one that takes a single point needs vectorized=False"


class Objective:
    """A function to minimize, as a search calls it: without autograd, and with a copy of the points.

    Arguments:
        f: from points (n, D) to values (n,); where not `vectorized`, from one point (D,) to a number.
        executor: where f is called, point by point; None: here.
        errors: "raise" passes on what f raises, with a note that says at which point; "worst" counts the point as nan.
            A vectorized function that raises is then asked point by point, as (1, D).

    `failures` counts what was forgiven, and `trouble` is the last of it, in words.
    """

    def __init__(self, f: Function, vectorized: bool, executor: Executor | None, errors: str) -> None:
        if not callable(f):
            raise ValueError(f"f must be a function of points, got {f!r:.80}")
        if errors not in ERRORS:
            raise ValueError(f"errors must be 'raise' or 'worst', got {errors!r}")
        if executor is not None and vectorized:
            raise ValueError(
                "executor must be None where f is vectorized, which is one call a generation; set vectorized=False and "
                "let f take one point"
            )
        if isinstance(executor, type) or (executor is not None and not callable(getattr(executor, "map", None))):
            raise ValueError(f"executor must be a concurrent.futures.Executor or None, got {executor!r:.80}")
        self.f, self.vectorized, self.executor, self.forgiving = f, vectorized, executor, errors == "worst"
        self.failures, self.trouble = 0, ""
        self._takes_rows = False  # known to

    def values(self, x: Tensor, done: list[float], after_each: Callable[[], None]) -> Tensor:
        """The values (n,) at points (n, D), of the same dtype and on the same device.

        Point by point, `done` has the values that were there before, which are not asked for again, and gets the others
        as they arrive, after each of which `after_each` is called.
        """
        if not self.vectorized:
            for value in self._each(x[len(done) :], len(done)):
                done.append(value)
                after_each()
            return torch.tensor(done, dtype=x.dtype, device=x.device)
        try:
            with torch.no_grad():
                returned = self.f(x.clone())
        except Exception as error:
            if not self.forgiving:
                error.add_note(f"f raised this when it was called with points {tuple(x.shape)}")
                raise
            single = (self._alone(row) for row in x.unsqueeze(1))
            return torch.tensor(list(single), dtype=x.dtype, device=x.device)
        values = _checked(returned, len(x))
        if len(x) == x.shape[1] and not self._takes_rows:
            self._check_rows(x)
        return values.detach().to(x)

    def _check_rows(self, x: Tensor) -> None:
        """Raises ValueError where f takes a single point. As many points as dimensions do not show that, for it takes
        columns for them. f is asked for no points at all, so that nobody counts any; if it cannot answer, for one."""
        for few in (0, 2 if x.shape[1] == 1 else 1):
            try:
                with torch.no_grad():
                    returned = self.f(x[:1].repeat(few, 1))
            except Exception as error:
                if few and not self.forgiving:
                    error.add_note(f"f raised this when it was called with {few} of {len(x)} points; {_ONE_BY_ONE}")
                    raise
            else:
                found = tuple(_as_tensor(returned).shape)
                if found != (few,):
                    raise ValueError(f"f must take points as rows, but of {few} it gave values {found}; {_ONE_BY_ONE}")
                break
        self._takes_rows = True

    def slope(self, x: Tensor) -> tuple[float, Tensor]:
        """The value at one point (D,), and the gradient (D,) by autograd, in one pass.

        Raises ValueError where autograd has no gradient.
        """
        at = x.detach().clone().requires_grad_()
        try:
            with torch.enable_grad():
                returned = self.f(at.unsqueeze(0).clone() if self.vectorized else at.clone())
        except Exception as error:
            if isinstance(error, RuntimeError) and "requires grad" in str(error):  # it became an array
                raise _not_differentiable(str(error)) from error
            if not self.forgiving:
                error.add_note(f"f raised this in a local search, which refine asked for, x = {_shown(x)}")
                raise
            return self.forgive(error), torch.zeros_like(x)
        value = _checked(returned, 1) if self.vectorized else _one(returned)
        if not value.requires_grad:
            raise _not_differentiable("what it returns does not require grad")
        (gradient,) = torch.autograd.grad(value, at, allow_unused=True)
        if gradient is None:
            raise _not_differentiable("what it returns does not depend on x")
        return value.item(), gradient

    def _each(self, x: Tensor, first: int) -> Iterator[float]:
        """The values at points (n, D), one by one; `first` is the number of the first among those of the generation."""
        call = _Call(self.f, self.forgiving, x.dtype, x.device)
        points = list(x.double().cpu().numpy().copy())  # arrays travel to processes, and 64 bits hold any dtype
        answers: Iterable[float | str] = map(call, points)
        if self.executor is not None:
            answers = self.executor.map(call, points)
        arriving = iter(answers)
        for place in range(len(points)):
            try:
                answer = next(arriving)
            except Exception as error:
                error.add_note(f"f raised this at point {first + place} of the generation, x = {_shown(x[place])}")
                raise
            yield self.forgive(answer) if isinstance(answer, str) else answer

    def _alone(self, row: Tensor) -> float:
        """The value of a vectorized function at one point (1, D)."""
        try:
            with torch.no_grad():
                returned = self.f(row.clone())
        except Exception as error:
            return self.forgive(error)
        return _checked(returned, 1).item()

    def forgive(self, error: Exception | str) -> float:
        """Counts an exception, and says what it is worth: nan."""
        self.failures += 1
        self.trouble = error if isinstance(error, str) else _described(error)
        return math.nan


class _Call:
    """A function of one point, as an executor calls it; an exception that is forgiven comes back in words.

    To another process it travels with what that cannot import, such as functions of a notebook.
    """

    def __init__(self, f: Function, forgiving: bool, dtype: torch.dtype, device: torch.device) -> None:
        self.f, self.forgiving, self.dtype, self.device = f, forgiving, dtype, device
        self._packed: bytes | None = None

    def __call__(self, x: NDArray[np.float64]) -> float | str:
        try:
            with torch.no_grad():  # which is the thread's
                returned = self.f(torch.tensor(x, dtype=self.dtype, device=self.device))
        except Exception as error:
            if not self.forgiving:
                raise
            return _described(error)
        return _one(returned).item()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._packed is None:
            self._packed = cloudpickle.dumps(self.f)
        return _unpacked, (self._packed, self.forgiving, self.dtype, self.device)


@lru_cache(maxsize=4)
def _unpacked(packed: bytes, forgiving: bool, dtype: torch.dtype, device: torch.device) -> _Call:
    return _Call(cloudpickle.loads(packed), forgiving, dtype, device)


def _checked(returned: Any, count: int) -> Tensor:
    """What a vectorized function returned, if it can be that."""
    values = _as_tensor(returned)
    if values.shape != (count,):
        raise ValueError(
            f"f must return one value a point, of shape ({count},), got {tuple(values.shape)}; {_ONE_BY_ONE}"
        )
    return values


def _one(returned: Any) -> Tensor:
    """What a function of one point returned, if it can be that, ()."""
    values = _as_tensor(returned)
    if values.numel() != 1:
        raise ValueError(
            f"f must return one number, as it is given one point, got shape {tuple(values.shape)}; one that takes all "
            "points at once needs vectorized=True"
        )
    return values.reshape(())


def _as_tensor(returned: Any) -> Tensor:
    try:
        # Of numbers of Python torch makes float32 by default.
        dtype = None if isinstance(returned, (Tensor, np.ndarray, np.generic, complex)) else torch.float64
        values = torch.as_tensor(returned, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"f must return numbers, got {returned!r:.80}") from error
    if values.is_complex():
        raise ValueError(f"f must return real numbers, got {values.dtype}")
    return values


def _not_differentiable(why: str) -> ValueError:
    return ValueError(
        f"refine needs an f that autograd can differentiate, but {why}; leave refine out, or write f in operations of "
        "torch alone"
    )


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _shown(x: Tensor) -> str:
    return np.array2string(x.double().cpu().numpy(), precision=6, threshold=10)
