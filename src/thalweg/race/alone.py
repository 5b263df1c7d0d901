"""One network that is trained by itself: what every such team does, and `Alone`, with any optimizer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from thalweg.race import foreign, sweeping
from thalweg.race.recipe import sign_penalty, smoothed
from thalweg.race.seeds import Stream
from thalweg.race.teams import EVALUATED, Counts, Member, size_of, synchronise
from thalweg.swarm import OutputGradient
from thalweg.sweep import PositionWise, block_costs, layerwise_lr, propose_blocks
from thalweg.tasks import Examples, dropout
from thalweg.tasks.task import tensor_hash


class OneNetwork:
    """What a `Team` of one network is, however that is trained: how it is evaluated, and its best weights kept."""

    members = 1

    def __init__(self, trial: Member, device: torch.device) -> None:
        self.trial = trial
        self.counts = Counts(1)
        network = trial.network()
        self.init_hashes = [tensor_hash(*network.parameters())]
        self.parameters = size_of(network)
        self.network = network.to(device).train()
        self.device = device
        generator = trial.dropout_generator(device)
        for layer in dropout.layers(network).values():
            layer.generator = generator
        self._randomness = OwnRandomness(trial.seed.generator(Stream.DROPOUT), device)
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._data = {name: _on(trial.part(name), device) for name in trial.parts}
        self._kept = [x.detach().clone() for x in self._state()]

    def outputs(self, part: str) -> Tensor:
        self._switch("eval")
        with self._randomness:
            return outputs_of(self.network, self._data[part].inputs).unsqueeze(0)

    def losses(self, outputs: Tensor, part: str) -> np.ndarray:
        with torch.no_grad():
            return np.array([float(self.trial.workload.loss(outputs[0], self._data[part].targets))])

    def metrics(self, outputs: Tensor, part: str) -> np.ndarray:
        with torch.no_grad():
            return np.array([float(self.trial.workload.metric.function(outputs[0], self._data[part].targets))])

    def keep(self, better: np.ndarray) -> None:
        self.counts.state_bytes[0] = self._state_bytes()
        if better[0]:
            self._switch("eval")
            self._kept = [x.detach().clone() for x in self._state()]

    def swap_kept(self) -> None:
        self._switch("eval")
        with torch.no_grad():
            for own, kept in zip(self._state(), self._kept, strict=True):
                held = own.clone()
                own.copy_(kept)
                kept.copy_(held)

    def _state(self) -> list[Tensor]:
        return [*self._weights, *self.network.buffers()]

    def _state_bytes(self) -> int:
        """What training carries from step to step beside the weights."""
        raise NotImplementedError

    def _switch(self, mode: str) -> None:
        """To train or to evaluate."""
        training = mode == "train"
        if self.network.training != training:
            self.network.train(training)


class Alone(OneNetwork):
    """One network as a `Team`, with any optimizer.

    Raises ValueError where the optimizer cannot be made, or fails in a step although nothing has diverged; one that
    fails on what is not finite has diverged.
    """

    def __init__(self, trial: Member, device: torch.device) -> None:
        super().__init__(trial, device)
        smoothing, loss = trial.recipe.label_smoothing, trial.workload.loss
        self._loss = smoothed(loss) if smoothing else loss
        self._extras = (torch.tensor(smoothing, dtype=torch.float64, device=device),) if smoothing else ()
        with self._randomness:
            self.optimizer = trial.method.make(self._groups(), trial.seed.generator(Stream.OPTIMIZER))
        self._style = foreign.style_of(self.optimizer)
        self._switches = all(callable(getattr(self.optimizer, mode, None)) for mode in ("train", "eval"))
        self._lrs = [group.get("lr") for group in self.optimizer.param_groups]
        self._factor = 1.0
        if (through := trial.method.through) is not None:
            gradient = through.make(loss, self._data["train"].targets, [trial.through], device)
            gradient.generator = trial.candidates_generator(device)
            self._loss = gradient
        self._sweep, self._costs = None, [1]
        if trial.method.sweep is not None and trial.method.sweep.sweeps:
            blocks = propose_blocks(self.network)
            self._costs = block_costs(blocks, self._data["train"].inputs[:1])
            self._sweep = PositionWise(
                blocks,
                self._differentiable_loss,
                self.optimizer,
                schedule=trial.method.sweep.schedule,
                generator=trial.seed.generator(Stream.STARTS),
                before_step=lambda _: self._penalise(),
            )

    def step(self, rows: Tensor, factors: np.ndarray, active: np.ndarray) -> None:
        start = time.perf_counter()
        self._scale(float(factors[0]))
        self._switch("train")
        batch = self._data["train"][rows[0].to(self.device)]
        step = self._plain_step if self._sweep is None else self._sweep_step
        with self._randomness:
            spent, losses = step(batch)
        synchronise(self.device)
        self.counts.seconds += time.perf_counter() - start
        each = self._loss.evaluations if isinstance(self._loss, OutputGradient) else 1
        self.counts.add(active, **spent, losses=losses * each)

    def _plain_step(self, batch: Examples) -> tuple[dict[str, Any], int]:
        """Steps once; returns what it took of the network, and the evaluations of the loss."""
        passes = 0

        def closure() -> Tensor:
            nonlocal passes
            passes += 1
            with torch.enable_grad():
                for weight in self._weights:
                    weight.grad = None
                loss = self._loss(self.network(batch.inputs), batch.targets, *self._extras)
                if loss.numel() != 1:
                    raise ValueError(f"the loss must be a tensor of one number, got shape {tuple(loss.shape)}")
                if loss.requires_grad:
                    loss.backward()
                else:  # a loss made of steps, whose gradient is 0
                    for weight in self._weights:
                        weight.grad = torch.zeros_like(weight)
            self._penalise()
            return loss.detach()

        if self._style != foreign.OWN_PASSES:
            closure()
        given: list[Any] = [] if self._style == foreign.PLAIN else [closure]
        try:
            self.optimizer.step(*given)
        except Exception as error:  # whatever an optimizer raises
            self._failed(error)
        return {"forward": passes, "backward": passes, "examples": passes * len(batch)}, passes

    def _sweep_step(self, batch: Examples) -> tuple[dict[str, Any], int]:
        """A sweep; returns what it took of the network, and the evaluations of the loss."""
        assert self._sweep is not None
        self._sweep.step(batch.inputs, batch.targets)
        firsts = [np.array([first]) for first in self._sweep.starts]
        return {**sweeping.passes(self._costs, firsts), "examples": len(batch)}, len(firsts)

    def _groups(self) -> ParamsT:
        """The weights, at the learning rates of their blocks where the method has one for each."""
        sweep = self.trial.method.sweep
        if sweep is None or sweep.sweeps:
            return self._weights
        return layerwise_lr(propose_blocks(self.network), float(self.trial.hyperparameters["lr"]))

    def _differentiable_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss; of one made of steps the gradient is 0."""
        loss = self._loss(outputs, targets, *self._extras)
        return loss if loss.requires_grad else loss + 0 * outputs.sum()

    def _penalise(self) -> None:
        if self.trial.recipe.l1:
            for weight in self._weights:
                if weight.grad is not None:
                    weight.grad.add_(sign_penalty(weight.detach(), self.trial.recipe.l1))

    def _scale(self, factor: float) -> None:
        if factor == self._factor:
            return
        self._factor = factor
        for group, lr in zip(self.optimizer.param_groups, self._lrs, strict=True):
            if lr is None:
                raise ValueError(f"schedule of {self.trial.method.name} must be constant, because it has no lr")
            group["lr"] = lr * factor

    def _switch(self, mode: str) -> None:
        """To train or to evaluate. Schedule-free optimizers keep two points: one for each."""
        super()._switch(mode)
        if self._switches:
            getattr(self.optimizer, mode)()

    def _state_bytes(self) -> int:
        tensors = {id(x): x for x in _tensors_in(self.optimizer)}
        weights = {id(weight) for group in self.optimizer.param_groups for weight in group["params"]}
        return sum(x.numel() * x.element_size() for key, x in tensors.items() if key not in weights)

    def _failed(self, error: Exception) -> None:
        """An optimizer has raised: with finite weights and gradients that is its fault, else the trial has diverged."""
        grads = [weight.grad.to_dense() for weight in self._weights if weight.grad is not None]
        if all(bool(torch.isfinite(x).all()) for x in (*grads, *(weight.detach() for weight in self._weights))):
            raise ValueError(
                f"{self.trial.method.name} failed in a step on {self.trial.workload.task}: "
                f"{type(error).__name__}: {error}"
            ) from error
        with torch.no_grad():
            for weight in self._weights:
                weight.fill_(torch.nan)


class OwnRandomness:
    """Inside the block what is drawn from torch's global generators comes from a stream of its own, which goes on where
    the last block left it; after it, the global ones are as they were."""

    def __init__(self, source: torch.Generator, device: torch.device) -> None:
        seed = int(torch.randint(2**63 - 1, (), generator=source))
        self._globals = [torch.default_generator]
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            self._globals.append(torch.cuda.default_generators[index])
        self._own = [torch.Generator(each.device).manual_seed(seed).get_state() for each in self._globals]

    def __enter__(self) -> None:
        self._before = [each.get_state() for each in self._globals]
        for each, state in zip(self._globals, self._own, strict=True):
            each.set_state(state)

    def __exit__(self, *_: object) -> None:
        self._own = [each.get_state() for each in self._globals]
        for each, state in zip(self._globals, self._before, strict=True):
            each.set_state(state)


def outputs_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network in evaluation mode answers, a few hundred examples at a time."""
    with torch.no_grad():
        # Clones, because a network may change its inputs in place.
        return torch.cat([network(chunk.clone()) for chunk in inputs.split(EVALUATED)])


def _on(examples: Examples, device: torch.device) -> Examples:
    return Examples(examples.inputs.to(device), examples.targets.to(device))


def _tensors_in(held: Any) -> Iterator[Tensor]:
    """The tensors in the states of an optimizer, and of those inside it."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, torch.optim.Optimizer):
        inside = [x for x in vars(held).values() if isinstance(x, (torch.optim.Optimizer, list))]
        yield from _tensors_in([*held.state.values(), *(x for x in inside if _holds_optimizers(x))])
    elif isinstance(held, (dict, list, tuple)):
        values: Iterable[Any] = held.values() if isinstance(held, dict) else held
        for value in values:
            yield from _tensors_in(value)


def _holds_optimizers(held: Any) -> bool:
    return isinstance(held, torch.optim.Optimizer) or any(isinstance(x, torch.optim.Optimizer) for x in held)
