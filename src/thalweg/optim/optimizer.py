"""`RuleOptimizer`: any rule as a `torch.optim.Optimizer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

import torch
from torch.optim.optimizer import ParamsT

from thalweg.optim import compiled
from thalweg.optim.bucket import Bucket, Settings
from thalweg.optim.compiled import Compiler
from thalweg.optim.hyperparameters import check_group, check_known, check_rule
from thalweg.optim.partition import ASKED_FOR, Choice, Partition, partition, slot_of
from thalweg.optim.rounding import EXTRA
from thalweg.optim.states import check_loaded, check_parameter, extra_states, first_states, restored, rounding_kept
from thalweg.rules import Rule
from thalweg.rules.arithmetic import _draw_seed

# Sets of parameters whose buckets are kept for each group. A sweep over the blocks of a network steps as many in turn.
KEPT = 64


class Options(TypedDict, total=False):
    """The keyword arguments that every optimizer takes beside its rule's hyperparameters."""

    maximize: bool
    decay: str | None
    backend: str | None
    rounding: str
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
        backend: None for the fastest that each parameter is fit for (`plan()` shows it), or "native" (CPU), "foreach"
            (GPU), "blocks" or "plain". `compile()` is one more.
        rounding: how float32 results become half-precision weights: "nearest"; "stochastic", which keeps small updates
            on average; or "kahan", which keeps what rounding left over in one more tensor. Other weights are not
            rounded.
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
        rounding: str = "nearest",
        generator: torch.Generator | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **hyperparameters: Any,
    ) -> None:
        check_rule(rule)
        check_known(rule, hyperparameters)
        if backend not in (None, *ASKED_FOR):
            raise ValueError(f"backend must be None, 'native', 'foreach', 'blocks' or 'plain', got {backend!r}")
        if capturable or differentiable:
            raise ValueError("capturable and differentiable are not supported, got True; leave them out")
        self.rule = rule
        self._choice = Choice(backend, None)
        self._buckets: dict[int, list[Partition]] = {}  # by group: those of the last steps
        self._seed = _draw_seed(generator)
        defaults = {
            **rule.hyperparameters,
            **hyperparameters,
            "maximize": maximize,
            "decay": rule.decay if decay is None else decay,
            "rounding": rounding,
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
        try:
            for p in group["params"]:
                check_parameter(p)
        except ValueError:
            self.param_groups.pop()
            raise
        for index, p in enumerate(group["params"], start=first):
            # A frozen parameter waits for its first gradient, unless its states have more than zeros to begin with.
            if p.requires_grad or self.rule.initial:
                self._join(p, group, index)

    def _state_of(self, p: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if not self.state.get(p):
            self._join(p, group, self._place(p))
        state: dict[str, Any] = self.state[p]
        if not rounding_kept(p, state, group["rounding"]):  # the group's has changed
            for name in EXTRA:
                state.pop(name, None)
            state.update(extra_states(p, group["rounding"], self._seed, self._place(p)))
        return state

    def _place(self, p: torch.Tensor) -> int:
        everything = (other for each in self.param_groups for other in each["params"])
        return next(i for i, other in enumerate(everything) if other is p)

    def _join(self, p: torch.Tensor, group: dict[str, Any], index: int) -> None:
        states = first_states(self.rule, p, group, self._seed, index)
        self.state[p].update(states, **extra_states(p, group["rounding"], self._seed, index))

    # The step

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; returns what `closure`, called with gradients on, returns.

        Raises RuntimeError on a sparse gradient, on states that are elsewhere than their parameter, and where a backend
        was asked for that a parameter is not fit for.
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
        known = self._buckets.setdefault(id(group), [])
        buckets = next((each for each in known if each.has(parameters)), None)
        if buckets is None or not buckets.follows(self.state, parameters, grads, group["rounding"]):
            if any(grad.is_sparse for grad in grads):
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients; make them dense first")
            states = [self._state_of(p, group) for p in parameters]
            others = [each for each in known if each is not buckets][-KEPT:]
            buckets = partition(self.rule, self._choice, group["rounding"], parameters, grads, states)
            known[:] = [*others, buckets] if buckets.lasting else others
        for bucket in buckets.buckets:
            self._step_bucket(group, bucket)

    def _step_bucket(self, group: dict[str, Any], bucket: Bucket) -> None:
        """Steps parameters whose clocks and scalar states are the same, and moves their clocks on."""
        first = bucket.states[0]
        names, clock = self.rule.program.scalar_states, first["step"]
        t = float(clock + self.rule.first_step)
        settings = Settings(
            self.rule.scalars(group), group["maximize"], group["decay"], clock, t, {name: first[name] for name in names}
        )
        after = bucket.step(settings)
        for state in bucket.states:
            state["step"] = clock + 1
        for state in bucket.states if names else ():
            state.update(zip(names, after, strict=True))

    def plan(self) -> list[Plan]:
        """How each parameter is stepped and why, taking a missing gradient to be laid out as its parameter is."""
        plans = []
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                grad = torch.zeros_like(p) if p.grad is None else p.grad
                known = p in self.state
                try:
                    backend, reason = self._choice.of(self.rule, slot_of(self.rule, p, grad, self._state_of(p, group)))
                finally:
                    if not known:  # looking changes nothing
                        del self.state[p]
                plans.append(Plan(i, j, tuple(p.shape), backend, reason))
        return plans

    def compile(self, **options: Any) -> str:
        """Steps by programs of `torch.compile` from here on, and returns what that will cost, to be said beforehand.

        `options`: what `torch.compile` takes (`mode`, `options`, `backend`). Every bucket, which is a set of parameters
        that have gradients, is one program; a new learning rate, beta or step count is no new one, other gradients are.
        On a CPU the native step is as fast and costs a second.

        Raises RuntimeError where there is no compiler for the parameters' devices, ValueError on an option that is not
        to be chosen, or where a backend was asked for by name.
        """
        if self._choice.backend is not None:
            raise ValueError(f"compile() is a backend of its own, got backend={self._choice.backend!r}; leave that out")
        tensors = [p for group in self.param_groups for p in group["params"]]
        reason = compiled.unavailable({p.device.type for p in tensors})
        if reason:
            raise RuntimeError(f"compile() was asked for, but {reason}")
        compiler = Compiler(options)
        self._choice, self._buckets = Choice(None, compiler), {}
        return compiler.cost(len(tensors))

    # Saving and loading

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads a state dict, keeping the dtype of every state as it was saved, which torch does not.

        Raises ValueError where it is another rule's, or its states have other shapes or are split otherwise.
        """
        final: dict[str, Any] = {}

        def check_and_keep(_: torch.optim.Optimizer, loaded: dict[str, Any]) -> None:
            check_loaded(self.rule, self.param_groups, loaded)
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
                    self.state[p][name] = restored(value, p)

    def __getstate__(self) -> dict[str, Any]:
        choice = Choice(self._choice.backend, None)  # programs are not copied
        own = {"rule": self.rule, "_choice": choice, "_seed": self._seed}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._buckets = {}  # the states are other tensors now
        super().__setstate__(state)
        for group in self.param_groups:
            for key in (*self.rule.hyperparameters, "maximize", "decay", "rounding"):
                group.setdefault(key, self.defaults[key])
