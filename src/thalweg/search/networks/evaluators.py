"""How members of a population are evaluated: one after another, or many in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.cohort import Unstackable
from thalweg.cohort.tracing import Program, traced
from thalweg.search.networks.weights import FlatWeights
from thalweg.tasks import dropout

Loss = Callable[..., Any]

CLOSE = 1e-3  # of what is largest: far above rounding, in whatever order sums are taken
MOST = 0.99  # of the outputs, which must be close: where a network rounds, rounding may tip a few over


@dataclass(frozen=True)
class Luck:
    """The random numbers of a pass, the same for all members: the masks of the dropout layers by their names, flat, and
    the seed of torch's global generator for a network that draws from it by itself."""

    masks: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int | None = None


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Torch's global generators at this seed, and as they were before afterwards; untouched for None."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def number(loss: Any) -> Tensor:
    """What a loss returned, as one number (). Raises ValueError where it is not."""
    try:
        value = torch.as_tensor(loss)
        fits = value.numel() == 1 and not value.is_complex()
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        shown = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"{loss!r:.80}"
        raise ValueError(f"loss_fn must return one number for all outputs of a member, got {shown}")
    return value.detach().reshape(())


class Looped:
    """Evaluates one member after another, with its weights in place of the network's."""

    def __init__(self, network: nn.Module, weights: FlatWeights, loss: Loss) -> None:
        self.network, self.loss, self.device = network, loss, weights.device
        self._dropouts = dropout.layers(network)
        self._flat = torch.empty(weights.dim, dtype=weights.stored, device=weights.device)
        named = dict(network.named_parameters())
        for name, own in weights.unflatten(self._flat).items():  # one copy then sets all of them
            named[name].data = own

    def losses(self, x: Tensor, luck: Luck, inputs: Tensor, targets: Tensor) -> Tensor:
        """Of members (P, D), (P,)."""
        return torch.stack([self.alone(row, luck, inputs, targets)[1] for row in x]).to(x)

    def alone(self, row: Tensor, luck: Luck, inputs: Tensor, targets: Tensor) -> tuple[Any, Tensor]:
        """The outputs of a member (D,), and their loss, ()."""
        with seeded(luck.seed, self.device):
            outputs = self.outputs(row, luck, inputs)
            return outputs, number(self.loss(outputs, targets))

    def outputs(self, row: Tensor, luck: Luck, inputs: Tensor) -> Any:
        """Those of a member (D,)."""
        self._flat.copy_(row)
        for name, layer in self._dropouts.items():
            layer.mask, layer.passed = luck.masks.get(name), 0
        return self.network(inputs)


class Stacked:
    """Evaluates many members in one forward pass, by programs that are traced once for each layout.

    What is traced is believed only if on other rows too it says what the network and the loss say by themselves:
    whoever reads a number out of the inputs or the targets (`tolist`, NumPy) would have it for ever.
    """

    def __init__(self, looped: Looped, weights: FlatWeights) -> None:
        self.looped, self.weights = looped, weights
        self.network, self.loss = looped.network, looped.loss
        self.loss_alone = ""  # why the loss, which cannot be vectorised, is called for each member's outputs
        self._dropouts = list(dropout.layers(self.network).values())
        self._programs: dict[Any, Program] = {}

    def losses(self, x: Tensor, luck: Luck, inputs: Tensor, targets: Tensor) -> Tensor:
        """Of members (P, D), (P,). Raises Unstackable where the network cannot be vectorised."""
        outputs = self._outputs(x, luck, inputs)
        if not self.loss_alone:
            try:
                return self._losses(outputs, targets).to(x)
            except Unstackable as error:
                self.loss_alone = str(error)
        return torch.stack([number(self.loss(own, targets)) for own in outputs]).to(x)

    def _outputs(self, x: Tensor, luck: Luck, inputs: Tensor) -> Tensor:
        names, masks = [f"{name}.mask" for name in luck.masks], list(luck.masks.values())

        def outputs_of(member: dict[str, Tensor], masks: dict[str, Tensor], given: Tensor) -> Tensor:
            for layer in self._dropouts:
                layer.passed = 0
            return functional_call(self.network, (member, masks), (given,))

        def call(x: Tensor, given: Tensor, *masks: Tensor) -> Sequence[Tensor]:
            shared = dict(zip(names, masks, strict=True))
            return (torch.vmap(outputs_of, (0, None, None))(self.weights.unflatten(x), shared, given),)

        def check(program: Program) -> None:
            others = _other_rows(inputs)
            found = program(x, others, *masks)[0]
            _check_agree("network", found[[0, -1]], [self.looped.outputs(x[i], luck, others) for i in (0, -1)])

        return self._run(("outputs", *names), call, check, (x, inputs, *masks))

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        def loss_of(own: Tensor, targets: Tensor) -> Tensor:
            return self.loss(own, targets).reshape(())

        def call(outputs: Tensor, targets: Tensor) -> Sequence[Tensor]:
            return (torch.vmap(loss_of, (0, None))(outputs, targets),)

        def check(program: Program) -> None:
            others = _other_rows(targets)
            found = program(outputs, others)[0]
            _check_agree("loss", found[[0, -1]], [number(self.loss(outputs[i], others)) for i in (0, -1)])

        return self._run(("losses",), call, check, (outputs, targets))

    def _run(
        self, name: tuple[str, ...], call: Program, check: Callable[[Program], None], given: Sequence[Tensor]
    ) -> Tensor:
        """Runs a program, traced and checked once for each layout of what it is given."""
        key = (*name, *((x.shape, x.stride(), x.dtype) for x in given))
        if key not in self._programs:
            program = traced(call, given, FASTER)
            try:
                check(program)
            except Unstackable:
                raise
            except Exception as error:  # whatever a user's network or loss raises on rows that it would never see
                raise Unstackable(f"a trace of this cannot be checked on other rows: {error}") from error
            self._programs[key] = program
        return self._programs[key](*given)[0]


def _other_rows(x: Tensor) -> Tensor:
    """As many rows, of which the first half is there twice and the second not at all."""
    return x[torch.arange(len(x), device=x.device) // 2]


def _check_agree(what: str, found: Tensor, expected: list[Tensor]) -> None:
    """Raises Unstackable where the two are not the same but for rounding."""
    for own, other in zip(found, expected, strict=True):
        scale = float(other.double().abs().nan_to_num(0.0, 0.0, 0.0).max())
        if own.shape == other.shape:
            near = torch.isclose(own.to(other), other, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)
            if near.double().mean() >= MOST:
                continue
        raise Unstackable(f"a trace of this {what} does not answer as it does: it reads the values that it is given")


def _turned_product(a: Tensor, b: Tensor) -> Any:
    """Products of many rows with few columns, turned round: what is long then lies in a row, which on a CPU is faster,
    and so are the operations that follow, which keep it so: a fifth of the time for a perceptron."""
    if a.device.type != "cpu" or a.shape[1] <= b.shape[2]:
        return NotImplemented
    return torch.ops.aten.bmm.default(b.mT, a.mT).mT


FASTER: dict[Any, Callable[..., Any]] = {torch.ops.aten.bmm.default: _turned_product}
