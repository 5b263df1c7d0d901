"""`Population`: many weight vectors of one module, evaluated on the same data in one forward pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.cohort import Unstackable
from thalweg.cohort.likeness import copied, differing, remembered, spared_generators
from thalweg.search.checks import checked_generator
from thalweg.search.networks.chunks import AUTO, LOOP, BytesMade, Chunk, candidates, checked, fastest, pieces
from thalweg.search.networks.evaluators import Looped, Loss, Luck, Stacked
from thalweg.search.networks.norms import normalise_by_batch, take_statistics
from thalweg.search.networks.weights import Chosen, FlatWeights
from thalweg.tasks import dropout
from thalweg.tasks.dropout import Masks

__all__ = ["Chunk", "Loss", "Population"]


class Population(FlatWeights):
    """Evaluates weight vectors (P, D) of one module on data that all of them share.

    Arguments:
        module: what `FlatWeights` says; nothing here changes it but `load`. Its other parameters and its buffers are
            used as they are now.
        loss_fn: `loss_fn(outputs, targets)`, one number, better when lower: a loss or a metric, with a gradient or
            without. Where `torch.vmap` cannot take it, it is called for each member's outputs.
        params: which parameters are searched, as `FlatWeights` says.
        training: whether the module is in training mode. Dropout then drops the same for all members of a call, and
            anew in the next; batch normalisation goes by the batch, each member by its own, and moves no running
            statistics (`member` takes them from data). In evaluation mode it goes by the module's.
        chunk: how many members are evaluated at once; "loop": one after another; "auto": the fastest of the loop and a
            few chunks that take at most 1 GiB, timed at the first call with two members or more. What is timed may
            choose otherwise the next time, and the last bits with it: `chunk` then says what was chosen, so that it can
            be told. Modules that cannot be stacked are evaluated one after another whatever it says, and `reason` says
            why.
        generator: where dropout masks come from; without one, a generator with seed 0.

    Everything else is `FlatWeights`. Raises ValueError, naming the argument and quoting the value; at the first call
    with data also where the module changes a buffer, or draws random numbers from Python or NumPy. What it draws from
    torch's global generator is the same for all members of a call, and that generator is left as it was.

    >>> members = Population(nn.Linear(2, 1), nn.functional.mse_loss)
    >>> x = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    >>> members.losses(x, torch.ones(8, 2), torch.ones(8, 1))
    tensor([1., 0.])
    """

    def __init__(
        self,
        module: nn.Module,
        loss_fn: Loss,
        *,
        params: Chosen | None = None,
        training: bool = True,
        chunk: Any = AUTO,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(module, params)
        if not callable(loss_fn):
            raise ValueError(f"loss_fn must be a function (outputs, targets), got {loss_fn!r:.80}")
        self.module, self.loss_fn, self.training = module, loss_fn, training
        self.chunk: Any = checked(chunk)
        self.reason = ""
        self.generator = checked_generator(generator, self.device)
        self._network = dropout.with_own_dropout(copied(module)).train(training)
        if training:
            normalise_by_batch(self._network)
        self._looped = Looped(self._network, self, loss_fn)
        self._stacked = Stacked(self._looped, self)
        self._lucks: dict[Any, tuple[Masks | None, bool]] = {}
        self._settled = self.chunk == LOOP

    @torch.no_grad()
    def losses(self, x: Tensor, inputs: Any, targets: Any) -> Tensor:
        """The loss of every member (P, D) on a batch, of tensors or of arrays, (P,)."""
        if not isinstance(x, Tensor):
            raise ValueError(f"x must be a tensor of members, (members, {self.dim}), got {x!r:.80}")
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ValueError(f"x must have the shape (members, {self.dim}), got {tuple(x.shape)}")
        x = x.to(self.device, self.dtype).contiguous()
        inputs, targets = self.batch("inputs", inputs).contiguous(), self.batch("targets", targets).contiguous()
        luck = self._luck(inputs, targets)
        if len(x) > 1 and not self._settled:
            self._choose(x, luck, inputs, targets)
        try:
            return self._evaluated(self.chunk, x, luck, inputs, targets)
        except Unstackable as error:  # such as of a smaller batch
            self._take_loop(str(error))
            return self._looped.losses(x, luck, inputs, targets)

    def member(self, x: Tensor | None = None, batches: Iterable[Tensor] | None = None) -> nn.Module:
        """A copy of the module with weights (D,), in evaluation mode. Where members are evaluated in training mode, its
        normalisation layers take their running statistics from `batches` of inputs: the means of those of each."""
        module = copied(self.module)
        own = dict(module.named_parameters())
        with torch.no_grad():
            for name, part in ({} if x is None else self.unflatten(x)).items():
                own[name].copy_(part)
        if batches is not None and self.training:
            take_statistics(module, batches)
        return module.eval()

    def batch(self, name: str, values: Any) -> Tensor:
        """Inputs or targets as members take them: a tensor as it is; an array, or lists of numbers, on their device and
        but for classes and tokens in the module's dtype. Raises ValueError for anything else."""
        if isinstance(values, Tensor):
            return values
        try:
            read = torch.as_tensor(values, device=self.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name} must be a tensor or an array, got {values!r:.80}") from error
        return read.to(self.stored) if read.is_floating_point() else read

    @property
    def random(self) -> bool:
        """Whether members have been evaluated with random numbers, so that the same weights may have another loss in
        the next call."""
        return any(masks is not None or draws for masks, draws in self._lucks.values())

    @property
    def loss_reason(self) -> str:
        """Why loss_fn is called for each member's outputs by itself; "" where it is not, or not yet."""
        return self._stacked.loss_alone

    def settle(self, chunk: Chunk) -> None:
        """Tells what was chosen before: it is not timed again."""
        self.chunk, self._settled = checked(chunk), True

    # What is done once

    def _luck(self, inputs: Tensor, targets: Tensor) -> Luck:
        """The random numbers of this call."""
        key = (inputs.shape, inputs.dtype, targets.shape, targets.dtype)
        if key not in self._lucks:
            self._lucks[key] = self._tried(inputs, targets)
        masks, draws = self._lucks[key]
        if masks is not None:
            masks.draw()
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device)) if draws else None
        flat = {} if masks is None else masks.flat
        return Luck({name: mask[0].to(self.device) for name, mask in flat.items()}, seed)

    def _tried(self, inputs: Tensor, targets: Tensor) -> tuple[Masks | None, bool]:
        """Evaluates a member, to see what a trace would not: where the masks of such a batch are drawn, and whether the
        network or the loss draws random numbers by itself."""
        network, layers = self._network, dropout.layers(self._network)
        for layer in layers.values():
            layer.generator = torch.Generator(self.device)
        before, buffers = remembered(network), dict(network.named_buffers())
        values = {name: b.clone() for name, b in buffers.items()}
        with spared_generators(self.device) as drew, dropout.passes_seen(network) as passes:
            other = self.weights() + self.spread  # with its own weights, a module that learns may have nothing to learn
            outputs, _ = self._looped.alone(other, Luck(), inputs, targets)
            drawn = drew()
        for name, b in network.named_buffers():
            if b is not buffers.get(name) or not torch.equal(b, values[name]):
                raise ValueError(
                    f"module changes its buffer {name!r} when it is called, and members share their buffers; "
                    + ("training=False may do" if self.training else "nothing but searched weights may change")
                )
        if any(not name.startswith("torch") for name in drawn):
            raise ValueError(
                f"module and loss_fn must draw from torch's generators, for all members to draw the same, got draws "
                f"from {drawn[0]}"
            )
        changed = differing(before, remembered(network))
        if not isinstance(outputs, Tensor):
            self._take_loop(f"the module returns {type(outputs).__name__}, not a tensor")
        elif drawn:
            self._take_loop(f"the module or the loss draws random numbers from the global generator of {drawn[0]}")
        elif changed:
            self._take_loop(f"the module changes its attribute {changed[0]}")
        passes = [each for each in passes if layers[each.layer].p]
        rates = {name: [layer.p] for name, layer in layers.items()}
        return Masks(passes, rates, [self.generator]) if passes and self.training else None, bool(drawn)

    def _choose(self, x: Tensor, luck: Luck, inputs: Tensor, targets: Tensor) -> None:
        """Chooses the chunk, from the first generation."""
        self._settled = True
        if self.chunk != AUTO:
            self.chunk = min(self.chunk, len(x))
            return
        with BytesMade() as made:
            self._looped.losses(x[:1], luck, inputs, targets)
        try:
            self.chunk = fastest(
                lambda chunk, count: self._evaluated(chunk, x[:count], luck, inputs, targets),
                candidates(len(x), made.bytes),
                len(x),
                self.device,
            )
        except Unstackable as error:
            self._take_loop(str(error))

    def _take_loop(self, reason: str) -> None:
        self.chunk, self.reason, self._settled = LOOP, reason, True

    def _evaluated(self, chunk: Any, x: Tensor, luck: Luck, inputs: Tensor, targets: Tensor) -> Tensor:
        cuts = [] if chunk == LOOP or len(x) == 1 else pieces(len(x), chunk)
        if not cuts:
            return self._looped.losses(x, luck, inputs, targets)
        parts = x.new_empty(len(x))
        for cut in cuts:
            parts[cut] = self._stacked.losses(x[cut], luck, inputs, targets)
        return parts
