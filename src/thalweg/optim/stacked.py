"""`StackedOptimizer`: one step for many networks of one shape, each with hyperparameters and a clock of its own."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.optim import native
from thalweg.optim.functional import Functional, State, functional
from thalweg.optim.hyperparameters import check_rule, flags_of, joined, member_settings
from thalweg.optim.native import Memory
from thalweg.optim.states import first_states
from thalweg.optim.steps import DTYPES, NATIVE_DTYPES, compute_dtype
from thalweg.rules import Rule
from thalweg.rules.arithmetic import _draw_seed
from thalweg.rules.program import Kind

if TYPE_CHECKING:
    from thalweg.rules.native import Kernel

Tensors = Mapping[str, torch.Tensor]
# What says, quickly, that a tensor is still the same stretch of memory.
_LOOKS = (torch.Tensor.data_ptr, torch.Tensor.numel, torch.Tensor.is_contiguous, operator.attrgetter("dtype"))
BACKENDS = ("native", "torch")


class StackedOptimizer:
    """Steps many independent networks, the members, by a rule: as an optimizer for each would, in one call.

    Arguments:
        params: tensors by name with a leading axis of members, as `torch.func.stack_module_state` gives them. They are
            changed in place, and must be contiguous.
        rule: the equations. Their hyperparameters are the other keyword arguments: one number for all members, or a
            list, array or tensor of one for each; of a tuple such as `betas` each part may be so.
        maximize, decay: as in `RuleOptimizer`.
        generators: where random initial states come from, one for each member: member i's are those that a
            `RuleOptimizer` with that generator draws. Without them the seed of member i is i.
        backend: None, "native" (a CPU's default) or "torch" (vmap; any device).
        first: the place of the first of `params` among those of a network, on which random initial states depend.

    `state[name]` holds a state of the rule: for each parameter a tensor with a leading axis of members, or of a scalar
    state one float64 tensor. `steps` counts each member's steps. A member whose weights turn NaN changes no other's.
    Half-precision weights are rounded to the nearest. Where any member has weight decay, one whose is 0 gets 0*w, which
    is NaN where its weight is infinite.

    Raises ValueError, naming the argument and quoting the value; TypeError on an unknown hyperparameter.

    >>> import thalweg
    >>> rule = thalweg.Rule("descent", "w = w - lr*g", lr=0.1)
    >>> params = {"w": torch.zeros(3, 2)}                                    # three networks of two weights
    >>> optimizer = StackedOptimizer(params, rule, lr=[1.0, 2.0, 3.0])
    >>> optimizer.step({"w": torch.ones(3, 2)}, active=[True, True, False])  # the third has stopped
    >>> params["w"].tolist()
    [[-1.0, -1.0], [-2.0, -2.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        params: Tensors,
        rule: Rule,
        *,
        maximize: bool = False,
        decay: str | None = None,
        generators: Sequence[torch.Generator] | None = None,
        backend: str | None = None,
        first: int = 0,
        **hyperparameters: Any,
    ) -> None:
        check_rule(rule)
        if backend not in (None, *BACKENDS):
            raise ValueError(f"backend must be None, 'native' or 'torch', got {backend!r}")
        self.rule, self.params = rule, dict(params)
        self.members = _members(self.params)
        self._shapes = {name: w.shape for name, w in self.params.items()}
        one = next(iter(self.params.values()))
        self._dtype, self._device = one.dtype, one.device
        self._pure: Functional = functional(rule, maximize=maximize, decay=decay)
        self._settings = member_settings(rule, hyperparameters, self.members)
        self._decays = bool(self.hyper["weight_decay"].any())
        if generators is not None and len(generators) != self.members:
            raise ValueError(f"generators must be one for each of {self.members} members, got {len(generators)}")
        seeds = range(self.members) if generators is None else [_draw_seed(generator) for generator in generators]
        self._clocks = np.zeros(self.members, dtype=np.int64)
        self._all = np.ones(self.members, dtype=np.bool_)
        self._seen: list[Any] = []  # what weights and states were when last looked at
        self._kept: list[torch.Tensor] = []
        self.state = self._first_state(seeds, first)
        unfit = self._unfit_for_native()
        if backend == "native" and unfit:
            raise RuntimeError(f"backend='native' was asked for, but {unfit}")
        self.backend = backend or ("torch" if unfit else "native")

    def set(self, **hyperparameters: Any) -> None:
        """Gives some hyperparameters other values from the next step on, for all members or one for each."""
        if hyperparameters.keys() == {"lr"} and self._set_lr(hyperparameters["lr"]):
            return
        now = joined(self.rule, self.hyper)
        self._settings = member_settings(self.rule, {**now, **hyperparameters}, self.members)
        self._decays = bool(self.hyper["weight_decay"].any())
        self.__dict__.pop("_kernels", None)  # those of other equations, perhaps

    def _set_lr(self, lr: Any) -> bool:
        """Takes on learning rates that are surely allowed, without a look at everything else: schedules move them at
        every step. Says whether it did."""
        fit = isinstance(lr, np.ndarray) and lr.shape == (self.members,) and lr.dtype == np.float64
        if not fit or not self.rule.reads_lr or not (np.isfinite(lr) & (lr >= 0)).all():
            return False
        self._settings = self._settings.copy()
        names = [name for names in self.rule.read_as.values() for name in names]
        self._settings[:, names.index("lr")] = lr
        return True

    @property
    def hyper(self) -> dict[str, torch.Tensor]:
        """The hyperparameters of all members, by the names that the text reads: float64 (members,)."""
        names = [name for names in self.rule.read_as.values() for name in names]
        return dict(zip(names, torch.from_numpy(self._settings.T.copy()), strict=True))

    @property
    def steps(self) -> torch.Tensor:
        """How many steps each member has made: int64 (members,)."""
        return torch.from_numpy(self._clocks.copy())

    def prepare(self) -> None:
        """Compiles the step now, rather than when it is first taken."""
        if self.backend == "native":
            _ = self._kernels

    def step(self, grads: Tensors, active: Any = None) -> None:
        """Steps every member, or those that `active` (a bool for each) has not stopped.

        `grads`: the gradients by the parameters' names, in their shapes. Raises ValueError where one is missing or of
        another shape.
        """
        ordered = self._gradients(grads)
        running = self._all if active is None else self._running(active)
        self._look()
        if self.backend == "native":
            self._native_step(ordered, running)
        else:
            self._torch_step(dict(zip(self.params, ordered, strict=True)), running)
        self._clocks += running

    def state_dict(self) -> dict[str, Any]:
        """The steps, states and hyperparameters; the tensors are this optimizer's own, as in torch."""
        return {"step": self.steps, "state": self.state, "hyper": self.hyper}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes on what another optimizer of as many members and of the same rule saved.

        Raises ValueError, before anything is changed, where rule, members or shapes are others.
        """
        missing = [key for key in ("step", "state", "hyper") if key not in state_dict]
        if missing:
            raise ValueError(f"the state dict has no {missing[0]!r}; it must be a StackedOptimizer's")
        saved, hyper = state_dict["state"], state_dict["hyper"]
        own, given = (
            {"step": torch.from_numpy(self._clocks), **_flat(self.state)},
            {"step": state_dict["step"], **_flat(saved)},
        )
        if set(given) != set(own) or set(hyper) != set(self.hyper):
            held, needed = ", ".join([*given, *hyper]), ", ".join([*own, *self.hyper])
            raise ValueError(f"the state dict holds {held}; {self.rule.name} needs {needed}")
        for what, target in own.items():
            if given[what].shape != target.shape:
                shapes = f"{tuple(given[what].shape)}, needed: {tuple(target.shape)}"
                raise ValueError(f"the state dict has {what} of shape {shapes}")
        self.set(**joined(self.rule, hyper))
        for what, target in own.items():
            target.copy_(given[what])

    # The step on a CPU

    def _native_step(self, grads: list[torch.Tensor], running: np.ndarray) -> None:
        kernel, scalars_of_members = self._kernels
        names = self.rule.program.scalar_states
        states = np.empty((self.members, len(names)))
        for i, name in enumerate(names):
            states[:, i] = self.state[name].numpy()
        values = np.empty((self.members, kernel.scalars))
        clocks = np.add(self._clocks, self.rule.first_step, dtype=np.float64)
        scalars_of_members(self._settings, clocks, states, running, values)
        work = self._memory.work
        work.addresses[:, 1] = list(map(torch.Tensor.data_ptr, grads))
        work.active = running
        self._memory.step(kernel, values)
        for i, name in enumerate(names):
            self.state[name].copy_(torch.from_numpy(states[:, i]))

    @cached_property
    def _kernels(self) -> tuple[Kernel, Callable[..., None]]:
        from thalweg.rules import native as kernels

        flags = flags_of(self._pure.maximize, self._pure.decay, self._decays)
        dtype = str(self._dtype).removeprefix("torch.")
        return kernels.kernel(self.rule, flags, dtype), kernels.member_scalars(self.rule, flags)

    @cached_property
    def _memory(self) -> Memory:
        """Of the tensors last looked at; their own stand for the gradients until there are some."""
        width = len(self.params)
        columns = [self._kept[i : i + width] for i in range(0, len(self._kept), width)]
        sizes = [shape[1:].numel() for shape in self._shapes.values()]
        return Memory([columns[0], columns[0], *columns[1:]], sizes, sizes, self.members)

    def _look(self) -> None:
        """Looks at weights and states anew: any may be another tensor now, or have moved.

        Raises RuntimeError where one has not the layout any more that it was made with.
        """
        kept = list(self.params.values())
        for name in self.rule.program.tensor_states:
            kept += [self.state[name][key] for key in self.params]
        seen = [list(map(look, kept)) for look in _LOOKS]
        if seen == self._seen and all(map(operator.is_, kept, self._kept)):
            return
        self._check_layout(kept)
        self._seen, self._kept = seen, kept
        self.__dict__.pop("_memory", None)

    def _check_layout(self, kept: list[torch.Tensor]) -> None:
        names = [f"{name} of {key!r}" for name in ("weights", *self.rule.program.tensor_states) for key in self.params]
        for name, tensor, shape, dtype in zip(names, kept, *self._layout, strict=True):
            if not _laid_out([tensor], [shape], [dtype], self._device):
                raise RuntimeError(
                    f"the {name} are {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}, strides "
                    f"{tensor.stride()}, and were {tuple(shape)}, {dtype} on {self._device}, contiguous; make the "
                    "optimizer anew when a parameter changes"
                )

    @cached_property
    def _layout(self) -> tuple[list[torch.Size], list[torch.dtype]]:
        """The shapes and dtypes of all weights, then of all states."""
        shapes, dtypes = list(self._shapes.values()), [self._dtype] * len(self._shapes)
        for name in self.rule.program.tensor_states:
            per_tensor = self.rule.program.kinds[name] == Kind.TENSOR
            shapes += [torch.Size([self.members]) if per_tensor else shape for shape in self._shapes.values()]
            dtypes += [compute_dtype(self._dtype)] * len(self._shapes)
        return shapes, dtypes

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_memory", "_kernels")} | {
            "_seen": []
        }

    # The step elsewhere

    @torch.no_grad()
    def _torch_step(self, grads: Tensors, running: np.ndarray) -> None:
        device = self._device
        state: State = {"step": self.steps.to(device), **self.state}
        columns = {name: column.to(device) for name, column in self.hyper.items()}
        if not self._decays:
            del columns["weight_decay"]
        hyper = joined(self.rule, columns)
        new_params, new_state = torch.vmap(self._pure.update)(self.params, grads, state, hyper)
        mask = torch.from_numpy(running).to(device)
        pairs = [(w, new_params[key]) for key, w in self.params.items()]
        pairs += [(own, _flat(new_state)[name]) for name, own in _flat(self.state).items()]
        # All is worked out before anything is written: what is new may be the memory of what was.
        taken = [torch.where(mask.reshape(-1, *[1] * (own.dim() - 1)), new, own) for own, new in pairs]
        for (own, _), value in zip(pairs, taken, strict=True):
            own.copy_(value)

    # Checks

    def _first_state(self, seeds: Sequence[int], first: int) -> State:
        """The states of every member, each as its own optimizer would begin it."""
        groups = [self._group(i) for i in range(self.members)]
        state: State = {name: {} for name in self.rule.states}
        for index, (key, w) in enumerate(self.params.items(), first):
            if not self.rule.initial:  # all begin at 0
                firsts = [first_states(self.rule, w[0], groups[0], 0, index)] * self.members
            else:
                firsts = [first_states(self.rule, w[i], groups[i], seeds[i], index) for i in range(self.members)]
            for name in self.rule.states:
                if self.rule.program.kinds[name] == Kind.SCALAR:
                    state[name] = torch.tensor([first[name] for first in firsts], dtype=torch.float64, device=w.device)
                else:
                    state[name][key] = torch.stack([first[name] for first in firsts]).contiguous()
        return state

    def _group(self, member: int) -> dict[str, Any]:
        return joined(self.rule, dict(zip(self.hyper, self._settings[member].tolist(), strict=True)))

    def _unfit_for_native(self) -> str:
        if self._device.type != "cpu":
            return f"the parameters are on {self._device}"
        if self._dtype not in NATIVE_DTYPES:
            return f"the parameters are {self._dtype}"
        return native.unavailable()

    def _gradients(self, grads: Tensors) -> list[torch.Tensor]:
        """The gradients in the order of the parameters, contiguous."""
        held = grads if isinstance(grads, Mapping) else {}
        ordered: list[Any] = [held.get(name) for name in self.params]
        missing = [name for name, g in zip(self.params, ordered, strict=True) if not isinstance(g, torch.Tensor)]
        if missing:
            found = ", ".join(map(str, grads)) if isinstance(grads, Mapping) else repr(grads)
            raise ValueError(f"grads must have a tensor for {missing[0]!r}, got {found or 'nothing'}")
        shapes, dtypes = self._layout
        own = slice(len(ordered))  # theirs are the weights'
        if _laid_out(ordered, shapes[own], dtypes[own], self._device):
            return ordered
        return [self._contiguous(name, g) for name, g in zip(self.params, ordered, strict=True)]

    def _contiguous(self, name: str, g: torch.Tensor) -> torch.Tensor:
        if g.layout != torch.strided:
            raise ValueError(f"the gradient of {name!r} is {g.layout}; make it dense first")
        if g.shape != self._shapes[name] or g.dtype != self._dtype or g.device != self._device:
            raise ValueError(
                f"the gradient of {name!r} is {tuple(g.shape)}, {g.dtype} on {g.device}, and the parameter is "
                f"{tuple(self._shapes[name])}, {self._dtype} on {self._device}"
            )
        return g.resolve_neg().contiguous()

    def _running(self, active: Any) -> np.ndarray:
        running = np.asarray(active.cpu() if isinstance(active, torch.Tensor) else active)
        if running.shape != (self.members,) or running.dtype != np.bool_:
            raise ValueError(f"active must be a bool for each of {self.members} members, got {active!r:.80}")
        return np.ascontiguousarray(running)


def _members(params: dict[str, torch.Tensor]) -> int:
    """How many members the parameters have. Raises ValueError where they do not agree or cannot be stepped."""
    odd = [w for w in params.values() if not isinstance(w, torch.Tensor)]
    if odd or not params:
        raise ValueError(
            f"params must hold at least one tensor and nothing else, got {str(odd[0]) if odd else 'none':.80}"
        )
    first = next(iter(params.values()))
    for name, w in params.items():
        if w.dim() == 0 or w.shape[0] != first.shape[0] or w.shape[0] == 0:
            raise ValueError(f"params must have one leading axis of members, got {name!r} of shape {tuple(w.shape)}")
        if w.dtype not in DTYPES:
            raise ValueError(f"params must be of float64, float32, bfloat16 or float16, got {name!r} of {w.dtype}")
        if w.dtype != first.dtype or w.device != first.device:
            raise ValueError(
                f"params must be of one dtype on one device, got {name!r} of {w.dtype} on {w.device} beside "
                f"{first.dtype} on {first.device}"
            )
        if any(w is other for key, other in params.items() if key != name):
            raise ValueError(f"params must be different tensors, got one as {name!r} and under another name")
        if not w.is_contiguous():
            raise ValueError(f"params must be contiguous, got {name!r} with strides {w.stride()}")
    return first.shape[0]


def _laid_out(
    tensors: list[torch.Tensor], shapes: list[torch.Size], dtypes: list[torch.dtype], device: torch.device
) -> bool:
    """Whether all are dense and contiguous, of these shapes and dtypes on this device, with no sign put off."""
    for x, shape, dtype in zip(tensors, shapes, dtypes, strict=True):
        if x.shape != shape or x.dtype != dtype or x.device != device or x.layout != torch.strided:
            return False
        if not x.is_contiguous() or x.is_neg():
            return False
    return True


def _flat(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a state by name: "m of hidden.weight", or of a scalar state its own name."""
    flat: dict[str, torch.Tensor] = {}
    for name, own in state.items():
        flat.update({name: own} if isinstance(own, torch.Tensor) else {f"{name} of {key}": x for key, x in own.items()})
    return flat
