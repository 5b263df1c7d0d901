"""`Cohort`: many networks of one shape, stacked, so that one call computes the gradients of all of them."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen

from thalweg.tasks import dropout
from thalweg.tasks.dropout import Masks

FEW = 64  # classes up to which the softmax over the last axis is worth turning round

Program = Callable[..., Sequence[Tensor]]


class Unstackable(Exception):
    """A network that `torch.func` cannot vectorise, or not without changing what it does: it has to train alone."""


class Cohort:
    """Networks of one shape, trained in lockstep: member i is `networks[i]`, whose weights it begins with.

    Arguments:
        networks: modules that differ in nothing but the values of their parameters and buffers.
        loss: `loss(outputs, targets, *extras)` of one network, a tensor of one number.
        generators: where the dropout layers of each member draw from, in the order in which its network would.

    `params`, `frozen` and `buffers` hold tensors with a leading axis of members, by the names of the module: the
    parameters that require a gradient, those that do not, and the buffers. Whoever drives the cohort steps `params` in
    place with `thalweg.optim.StackedOptimizer`, or anything else. What is not finite in one member reaches no other.

    Raises Unstackable where torch.func cannot vectorise the network or the loss, and where it could but would train
    another network than this: one that keeps something beside its buffers from step to step, draws random numbers by
    itself, or has parameters without a part in the loss. Where that is not seen before, at the first call that needs
    it. ValueError where the networks differ in shape.

    >>> networks = [torch.nn.Linear(2, 1) for _ in range(3)]
    >>> cohort = Cohort(networks, torch.nn.functional.mse_loss)
    >>> losses, grads = cohort.gradients(torch.ones(3, 8, 2), torch.zeros(3, 8, 1))
    >>> losses.shape, grads["weight"].shape
    (torch.Size([3]), torch.Size([3, 1, 2]))
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        loss: Callable[..., Tensor],
        generators: Sequence[torch.Generator] | None = None,
    ) -> None:
        _check_alike(networks)
        self.members = len(networks)
        self.loss = loss
        self.generators = generators
        trained = {name for name, w in networks[0].named_parameters() if w.requires_grad}
        params, buffers = stack_module_state(list(networks))
        stacked = {name: w.detach().contiguous() for name, w in params.items()}
        self.params: dict[str, Tensor] = {name: w for name, w in stacked.items() if name in trained}
        self.frozen: dict[str, Tensor] = {name: w for name, w in stacked.items() if name not in trained}
        self.buffers: dict[str, Tensor] = {name: b.detach().contiguous() for name, b in buffers.items()}
        self._network = _copied(networks[0])
        every = [dropout.layers(network) for network in networks]
        self._rates = {name: [layers[name].p for layers in every] for name in every[0]}
        self._dropouts = dropout.layers(self._network)
        for name, layer in self._dropouts.items():
            layer.p = max(self._rates[name])  # it is passed by only where no member drops anything
        self._programs: dict[Any, Program] = {}
        self._masks: dict[Any, Masks | None] = {}

    def gradients(self, inputs: Tensor, targets: Tensor, *extras: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each member on its own batch, (members,), and its gradients by the names of the parameters.

        `inputs`, `targets` and what else the loss takes have a leading axis of members. The networks are in training
        mode: dropout layers draw, running statistics move.
        """
        key = _key(inputs, targets, *extras)
        if key not in self._masks:
            self._masks[key] = self._try_alone(inputs[0], targets[0], *(x[0] for x in extras))
        masks = self._masks[key]
        if masks is not None:
            masks.draw()
        drawn = {} if masks is None else {f"{name}.mask": mask for name, mask in masks.flat.items()}
        losses, *grads = self._call("gradients", self.buffers | drawn, inputs, targets, *extras)
        return losses, dict(zip(self.params, grads, strict=True))

    def outputs(self, inputs: Tensor) -> Tensor:
        """What each member answers to its own inputs, in evaluation mode: (members, n, ...)."""
        return self._call("outputs", self.buffers, inputs)[0]

    def losses(self, outputs: Tensor, targets: Tensor, *extras: Tensor) -> Tensor:
        """The loss of each member on answers that are there already, (members,)."""
        return self._call("losses", {}, outputs, targets, *extras)[0]

    def network(self, member: int) -> nn.Module:
        """A copy of one member as a module of its own, in evaluation mode."""
        network = copy.deepcopy(self._network).eval()
        state = {name: x[member] for name, x in (self.params | self.frozen | self.buffers).items()}
        with torch.no_grad():
            for name, own in itertools.chain(network.named_parameters(), network.named_buffers()):
                own.copy_(state[name])
        for name, layer in dropout.layers(network).items():
            layer.p = self._rates[name][member]
        return network

    # All members at once

    def _call(self, name: str, buffers: dict[str, Tensor], *given: Tensor) -> Sequence[Tensor]:
        """Runs a program, which is traced once for each shape of what it is given."""
        state = {} if name == "losses" else self.params | self.frozen | buffers
        key = (name, *state, *_key(*given))
        if key not in self._programs:
            self._programs[key] = self._traced(name, state, given)
        with torch.no_grad():
            return self._programs[key](*state.values(), *given)

    def _traced(self, name: str, state: dict[str, Tensor], given: Sequence[Tensor]) -> Program:
        """The call for all members as a flat list of torch operations: vmap and autograd then cost nothing a step.

        They take up to two thirds of it where networks are small.
        """
        calls: dict[str, Callable[..., Any]] = {
            "gradients": grad_and_value(self._loss_of),
            "outputs": self._outputs_of,
            "losses": self._plain_loss,
        }
        self._network.train(name == "gradients")

        def call(*flat: Tensor) -> Sequence[Tensor]:
            named = dict(zip(state, flat, strict=False))
            params = {key: named.pop(key) for key in self.params if key in named}
            result: Any = torch.vmap(calls[name])(params, named, *flat[len(state) :])
            if name != "gradients":
                return (result,)
            grads, losses = result
            return losses, *grads.values()

        # A trace computes: running statistics would move, and a network may change its inputs in place.
        flat = [x.clone() if x.is_contiguous() else x for x in (*state.values(), *given)]
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.filterwarnings("ignore", message="There is a performance drop")  # it will show in the timing
                traced = make_fx(call, decomposition_table=_FASTER)(*flat)
        except Exception as error:
            raise Unstackable(f"torch.func cannot vectorise this network: {error}") from error
        traced.graph.set_codegen(CodeGen())  # takes and returns tensors as they are, not as trees
        traced.recompile()
        return traced.forward

    def _loss_of(
        self, params: dict[str, Tensor], others: dict[str, Tensor], inputs: Tensor, targets: Tensor, *extras: Tensor
    ) -> Tensor:
        return self.loss(self._outputs_of(params, others, inputs), targets, *extras).reshape(())

    def _outputs_of(self, params: dict[str, Tensor], others: dict[str, Tensor], inputs: Tensor) -> Tensor:
        for layer in self._dropouts.values():
            layer.passed = 0
        return functional_call(self._network, (params, others), (inputs,))

    def _plain_loss(self, _: object, __: object, outputs: Tensor, targets: Tensor, *extras: Tensor) -> Tensor:
        return self.loss(outputs, targets, *extras).reshape(())

    # One member by itself

    def _try_alone(self, inputs: Tensor, targets: Tensor, *extras: Tensor) -> Masks | None:
        """Trains the first member for a step, without effect, to see what a trace would not: a trace keeps what depends
        on nothing but tensors. Returns where masks of this shape are drawn, None where no member drops anything."""
        network = self.network(0).train()
        for layer in dropout.layers(network).values():
            layer.generator = torch.Generator(inputs.device)
        before, buffers = _remembered(network), dict(network.named_buffers())
        weights = {name: w for name, w in network.named_parameters() if w.requires_grad}
        with _spared_generators(inputs.device) as drew, dropout.passes_seen(network) as passes:
            loss = self.loss(network(inputs.clone()), targets, *extras)
            if loss.numel() != 1:
                raise ValueError(f"the loss must be a tensor of one number, got shape {tuple(loss.shape)}")
            grads = torch.autograd.grad(loss.reshape(()), list(weights.values()), allow_unused=True)
            drawn = drew()
        unused = [name for name, g in zip(weights, grads, strict=True) if g is None]
        replaced = [name for name, b in network.named_buffers() if b is not buffers.get(name)]
        changed = _differing(before, _remembered(network))
        if unused:
            raise Unstackable(f"the parameter {unused[0]!r} has no part in the loss")
        if drawn:
            raise Unstackable(f"the network draws random numbers from {drawn}")
        if replaced:
            raise Unstackable(f"the network replaces its buffer {replaced[0]!r} instead of changing it in place")
        if changed:
            raise Unstackable(f"the network changes its attribute {changed[0]!r}; only buffers may change")
        passes = [each for each in passes if any(self._rates[each.layer])]
        if not passes:
            return None
        if self.generators is None:
            raise ValueError("generators must be one for each member, because the networks have dropout; got None")
        return Masks(passes, self._rates, self.generators)


def _key(*tensors: Tensor) -> tuple[Any, ...]:
    return tuple((x.shape, x.dtype) for x in tensors)


# What networks are apart from their tensors


def _check_alike(networks: Sequence[nn.Module]) -> None:
    """Raises ValueError or Unstackable where one program cannot stand for all."""
    if not networks:
        raise ValueError("networks must hold at least one, got none")
    tensors = [dict(itertools.chain(each.named_parameters(), each.named_buffers())) for each in networks]
    shapes = [{name: x.shape for name, x in each.items()} for each in tensors]
    kinds = [[(x.dtype, x.requires_grad) for x in each.values()] for each in tensors]
    dtypes = {w.dtype for w in networks[0].parameters() if w.requires_grad}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        raise Unstackable(f"the parameters must be of one real dtype, and are {', '.join(map(str, dtypes)) or 'none'}")
    remembered = _remembered(networks[0])
    for i, network in enumerate(networks):
        if shapes[i] != shapes[0]:
            raise ValueError(f"networks must be of one shape, but number {i} differs from the first")
        if kinds[i] != kinds[0] or type(network) is not type(networks[0]):
            raise Unstackable(f"network {i} differs from the first in its class, in a dtype, or in what is frozen")
        differing = _differing(remembered, _remembered(network))
        if differing:
            raise Unstackable(f"network {i} differs from the first in its attribute {differing[0]!r}")


def _copied(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever a user's module holds
        raise Unstackable(f"the network cannot be copied: {error}") from error


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def _remembered(network: nn.Module) -> dict[str, Any]:
    """What the modules of a network have as plain attributes: numbers, texts, and tensors that are not registered."""
    found: dict[str, Any] = {}
    for path, module in network.named_modules():
        own = {} if isinstance(module, dropout.Dropout) else vars(module)
        for name, value in own.items():
            if isinstance(value, Tensor):
                found[f"{path}.{name}"] = value.detach().clone()
            elif name not in _OF_EVERY_MODULE and _is_plain(value):
                found[f"{path}.{name}"] = value
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, (int, float, str, type(None)))


def _differing(some: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """The names under which two networks have different things."""
    missing = object()
    pairs = {name: (some.get(name, missing), others.get(name, missing)) for name in {**some, **others}}
    return [name.lstrip(".") for name, (a, b) in pairs.items() if not _equal(a, b)]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    return type(a) is type(b) and bool(a == b)


@contextmanager
def _spared_generators(device: torch.device) -> Iterator[Callable[[], str]]:
    """Leaves the global generators as they were; what it yields says which of them was drawn from, "" for none."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        before = _generator_states(device)

        def drew() -> str:
            after = _generator_states(device)
            return next((name for name, state in before.items() if after[name] != state), "")

        try:
            yield drew
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _generator_states(device: torch.device) -> dict[str, Any]:
    states = {
        "torch's global generator": torch.random.get_rng_state().numpy().tobytes(),
        "Python's": random.getstate(),
        "NumPy's": pickle.dumps(np.random.get_state()),  # noqa: NPY002
    }
    if device.type == "cuda":
        states["the GPU's generator"] = torch.cuda.get_rng_state(device).numpy().tobytes()
    return states


# Faster operations


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Any:
    """Over a short last axis torch's loop is 7 times slower than over another one, the copy included."""
    if not _short_last_axis(x, dim) or half_to_float:
        return NotImplemented
    return torch.ops.aten._log_softmax(_turned(x), x.dim() - 2, False).transpose(-1, -2)


def _log_softmax_backward(g: Tensor, output: Tensor, dim: int, dtype: torch.dtype) -> Any:
    if not _short_last_axis(output, dim) or dtype != output.dtype:
        return NotImplemented
    turned = torch.ops.aten._log_softmax_backward_data(_turned(g), _turned(output), g.dim() - 2, dtype)
    return turned.transpose(-1, -2)


def _short_last_axis(x: Tensor, dim: int) -> bool:
    return x.device.type == "cpu" and x.dim() >= 3 and dim % x.dim() == x.dim() - 1 and x.shape[-1] <= FEW


def _turned(x: Tensor) -> Tensor:
    return x.transpose(-1, -2).contiguous()


_FASTER: dict[Any, Callable[..., Any]] = {
    torch.ops.aten._log_softmax.default: _log_softmax,
    torch.ops.aten._log_softmax_backward_data.default: _log_softmax_backward,
}
