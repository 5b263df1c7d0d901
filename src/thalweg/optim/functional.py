"""A rule as pure functions, for `torch.func`: the state goes in and comes out, and nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from thalweg.optim.hyperparameters import check_group, check_known, check_options, check_rule, flags_of
from thalweg.optim.states import first_states
from thalweg.optim.steps import compute_dtype
from thalweg.rules import Rule
from thalweg.rules.arithmetic import _draw_seed
from thalweg.rules.functional import PureStep, pure_step
from thalweg.rules.program import Kind

Tensors = Mapping[str, torch.Tensor]
State = dict[str, Any]


@dataclass(frozen=True)
class Functional:
    """`init` and `update` of a rule; `functional(rule)` makes one."""

    rule: Rule
    maximize: bool
    decay: str
    steps: Mapping[bool, PureStep] = field(repr=False, compare=False)  # with and without weight decay

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(functional, maximize=self.maximize, decay=self.decay), (self.rule,)

    def init(self, params: Tensors, hyper: Mapping[str, Any] | None = None, generator: Any = None) -> State:
        """The state before the first step.

        `params`: the tensors of one network by name. `hyper`: numbers, which initial states may depend on; the rule's
        own where they are left out. `generator`: where random initial states come from; without one the seed is 0.
        Under vmap nothing may be drawn.

        The state has "step", an int64 tensor, and under the name of each of the rule's states a tensor for each
        parameter, or one float64 tensor for a scalar state. Of many networks, whose noise should differ,
        `StackedOptimizer` makes the states, and on a CPU it steps much faster than vmap does.

        Raises ValueError, naming the key and quoting the value, on a bad hyperparameter; TypeError on an unknown one.
        """
        check_known(self.rule, hyper or ())
        if not params:
            raise ValueError("params must hold at least one tensor, got none")
        group = {**self.rule.hyperparameters, **(hyper or {}), "decay": self.decay, "maximize": self.maximize}
        check_group(self.rule, {**group, "rounding": "nearest"})
        seed = _draw_seed(generator)
        device = next(iter(params.values())).device
        state: State = {"step": torch.zeros((), dtype=torch.int64, device=device)}
        firsts = [first_states(self.rule, p, group, seed, i) for i, p in enumerate(params.values())]
        for name in self.rule.states:
            if self.rule.program.kinds[name] == Kind.SCALAR:
                state[name] = torch.tensor(firsts[0][name], dtype=torch.float64, device=device)
            else:
                state[name] = {key: first[name] for key, first in zip(params, firsts, strict=True)}
        return state

    def update(
        self, params: Tensors, grads: Tensors, state: State, hyper: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, torch.Tensor], State]:
        """The parameters and the state after a step. Nothing is changed in place, and nothing waits for a device.

        `hyper`: numbers or tensors without dimensions; under `torch.vmap` with a leading axis, one a network. Values
        are not checked, since looking at one would wait for its device; an unknown name raises TypeError.

        >>> from thalweg.rules.gallery import GALLERY
        >>> rule = functional(GALLERY["heavy_ball"].rule)
        >>> params = {"w": torch.tensor([[1.0], [1.0]])}                       # two networks of one weight
        >>> state = torch.vmap(rule.init)(params)
        >>> grads, hyper = {"w": torch.ones(2, 1)}, {"lr": torch.tensor([0.5, 0.25])}
        >>> params, state = torch.vmap(rule.update)(params, grads, state, hyper)
        >>> params["w"].flatten().tolist()
        [0.5, 0.75]
        """
        check_known(self.rule, hyper or ())
        values = {**self.rule.hyperparameters, **(hyper or {})}
        pure = self.steps[bool(flags_of(False, self.decay, values["weight_decay"]))]
        program, device = self.rule.program, state["step"].device
        settings = {name: _as_float64(value, device) for name, value in self.rule.named(values).items()}
        clock = (state["step"] + self.rule.first_step).to(torch.float64)
        scalars, after = pure.scalars(clock, **settings, **{name: state[name] for name in program.scalar_states})
        new_params: dict[str, torch.Tensor] = {}
        new_state: State = {"step": state["step"] + 1, **{name: {} for name in program.tensor_states}}
        for key, w in params.items():
            wide, states = w.to(compute_dtype(w.dtype)), [state[name][key] for name in program.tensor_states]
            new_w, *new = pure.step(wide, grads[key].to(wide.dtype), *states, *scalars)
            new_params[key] = new_w.to(w.dtype)
            for name, old, value in zip(program.tensor_states, states, new, strict=True):
                new_state[name][key] = torch.as_tensor(value, dtype=old.dtype).expand_as(old)
        scalar_states = {name: _as_float64(v, device) for name, v in zip(program.scalar_states, after, strict=True)}
        return new_params, {**new_state, **scalar_states}


def functional(rule: Rule, *, maximize: bool = False, decay: str | None = None) -> Functional:
    """A rule as the pure functions `init(params)` and `update(params, grads, state, hyper)`.

    `maximize` and `decay` are as in `RuleOptimizer`, and raise as they do there. The functions work under `torch.func`:
    vmap over networks, grad through a step, `functional_call`.
    """
    check_rule(rule)
    decay = rule.decay if decay is None else decay
    check_options(decay, maximize)
    steps = {decayed: pure_step(rule, flags_of(maximize, decay, decayed)) for decayed in (False, True)}
    return Functional(rule, maximize, decay, steps)


def _as_float64(value: Any, device: torch.device) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.to(torch.float64)
    return torch.tensor(value, dtype=torch.float64, device=device)
