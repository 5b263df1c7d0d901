"""`RuleOptimizer`: any rule as a `torch.optim.Optimizer`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypedDict

import torch
from torch.optim.optimizer import ParamsT

from thalweg.optim import native, steps
from thalweg.optim.hyperparameters import check_group
from thalweg.optim.native import Table
from thalweg.optim.steps import Member, Settings
from thalweg.rules import Rule, plain
from thalweg.rules.arithmetic import _draw_seed, _stream
from thalweg.rules.program import Kind


class Options(TypedDict, total=False):
    """The keyword arguments that every optimizer takes beside its rule's hyperparameters."""

    maximize: bool
    decay: str | None
    backend: str | None
    generator: torch.Generator | None
    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool


@dataclass(frozen=True)
class Plan:
    """How one parameter is stepped, and why not by a faster step."""

    group: int
    parameter: int
    shape: tuple[int, ...]
    backend: str
    reason: str

    def __str__(self) -> str:
        because = f" ({self.reason})" if self.reason else ""
        return f"group {self.group}, parameter {self.parameter} {list(self.shape)}: {self.backend}{because}"


class RuleOptimizer(torch.optim.Optimizer):
    """Drives a rule over parameters, under the whole contract of `torch.optim.Optimizer`.

    Arguments:
        params: tensors, (name, tensor) pairs, or dicts of parameter groups, as torch takes them.
        rule: the equations. Their hyperparameters are the other keyword arguments, each a key of every group.
        weight_decay: how much of the weight is added to the gradient ("coupled") or taken off the weight before the
            step, times lr ("decoupled"), as `decay` says; by default as the rule says.
        maximize: step up instead of down.
        backend: None for the fastest that each parameter is fit for (`plan()` shows it), or "native", "blocks" or
            "plain".
        generator: where random initial states come from. They are drawn when a parameter joins, from a stream of its
            own, so that they are the same on every rank; without a generator the seed is 0.
        foreach, fused: taken so that torch's optimizers can be swapped for ours; `backend` decides alone.

    Half-precision parameters are stepped in float32 with float32 states; complex ones as pairs of reals. `state[p]`
    holds the rule's states by their names and "step", the count of steps. Sparse gradients raise RuntimeError.

    Raises ValueError, naming the argument and quoting the value, on a hyperparameter out of bounds, in any group;
    TypeError on one that the rule does not have.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> rule = Rule("momentum", "v = beta*v + g\\nw = w - lr*v", lr=0.1, beta=0.9)
    >>> optimizer = RuleOptimizer([weight], rule, lr=0.5)
    >>> (weight**2).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([0., 0.])
    """

    # Arguments by which a named class chooses between several rules.
    chooses_by: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        params: ParamsT,
        rule: Rule,
        *,
        maximize: bool = False,
        decay: str | None = None,
        backend: str | None = None,
        generator: torch.Generator | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **hyperparameters: Any,
    ) -> None:
        if not isinstance(rule, Rule):
            raise TypeError(f"rule must be a thalweg.Rule, got {rule!r}")
        unknown = [key for key in hyperparameters if key not in rule.hyperparameters]
        if unknown:
            known = ", ".join(rule.hyperparameters)
            raise TypeError(f"{rule.name} has no hyperparameter {unknown[0]!r}; it has {known}")
        if backend not in (None, *steps.BACKENDS):
            raise ValueError(f"backend must be None, 'native', 'blocks' or 'plain', got {backend!r}")
        if capturable or differentiable:
            raise ValueError("capturable and differentiable are not supported, got True; leave them out")
        self.rule = rule
        self._backend = backend
        self._tables: dict[int, Table] = {}  # by group: the last step's, where one bucket took the native step whole
        self._seed = _draw_seed(generator)
        defaults = {
            **rule.hyperparameters,
            **hyperparameters,
            "maximize": maximize,
            "decay": rule.decay if decay is None else decay,
        }
        super().__init__(params, defaults)

    # Parameters and their states

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group, checked like the defaults; its parameters' states are made at once."""
        if isinstance(param_group, dict):  # torch says what else it is
            check_group(self.rule, {**self.defaults, **param_group})
            for key in self.chooses_by:
                if key in param_group and key not in self.rule.hyperparameters:
                    raise ValueError(
                        f"{key} chooses the rule of the whole {type(self).__name__}: give it to the constructor, "
                        f"not to a group, got {param_group[key]!r}"
                    )
        first = sum(len(group["params"]) for group in self.param_groups)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for index, p in enumerate(group["params"], start=first):
            # A frozen parameter waits for its first gradient, unless its states have more than zeros to begin with.
            if p.requires_grad or self.rule.initial:
                self._join(p, group, index)

    def _state_of(self, p: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if p not in self.state:
            everything = [other for each in self.param_groups for other in each["params"]]
            self._join(p, group, next(i for i, other in enumerate(everything) if other is p))
        state: dict[str, Any] = self.state[p]
        return state

    def _join(self, p: torch.Tensor, group: dict[str, Any], index: int) -> None:
        """Makes the states of a parameter, evaluating what the rule says that they begin with."""
        like = _state_like(p)
        w = like.clone().copy_(torch.view_as_real(p.detach()) if p.is_complex() else p.detach())
        values = plain.initial(self.rule)(w, _stream(self._seed, index), **self.rule.scalars(group))
        self.state[p]["step"] = 0
        for name, value in zip(self.rule.states, values, strict=True):
            kind = self.rule.program.kinds[name]
            if kind == Kind.SCALAR:
                self.state[p][name] = float(value)
            elif kind == Kind.TENSOR:
                self.state[p][name] = like.new_zeros(()).copy_(torch.as_tensor(value, dtype=like.dtype))
            else:
                self.state[p][name] = like.copy_(torch.as_tensor(value, dtype=like.dtype)).clone()

    # The step

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; returns what `closure`, called with gradients on, returns.

        Raises RuntimeError on a sparse gradient, and where a backend was asked for that a parameter is not fit for.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        both = [(p, grad) for p in group["params"] if (grad := p.grad) is not None]
        parameters, grads = [p for p, _ in both], [grad for _, grad in both]
        table = self._tables.get(id(group))
        if table is not None and table.follows(self.rule, self.state, parameters, grads):
            self._step_bucket(group, table.states, partial(table.step, self.rule))
            return
        self._tables.pop(id(group), None)
        buckets: defaultdict[Any, list[tuple[torch.Tensor, dict[str, Any], Member]]] = defaultdict(list)
        for p, grad in zip(parameters, grads, strict=True):
            if grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients; make them dense first")
            state = self._state_of(p, group)
            member = self._member(p, grad, state)
            # As text, so that -0 is not 0 and NaN is NaN.
            clock = (state["step"], *(repr(state[name]) for name in self.rule.program.scalar_states))
            buckets[self._choose(member)[0], member.w.dtype, clock].append((p, state, member))
        for (backend, *_), entries in buckets.items():
            owners, states, members = (list(column) for column in zip(*entries, strict=True))
            if backend == "native":
                table = Table(owners, states, members)
                self._step_bucket(group, states, partial(table.step, self.rule))
                if len(buckets) == 1 and not any(p.is_complex() for p in owners):
                    self._tables[id(group)] = table
            else:
                self._step_bucket(group, states, partial(_STEPS[backend], self.rule, members))

    def _step_bucket(
        self, group: dict[str, Any], states: list[dict[str, Any]], step: Callable[[Settings], tuple[float, ...]]
    ) -> None:
        """Steps parameters whose clocks and scalar states are the same, and moves their clocks on."""
        names, clock = self.rule.program.scalar_states, states[0]["step"]
        scalar_states = tuple(states[0][name] for name in names)
        t = float(clock + self.rule.first_step)
        settings = Settings(self.rule.scalars(group), group["maximize"], group["decay"], t, scalar_states)
        after = step(settings)
        for state in states:
            state["step"] = clock + 1
        for name, value in zip(names, after, strict=True):
            for state in states:
                state[name] = value

    def _member(self, p: torch.Tensor, grad: torch.Tensor, state: dict[str, Any]) -> Member:
        program = self.rule.program
        states = tuple(state[name] for name in program.tensor_states)
        if p.is_complex():
            member = Member(torch.view_as_real(p), torch.view_as_real(grad.resolve_conj()), states)
        else:
            member = Member(p, grad, states)
        shape = member.w.shape
        for name, other in zip(("gradient", *program.tensor_states), (member.g, *states), strict=True):
            if other.shape != (torch.Size() if program.kinds.get(name) == Kind.TENSOR else shape):
                raise RuntimeError(
                    f"the parameter is {tuple(shape)}, but its {name} is {tuple(other.shape)}; "
                    "make the optimizer anew when a parameter changes its shape"
                )
        return member

    def _choose(self, member: Member) -> tuple[str, str]:
        """The backend for a parameter, and why not a faster one."""
        no_native = steps.unfit_for_native(member) or native.unavailable()
        no_blocks = steps.unfit_for_blocks(self.rule, member)
        unfit = {"native": no_native, "blocks": no_blocks, "plain": ""}
        if self._backend is not None:
            if unfit[self._backend]:
                raise RuntimeError(f"backend={self._backend!r} was asked for, but {unfit[self._backend]}")
            return self._backend, "asked for"
        if not no_native:
            return "native", ""
        if not no_blocks:
            return "blocks", no_native
        return "plain", "; ".join(dict.fromkeys((no_native, no_blocks)))

    def plan(self) -> list[Plan]:
        """How each parameter is stepped and why, taking a missing gradient to be laid out as its parameter is."""
        plans = []
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                grad = torch.zeros_like(p) if p.grad is None else p.grad
                known = p in self.state
                backend, reason = self._choose(self._member(p, grad, self._state_of(p, group)))
                if not known:  # looking changes nothing
                    del self.state[p]
                plans.append(Plan(i, j, tuple(p.shape), backend, reason))
        return plans

    # Saving and loading

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads a state dict, keeping the dtype of every state as it was saved, which torch does not.

        Raises ValueError where it is another rule's, or its states have other shapes.
        """
        final: dict[str, Any] = {}

        def check_and_keep(_: torch.optim.Optimizer, loaded: dict[str, Any]) -> None:
            self._check_loaded(loaded)
            final.update(loaded)

        # The last hook before loading sees what the user's own made; the first one after shows them the final states.
        hooks = [
            self.register_load_state_dict_pre_hook(check_and_keep),
            self.register_load_state_dict_post_hook(lambda _: self._restore(final), prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    def _restore(self, loaded: Mapping[str, Any]) -> None:
        """Puts back the saved dtypes, which the base class has cast to the parameters' own."""
        ids = [i for group in loaded["param_groups"] for i in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for i, p in zip(ids, parameters, strict=True):
            for name, value in loaded["state"].get(i, {}).items():
                if isinstance(value, torch.Tensor):
                    layout = _state_like(p) if value.dim() else value
                    fresh = torch.empty_like(layout, dtype=value.dtype, device=p.device)
                    self.state[p][name] = fresh.copy_(value)

    def _check_loaded(self, loaded: Mapping[str, Any]) -> None:
        """Refuses states of another rule or of other shapes before anything is changed."""
        expected = {"step", *self.rule.states}
        ids = [i for group in loaded["param_groups"] for i in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for i, p in zip(ids, parameters, strict=False):
            state = loaded["state"].get(i)
            if state is None:
                continue
            if set(state) != expected:
                found, needed = ", ".join(sorted(state)), ", ".join(sorted(expected))
                raise ValueError(f"the state dict holds {found}; {self.rule.name} needs {needed}")
            for name in self.rule.states:
                kind, value = self.rule.program.kinds[name], state[name]
                shape = _state_like(p).shape if kind == Kind.WEIGHT else torch.Size([])
                if kind != Kind.SCALAR and value.shape != shape:
                    raise ValueError(
                        f"the state dict has {name!r} of shape {tuple(value.shape)} for parameter {i}, "
                        f"needed: {tuple(shape)}"
                    )

    def __getstate__(self) -> dict[str, Any]:
        own = {"rule": self.rule, "_backend": self._backend, "_seed": self._seed}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._tables = {}  # the states are other tensors now
        super().__setstate__(state)
        for group in self.param_groups:
            for key in (*self.rule.hyperparameters, "maximize", "decay"):
                group.setdefault(key, self.defaults[key])


_STEPS = {"blocks": steps.blocks_step, "plain": steps.plain_step}


def _state_like(p: torch.Tensor) -> torch.Tensor:
    """Zeros laid out as the states of a parameter are."""
    real = torch.view_as_real(p.detach()) if p.is_complex() else p.detach()
    return torch.zeros_like(real, dtype=steps.compute_dtype(real.dtype), memory_format=torch.preserve_format)
