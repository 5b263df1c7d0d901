"""`Cohort`: many networks of one shape, stacked, so that one call computes the gradients of all of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, stack_module_state

from thalweg.cohort.likeness import Unstackable, check_alike, copied, differing, remembered, spared_generators
from thalweg.cohort.tracing import Program, traced
from thalweg.tasks import dropout
from thalweg.tasks.dropout import Masks


class Cohort:
    """Networks of one shape, trained in lockstep: member i is `networks[i]`, whose weights it begins with.

    Arguments:
        networks: modules that differ in nothing but the values of their parameters and buffers.
        loss: `loss(outputs, targets, *extras)` of one network, a tensor of one number.
        generators: where the dropout layers of each member draw from, in the order in which its network would.

    `params`, `frozen` and `buffers` hold tensors with a leading axis of members, by the names of the module: the
    parameters that require a gradient, those that do not, and the buffers. `template` is a network of that shape, whose
    own tensors mean nothing. Whoever drives the cohort steps `params` in
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
        check_alike(networks)
        self.members = len(networks)
        self.loss = loss
        self.generators = generators
        trained = {name for name, w in networks[0].named_parameters() if w.requires_grad}
        params, buffers = stack_module_state(list(networks))
        stacked = {name: w.detach().contiguous() for name, w in params.items()}
        self.params: dict[str, Tensor] = {name: w for name, w in stacked.items() if name in trained}
        self.frozen: dict[str, Tensor] = {name: w for name, w in stacked.items() if name not in trained}
        self.buffers: dict[str, Tensor] = {name: b.detach().contiguous() for name, b in buffers.items()}
        self.template = copied(networks[0])
        every = [dropout.layers(network) for network in networks]
        self._rates = {name: [layers[name].p for layers in every] for name in every[0]}
        self._dropouts = dropout.layers(self.template)
        for name, layer in self._dropouts.items():
            layer.p = max(self._rates[name])  # it is passed by only where no member drops anything
        self._programs: dict[Any, Program] = {}
        self._masks: dict[Any, Masks | None] = {}

    def gradients(self, inputs: Tensor, targets: Tensor, *extras: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each member on its own batch, (members,), and its gradients by the names of the parameters.

        `inputs`, `targets` and what else the loss takes have a leading axis of members. The networks are in training
        mode: dropout layers draw, running statistics move.
        """
        masks = self._masks_for(inputs, self._loss_on(targets, *extras), targets, *extras)
        if masks is not None:
            masks.draw()
        losses, *grads = self._call("gradients", self.buffers | _named(masks), inputs, targets, *extras)
        return losses, dict(zip(self.params, grads, strict=True))

    def gradients_through(self, inputs: Tensor, of_outputs: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """The gradients, where `of_outputs` says what the gradient with respect to the outputs (members, n, ...) is.

        The networks answer first, in training mode, then once more to be differentiated: with the same masks, and
        running statistics move once.
        """
        masks = self.masks_for(inputs)
        if masks is not None:
            masks.draw()
        passing = {name: b.clone() for name, b in self.buffers.items()}
        (outputs,) = self._call("answers", passing | _named(masks), inputs)
        grads = self._call("pulled back", self.buffers | _named(masks), inputs, of_outputs(outputs))
        return dict(zip(self.params, grads, strict=True))

    def prepare(self, inputs: Tensor, targets: Tensor, *extras: Tensor) -> None:
        """Does now what the first call of `gradients` with arguments of this layout does once: trying and tracing."""
        masks = self._masks_for(inputs, self._loss_on(targets, *extras), targets, *extras)
        self._ready("gradients", self.buffers | _named(masks), inputs, targets, *extras)

    def outputs(self, inputs: Tensor) -> Tensor:
        """What each member answers to its own inputs, in evaluation mode: (members, n, ...)."""
        return self._call("outputs", self.buffers, inputs)[0]

    def losses(self, outputs: Tensor, targets: Tensor, *extras: Tensor) -> Tensor:
        """The loss of each member on answers that are there already, (members,)."""
        return self._call("losses", {}, outputs, targets, *extras)[0]

    def loss_gradients(self, outputs: Tensor, targets: Tensor, *extras: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each member, (members,), and its gradient with respect to the outputs, (members, n, ...)."""
        losses, grads = self._call("loss gradients", {}, outputs, targets, *extras)
        return losses, grads

    def masks_for(self, inputs: Tensor) -> Masks | None:
        """Where the dropout masks of such a batch are drawn; None where nothing is dropped."""
        return self._masks_for(inputs, torch.sum)

    def network(self, member: int) -> nn.Module:
        """A copy of one member as a module of its own, in evaluation mode."""
        network = copy.deepcopy(self.template).eval()
        state = {name: x[member] for name, x in (self.params | self.frozen | self.buffers).items()}
        with torch.no_grad():
            for name, own in itertools.chain(network.named_parameters(), network.named_buffers()):
                own.copy_(state[name])
        for name, layer in dropout.layers(network).items():
            layer.p = self._rates[name][member]
        return network

    # All members at once

    def _call(self, name: str, buffers: dict[str, Tensor], *given: Tensor) -> Sequence[Tensor]:
        """Runs a program."""
        program, state = self._ready(name, buffers, *given)
        with torch.no_grad():
            return program(*state.values(), *given)

    def _ready(self, name: str, buffers: dict[str, Tensor], *given: Tensor) -> tuple[Program, dict[str, Tensor]]:
        """A program, traced once for each layout of what it is given, and the tensors of the members that it reads."""
        state = {} if name in ("losses", "loss gradients") else self.params | self.frozen | buffers
        key = (name, *state, *_key(*given))
        if key not in self._programs:
            self._programs[key] = self._program(name, state, given)
        return self._programs[key], state

    def _masks_for(self, inputs: Tensor, measure: Callable[[Tensor], Tensor], *others: Tensor) -> Masks | None:
        """Where the masks of such a batch are drawn, after one member has been tried on it; `measure` makes a number of
        its outputs."""
        key = _key(inputs, *others)
        if key not in self._masks:
            self._masks[key] = self._try_alone(inputs[0], measure)
        return self._masks[key]

    def _loss_on(self, targets: Tensor, *extras: Tensor) -> Callable[[Tensor], Tensor]:
        """The loss of the first member, of its outputs alone."""
        return lambda outputs: self.loss(outputs, targets[0], *(x[0] for x in extras))

    def _program(self, name: str, state: dict[str, Tensor], given: Sequence[Tensor]) -> Program:
        """The call for all members, as one that takes and returns lists of tensors."""
        calls: dict[str, Callable[..., Any]] = {
            "gradients": grad_and_value(self._loss_of),
            "answers": self._outputs_of,
            "pulled back": grad(self._inner_product),
            "outputs": self._outputs_of,
            "losses": self._plain_loss,
            "loss gradients": grad_and_value(self._plain_loss, argnums=2),
        }
        self.template.train(name in ("gradients", "answers", "pulled back"))

        def call(*flat: Tensor) -> Sequence[Tensor]:
            named = dict(zip(state, flat, strict=False))
            params = {key: named.pop(key) for key in self.params if key in named}
            result: Any = torch.vmap(calls[name])(params, named, *flat[len(state) :])
            if name == "pulled back":
                return tuple(result.values())
            if name in ("answers", "outputs", "losses"):
                return (result,)
            grads, losses = result
            return (losses, grads) if name == "loss gradients" else (losses, *grads.values())

        return traced(call, [*state.values(), *given])

    def _loss_of(
        self, params: dict[str, Tensor], others: dict[str, Tensor], inputs: Tensor, targets: Tensor, *extras: Tensor
    ) -> Tensor:
        return self.loss(self._outputs_of(params, others, inputs), targets, *extras).reshape(())

    def _inner_product(
        self, params: dict[str, Tensor], others: dict[str, Tensor], inputs: Tensor, gradient: Tensor
    ) -> Tensor:
        """What has this gradient with respect to the outputs."""
        return (self._outputs_of(params, others, inputs) * gradient).sum()

    def _outputs_of(self, params: dict[str, Tensor], others: dict[str, Tensor], inputs: Tensor) -> Tensor:
        for layer in self._dropouts.values():
            layer.passed = 0
        return functional_call(self.template, (params, others), (inputs,))

    def _plain_loss(self, _: object, __: object, outputs: Tensor, targets: Tensor, *extras: Tensor) -> Tensor:
        return self.loss(outputs, targets, *extras).reshape(())

    # One member by itself

    def _try_alone(self, inputs: Tensor, measure: Callable[[Tensor], Tensor]) -> Masks | None:
        """Trains the first member for a step, without effect, to see what a trace would not: a trace keeps what depends
        on nothing but tensors. Returns where masks of this shape are drawn, None where no member drops anything."""
        network = self.network(0).train()
        for layer in dropout.layers(network).values():
            layer.generator = torch.Generator(inputs.device)
        weights = {name: w for name, w in network.named_parameters() if w.requires_grad}
        before, buffers = remembered(network), dict(network.named_buffers())
        with spared_generators(inputs.device) as drew, dropout.passes_seen(network) as passes, torch.enable_grad():
            loss = measure(network(inputs.clone()))
            if loss.numel() != 1:
                raise ValueError(f"the loss must be a tensor of one number, got shape {tuple(loss.shape)}")
            unused = _without_part(loss, weights)
            drawn = drew()
        replaced = [name for name, b in network.named_buffers() if b is not buffers.get(name)]
        changed = differing(before, remembered(network))
        for found, trouble in (
            (unused, "the parameter {} has no part in the loss"),
            (drawn, "the network draws random numbers from {}"),
            (replaced, "the network replaces its buffer {} instead of changing it in place"),
            (changed, "the network changes its attribute {}; only buffers may change"),
        ):
            if found:
                raise Unstackable(trouble.format(repr(found[0])))
        passes = [each for each in passes if any(self._rates[each.layer])]
        if passes and self.generators is None:
            raise ValueError("generators must be one for each member, because the networks have dropout; got None")
        return Masks(passes, self._rates, self.generators) if passes and self.generators else None


def _without_part(loss: Tensor, weights: Mapping[str, Tensor]) -> list[str]:
    """The names of parameters that have no part in the loss; of one made of steps, whose gradient is 0, none."""
    if not loss.requires_grad:
        return []
    grads = torch.autograd.grad(loss.reshape(()), list(weights.values()), allow_unused=True)
    return [name for name, g in zip(weights, grads, strict=True) if g is None]


def _named(masks: Masks | None) -> dict[str, Tensor]:
    """Masks by the names of the buffers that hold them."""
    return {} if masks is None else {f"{name}.mask": mask for name, mask in masks.flat.items()}


def _key(*tensors: Tensor) -> tuple[Any, ...]:
    return tuple((x.shape, x.stride(), x.dtype) for x in tensors)
