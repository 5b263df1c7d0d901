"""`PositionWise`: training in which a block is updated the more often the nearer it is to the output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.sweep.blocks import Blocks, cut, parameters_of
from thalweg.sweep.costs import _counted, equal_stages
from thalweg.sweep.optimizers import check_optimizer
from thalweg.sweep.passes import ModuleBlock, Pass

SCHEDULES = ("nested", "stochastic")


class PositionWise:
    """Trains the blocks of a network in stages (Valizadeh, Position-wise optimizer, 2022, Algorithm 2).

    A nested sweep over a batch has a stage for each of L blocks. Stage k updates the last k of them, all from gradients
    of the same weights, and then runs them anew from the activations that are kept; the others stay as they are. So
    the block at the output is updated L times and the one at the input once, at the cost of sum (3 l - 1) f_l, where
    f_l is that of the forward pass of block l and a plain step costs sum 3 f_l - f_1. A stochastic step draws the
    first block that it trains from 1 to L and costs less than a plain one.

    For small learning rates a nested sweep is a plain step with the rates 1, 2, ..., L times as large
    (`layerwise_lr`): race that beside it.

    Arguments:
        blocks: an `nn.Sequential`, which is cut before each layer with a matrix, or a list of modules and functions
            that, called one after another, are the network, input side first. `propose_blocks` cuts other modules.
        loss_fn: `loss_fn(outputs, y)`, a tensor of one number: the mean over the batch where `accumulate` is used. It
            may be a `thalweg.swarm.SwarmGradient`.
        optimizer: any `torch.optim.Optimizer` that needs no closure, over the parameters of all blocks. It leaves
            parameters alone that have no gradient. Schedulers are stepped once a sweep.
        stages: None, a stage for each block; a number, of so many stages of about equal forward cost; or a list of how
            many blocks each stage has, input side first.
        schedule: "nested" or "stochastic".
        generator: where the stochastic schedule draws from, on the CPU; without one the seed is 0.
        dropout: "kept": what is dropped in a sweep's first pass is dropped in all, "fresh": each pass draws.
        batch_norm: "once": running statistics move in a sweep's first pass, "every": in each one of a block. Batch
            statistics are always those of the pass.
        clip: the greatest norm of a stage's gradients, None for any.
        before_step: called with the list of parameters of a stage that have gradients, before they are clipped and
            stepped: to average them over processes, for one.
        scaler: a `torch.amp.GradScaler`. It is updated after each stage. `step` may be called under `torch.autocast`.
        accumulate: into how many parts a batch is cut to save memory. All that is kept of the whole batch are the
            inputs of blocks; it costs one more forward pass.
        normalize_lr: divides the learning rates by the number of stages, so that the last block moves about as far in
            a nested sweep as in a plain step.

    `updates` counts the updates of each block. Of the last sweep `losses` has the loss of each stage, and `starts` the
    place of the first block that it trained.

    Raises ValueError, naming the argument, on anything that cannot be trained so: weights that two blocks share,
    parameters that the optimizer does not have, an optimizer that needs a closure.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> sweep = PositionWise(net, nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.1))
    >>> loss = sweep.step(torch.ones(8, 2), torch.zeros(8, 1))
    >>> sweep.updates
    [1, 2]
    """

    def __init__(
        self,
        blocks: Blocks,
        loss_fn: Callable[[Any, Any], Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        stages: int | Sequence[int] | None = None,
        schedule: str = "nested",
        generator: torch.Generator | None = None,
        dropout: str = "kept",
        batch_norm: str = "once",
        clip: float | None = None,
        before_step: Callable[[list[nn.Parameter]], object] | None = None,
        scaler: torch.amp.GradScaler | None = None,
        accumulate: int = 1,
        normalize_lr: bool = False,
    ) -> None:
        self._pieces = cut(blocks)
        _check_choice("schedule", schedule, SCHEDULES)
        _check_choice("dropout", dropout, ("kept", "fresh"))
        _check_choice("batch_norm", batch_norm, ("once", "every"))
        _check_called("loss_fn", loss_fn)
        if before_step is not None:
            _check_called("before_step", before_step)
        if clip is not None and (
            isinstance(clip, bool) or not isinstance(clip, (int, float)) or not 0 < clip < math.inf
        ):
            raise ValueError(f"clip must be a norm above 0, or None, got {clip!r}")
        if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"accumulate must be a whole number >= 1, got {accumulate!r}")
        if normalize_lr and schedule != "nested":
            raise ValueError(f"normalize_lr is for nested sweeps, got schedule={schedule!r}; leave it out")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator or None, got {generator!r:.80}")
        if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
            raise ValueError(f"scaler must be a torch.amp.GradScaler or None, got {scaler!r:.80}")
        self.parameters = [p for pieces in self._pieces for p in parameters_of(pieces)]
        check_optimizer(optimizer, self._pieces)
        self.blocks = [ModuleBlock(pieces, dropout == "kept", batch_norm == "once") for pieces in self._pieces]
        self.stages = _checked_stages(stages, len(self.blocks))
        self.loss_fn, self.optimizer, self.schedule = loss_fn, optimizer, schedule
        self.generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.clip, self.before_step, self.scaler = clip, before_step, scaler
        self.accumulate, self.normalize_lr = accumulate, normalize_lr
        self.updates = [0] * len(self.blocks)
        self.losses: list[Tensor] = []
        self.starts: list[int] = []

    def step(self, x: Any, y: Any) -> Tensor:
        """One sweep, or stochastic step, on a batch; returns its loss before any update, detached.

        `x`: what the first block takes, a tensor (batch, ...) or a tuple of them; `y`: what the loss takes. Raises
        ValueError where a block or the loss returns what cannot be differentiated.
        """
        firsts = self.starts = self._firsts(x)
        parts = self._parts(x, y)
        passes = [Pass(self.blocks, part, lowest=firsts[-1], keep=len(parts) == 1) for part, _, _ in parts]
        self.losses = []
        with self._normalized():
            for first in firsts:
                for p in self.parameters:
                    p.grad = None
                losses = [
                    self._differentiate(own, first, targets, share)
                    for own, (_, targets, share) in zip(passes, parts, strict=True)
                ]
                self.losses.append(sum(losses[1:], losses[0]))
                self._update(first)
        return self.losses[0]

    def state_dict(self) -> dict[str, Any]:
        """What it takes to go on with the sweeps; the optimizer and the blocks have their own."""
        return {
            "generator": self.generator.get_state(),
            "updates": list(self.updates),
            "stages": self.stages if isinstance(self.stages, int) else list(self.stages),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes on what another one over the same blocks saved; ValueError where it is none."""
        missing = [key for key in ("generator", "updates", "stages") if key not in state_dict]
        if missing:
            raise ValueError(f"the state dict has no {missing[0]!r}; it must be a PositionWise's")
        if len(state_dict["updates"]) != len(self.blocks):
            raise ValueError(
                f"the state dict is of {len(state_dict['updates'])} blocks, and there are {len(self.blocks)}"
            )
        self.stages = _checked_stages(state_dict["stages"], len(self.blocks))
        self.generator.set_state(state_dict["generator"])
        self.updates = list(state_dict["updates"])

    # A step

    def _firsts(self, x: Any) -> list[int]:
        """The place of the first block that is trained, for each stage of this step."""
        if isinstance(self.stages, int):
            self.stages = equal_stages(_counted(self._pieces, x), self.stages)
        begins = [sum(self.stages[:i]) for i in range(len(self.stages))]
        if self.schedule == "nested":
            return begins[::-1]
        return [begins[int(torch.randint(len(begins), (), generator=self.generator))]]

    def _parts(self, x: Any, y: Any) -> list[tuple[Any, Any, float]]:
        """The parts of a batch, each with its targets and its share."""
        if self.accumulate == 1:
            return [(x, y, 1.0)]
        examples = _examples(x)
        if examples < self.accumulate:
            raise ValueError(f"accumulate must be at most the batch's {examples} examples, got {self.accumulate}")
        inputs, targets = _split(x, self.accumulate), _split(y, self.accumulate)
        sizes = [_examples(part) for part in inputs]
        return [(a, b, size / examples) for a, b, size in zip(inputs, targets, sizes, strict=True)]

    def _differentiate(self, own: Pass, first: int, y: Any, share: float) -> Tensor:
        """Adds to the gradients of a stage those of a part of the batch; returns its share of the loss."""
        own.refresh(first)
        with torch.enable_grad():
            loss = self.loss_fn(own.output, y)
            _check_loss(loss)
            scaled = (loss if share == 1 else loss * share).reshape(())
            scaled = scaled if self.scaler is None else self.scaler.scale(scaled)
        own.backward(first, scaled)
        # A copy, because torch's losses may be held in memory of the batch's size.
        return loss.detach().clone() if share == 1 else loss.detach() * share

    def _update(self, first: int) -> None:
        trained = [p for p in self.parameters if p.grad is not None]
        if self.scaler is not None and (self.before_step or self.clip):
            self.scaler.unscale_(self.optimizer)
        if self.before_step is not None:
            self.before_step(trained)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(trained, self.clip)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        for place in range(first, len(self.blocks)):
            self.updates[place] += 1

    @contextmanager
    def _normalized(self) -> Iterator[None]:
        """Learning rates divided by the number of stages, where that is asked for."""
        groups = self.optimizer.param_groups if self.normalize_lr else []
        lrs = [group["lr"] for group in groups]
        assert not isinstance(self.stages, int)
        try:
            for group in groups:
                group["lr"] = group["lr"] / len(self.stages)
            yield
        finally:
            for group, lr in zip(groups, lrs, strict=True):
                group["lr"] = lr


def _examples(x: Any) -> int:
    return len(x[0] if isinstance(x, tuple) else x)


def _split(x: Any, parts: int) -> list[Any]:
    """A batch in parts, along the first axis."""
    if isinstance(x, tuple):
        return list(zip(*(each.tensor_split(parts) for each in x), strict=True))
    return list(x.tensor_split(parts))


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn must return a tensor of one number, got {shape}")
    if not loss.requires_grad:
        raise ValueError(
            "loss_fn must return what autograd can differentiate; for a loss made of steps give "
            "thalweg.swarm.SwarmGradient(loss_fn)"
        )


def _checked_stages(stages: Any, blocks: int) -> int | list[int]:
    if stages is None:
        return [1] * blocks
    if isinstance(stages, int) and not isinstance(stages, bool):
        if not 1 <= stages <= blocks:
            raise ValueError(f"stages must be between 1 and the number of blocks, {blocks}, got {stages}")
        return stages
    if not isinstance(stages, (list, tuple)) or not all(isinstance(n, int) and n >= 1 for n in stages):
        raise ValueError(f"stages must be None, a number, or how many blocks each stage has, got {stages!r:.80}")
    if sum(stages) != blocks:
        raise ValueError(f"stages must add up to the number of blocks, {blocks}, got {list(stages)}")
    return list(stages)


def _check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")


def _check_called(name: str, value: Any) -> None:
    if not callable(value) or isinstance(value, type):
        raise ValueError(f"{name} must be a function, got {value!r:.80}")
