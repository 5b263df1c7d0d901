"""`Machine`: a generation of candidates stepped in one call, each by a rule of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.evolve.machine.encoding import Encoded, encoded
from thalweg.optim import native
from thalweg.optim.stacked import _members
from thalweg.optim.states import first_states
from thalweg.rules import Rule

if TYPE_CHECKING:
    from thalweg.evolve.machine.interpreter import Kept

Tensors = Mapping[str, torch.Tensor]
DTYPES = {torch.float32: "float32", torch.float64: "float64"}
WORTH_THREADS = 1 << 18  # instructions times weights, below which one thread is faster than several


def check_numba() -> None:
    """Raises RuntimeError where there is no numba."""
    try:
        import numba  # noqa: F401
    except Exception as error:  # numba and llvmlite fail in many ways of their own where they do not fit the machine
        raise RuntimeError(
            f"evolution needs numba, which cannot be used here ({type(error).__name__}: {error}); install it with "
            "`pip install numba`"
        ) from error


class Machine:
    """Steps many networks of one shape at once, the members, each by its own rule: nothing is compiled for a rule.

    Arguments:
        rules: one for each member, followed at its default hyperparameters.
        params: tensors by name with a leading axis of members, on the CPU, contiguous, all float32 or all float64. They
            are changed in place.
        seeds: where random initial states come from, one for each member: they are those of a `RuleOptimizer` whose
            generator draws that seed. Without them every seed is 0, as without a generator there.

    A member's results depend on its own rule, weights and gradients alone, to the bit: not on the others, on their
    number, or on that of threads. They equal the plain step's to rounding.

    Raises ValueError, naming the argument and quoting the value; RuntimeError where there is no numba.

    >>> import thalweg
    >>> rules = [thalweg.Rule("descent", "w = w - lr*g", lr=0.5), thalweg.Rule("sign", "w = w - lr*sign(g)", lr=0.25)]
    >>> params = {"w": torch.zeros(2, 3)}
    >>> machine = Machine(rules, params)
    >>> machine.step({"w": torch.tensor([[1.0, 2.0, 3.0], [1.0, -2.0, 0.0]])})
    >>> params["w"].tolist()
    [[-0.5, -1.0, -1.5], [-0.25, 0.25, 0.0]]
    """

    def __init__(self, rules: Sequence[Rule], params: Tensors, *, seeds: Sequence[int] | None = None) -> None:
        check_numba()
        self._set_up(tuple(rules), dict(params))
        if seeds is not None and len(seeds) != self.members:
            raise ValueError(f"seeds must be one for each of {self.members} members, got {len(seeds)}")
        for i, (rule, code) in enumerate(zip(self.rules, self._codes, strict=True)):
            if any(state in rule.initial for state in (*code.scalar_states, *code.tensor_states, *code.weight_states)):
                self._begin(i, 0 if seeds is None else seeds[i])

    @property
    def steps(self) -> np.ndarray:
        """How many steps each member has made: int64 (members,)."""
        return self._steps.copy()

    def step(self, grads: Tensors, active: Any = None) -> None:
        """Steps every member, or those that `active` (a bool for each) has not stopped.

        `grads`: the gradients by the parameters' names, in their shapes. Raises ValueError where one is missing or of
        another shape or dtype; RuntimeError where a parameter is not laid out any more as it was.
        """
        running = np.ones(self.members, dtype=np.bool_) if active is None else self._running(active)
        columns = (list(self.params.values()), self._gradients(grads))
        self._weights.addresses[:] = [(w.data_ptr(), g.data_ptr()) for w, g in zip(*columns, strict=True)]
        self._run(np.add(self._first_steps, self._steps, dtype=np.float64), running)
        self._steps += running
        # Without this autograd would not see that tensors it saved for backward have changed.
        torch.autograd.graph.increment_version(columns[0])

    def keep(self, kept: Any, params: Tensors | None = None) -> Machine:
        """A machine of some of the members, who go on where they are; this one stays as it is.

        `kept`: a bool for each member, or the places of those that stay. `params`: their weights; without them copies
        are made, which the new machine has as its `params`.
        """
        from thalweg.evolve.machine import tables

        places = np.arange(self.members)[np.asarray(kept)]
        if params is None:
            params = {name: w.detach()[torch.from_numpy(places)] for name, w in self.params.items()}
        other = Machine.__new__(Machine)
        other._set_up(tuple(self.rules[i] for i in places), dict(params))
        if other._weights.sizes.tolist() != self._weights.sizes.tolist() or other._dtype != self._dtype:
            raise ValueError(f"params must be those of {len(places)} of the members, got {_shapes(other.params)}")
        other._kept = tables.kept_by(places, self._kept, self._programs)
        other._steps = self._steps[places]
        return other

    def _set_up(self, rules: tuple[Rule, ...], params: dict[str, torch.Tensor]) -> None:
        """Makes everything but what members carry from step to step, which is as before a first step from zeros."""
        from thalweg.evolve.machine import tables
        from thalweg.evolve.machine.interpreter import Scratch, interpreter

        self.rules, self.params, self.members = rules, params, _members(params)
        one = next(iter(params.values()))
        if one.dtype not in DTYPES or one.device.type != "cpu":
            raise ValueError(f"params must be float32 or float64 on the CPU, got {one.dtype} on {one.device}")
        if len(rules) != self.members or not all(isinstance(rule, Rule) for rule in rules):
            raise ValueError(
                f"rules must be one Rule for each of {self.members} members, got {len(rules)}: {rules!r:.80}"
            )
        self._dtype = DTYPES[one.dtype]
        self._loop = interpreter(self._dtype)
        self._codes: list[Encoded] = list(map(encoded, rules))
        cut = tables.weights_of(tuple(w[0].numel() for w in params.values()))
        self._weights = cut._replace(addresses=cut.addresses.copy())
        total = int(cut.sizes.sum())
        self._programs = tables.programs_of(self._codes, len(params), total)
        self._kept: Kept = tables.kept_at_first(self._codes, self._programs, self._dtype)
        self._work = np.cumsum([code.work * total for code in self._codes])
        self._scratch: list[Scratch] = []
        self._first_steps = np.array([rule.first_step for rule in rules])
        self._steps = np.zeros(self.members, dtype=np.int64)

    def _begin(self, member: int, seed: int) -> None:
        """Gives a member the states that its rule says it begins with."""
        rule, code, programs = self.rules[member], self._codes[member], self._programs
        offsets = [0, *accumulate(self._weights.sizes.tolist())]
        of_tensors = self._kept.tensor_states[programs.tensor_states[member] : programs.tensor_states[member + 1]]
        of_weights = self._kept.weight_states[programs.weight_states[member] : programs.weight_states[member + 1]]
        of_tensors = of_tensors.reshape(len(self.params), len(code.tensor_states))
        of_weights = of_weights.reshape(len(code.weight_states), offsets[-1])
        for index, w in enumerate(self.params.values()):
            first = first_states(rule, w[member], dict(rule.hyperparameters), seed, index)
            for state, slot in code.scalar_states.items():
                self._kept.slots[programs.slots[member] + slot] = first[state]
            for i, state in enumerate(code.tensor_states):
                of_tensors[index, i] = first[state]
            for i, state in enumerate(code.weight_states):
                of_weights[i, offsets[index] : offsets[index + 1]] = first[state].numpy().ravel()

    def _run(self, clocks: np.ndarray, running: np.ndarray) -> None:
        """Runs the loop over all members, spread by their work over as many threads as torch uses."""
        from thalweg.evolve.machine import tables

        threads = min(torch.get_num_threads(), self.members) if self._work[-1] >= WORTH_THREADS else 1
        while len(self._scratch) < threads:
            self._scratch.append(tables.scratch_for(self._codes, self._weights, self._dtype))
        shares = self._work[-1] * np.arange(threads + 1) / threads
        cuts = np.searchsorted(self._work, shares).tolist()
        cuts[0], cuts[-1] = 0, self.members

        def loop(thread: int) -> None:
            scratch, part = self._scratch[thread], cuts[thread : thread + 2]
            self._loop(self._programs, self._weights, self._kept, scratch, clocks, running, *part)

        others = [native._pool.submit(loop, thread) for thread in range(1, threads)]
        loop(0)
        for other in others:
            other.result()

    def _running(self, active: Any) -> np.ndarray:
        running = np.asarray(active.cpu() if isinstance(active, torch.Tensor) else active)
        if running.shape != (self.members,) or running.dtype != np.bool_:
            raise ValueError(f"active must be a bool for each of {self.members} members, got {active!r:.80}")
        return np.ascontiguousarray(running)

    def _gradients(self, grads: Tensors) -> list[torch.Tensor]:
        """The gradients in the order of the parameters, contiguous."""
        ordered = []
        for (name, w), size in zip(self.params.items(), self._weights.sizes.tolist(), strict=True):
            if w.numel() != self.members * size or not w.is_contiguous():
                raise RuntimeError(f"the parameter {name!r} has changed its shape or layout; make the machine anew")
            g = grads.get(name)
            if g is None:
                raise ValueError(f"grads must have a tensor for {name!r}, got {', '.join(grads) or 'none'}")
            if g.shape != w.shape or g.dtype != w.dtype or g.device != w.device or g.layout != torch.strided:
                raise ValueError(
                    f"the gradient of {name!r} is {tuple(g.shape)}, {g.dtype} on {g.device}, and the parameter is "
                    f"{tuple(w.shape)}, {w.dtype} on the CPU"
                )
            ordered.append(g.resolve_neg().contiguous())
        return ordered


def _shapes(params: Tensors) -> str:
    return ", ".join(f"{name} {tuple(w.shape)}" for name, w in params.items())
