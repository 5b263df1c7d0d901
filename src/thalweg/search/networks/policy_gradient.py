"""`PolicyGradient`: learning a policy by gradients, to which strategies are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from thalweg.optim import Adam
from thalweg.search.checks import check_whole, checked_generator
from thalweg.search.networks.policies import check_policy, environment_of
from thalweg.search.networks.weights import FlatWeights
from thalweg.tasks.control import Environment

Optimizer = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


@dataclass
class LearningCurve:
    """Of each update: `steps`, how many the environment had taken by then, all episodes together; and `returns`, the
    means of those episodes that ended since the last one, in which the policy tried things out (NaN where none did)."""

    steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class PolicyGradient:
    """Proximal policy optimization: an actor, a critic, generalised advantages, and ratios that are clipped.

    Arguments:
        envs: so many episodes run side by side; one that ends begins anew.
        length: steps of each between updates.
        epochs, batch: an update passes so often over these steps, in batches of so many.
        lr: of Adam, for both networks; it falls to 0 in the course of the training.
        discount: what a reward is worth a step later.
        gae_lambda: how far the advantages A trust rewards (1) rather than the critic (0).
        clip: the weights follow the gradient of min(r A, clip(r, 1 - clip, 1 + clip) A), where r is by how much an
            action has become likelier since it was taken.
        std: the standard deviation of actions at first, where they are numbers. They are normal around the policy's
            output, and the deviation is learnt. Discrete ones are drawn by the softmax of the outputs.
        critic: the width of the critic, a network of its own with two tanh layers.
        max_grad_norm: longer gradients are shortened to this.
        optimizer: makes the optimizer from the tensors to train; by default our `Adam`, with epsilon 1e-5.

    Raises ValueError, naming the argument and quoting the value.

    Source: Schulman, Wolski, Dhariwal, Radford and Klimov, Proximal policy optimization algorithms, 2017
    (arXiv:1707.06347); generalised advantages: Schulman et al., ICLR 2016 (arXiv:1506.02438).

    >>> policy = nn.Linear(4, 2)
    >>> PolicyGradient(envs=4, length=32).train("cart-pole", policy, steps=256).steps
    [128, 256]
    """

    envs: int = 16
    length: int = 128
    epochs: int = 10
    batch: int = 256
    lr: float = 6e-3
    discount: float = 0.98
    gae_lambda: float = 0.9
    clip: float = 0.2
    std: float = 1.0
    critic: int = 64
    max_grad_norm: float = 0.5
    optimizer: Optimizer | None = None

    def __post_init__(self) -> None:
        counts = ("envs", "length", "epochs", "batch", "critic")
        check_whole(**{name: getattr(self, name) for name in counts})
        for name in ("lr", "clip", "std", "max_grad_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {getattr(self, name)!r}")
        for name in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)!r}")

    def train(
        self,
        environment: str | Environment,
        module: nn.Module,
        *,
        steps: int,
        generator: torch.Generator | None = None,
        until: Callable[[nn.Module, int], bool] | None = None,
    ) -> LearningCurve:
        """Trains the weights of a policy in place, for so many steps of the environment in all episodes together: as
        many whole updates as that allows, and one at least.

        `generator`: where all draws come from; without one, a generator with seed 0. `until`, called after each update
        with the policy and the steps so far, ends the training by True. Raises ValueError where the module is no policy
        of the environment.
        """
        environment = environment_of(environment)
        check_policy(environment, module)
        check_whole(steps=steps)
        generator = checked_generator(generator)
        learner = _Learner(self, environment, module, generator)
        curve, each = LearningCurve(), self.envs * self.length
        for before in range(0, max(steps - each, 0) + 1, each):
            experience, ended = learner.play()
            learner.learn(experience, share_left=1 - before / steps if steps > each else 1.0)
            curve.steps.append(before + each)
            curve.returns.append(ended)
            if until is not None and until(module, before + each):
                break
        return curve


class _Experience(NamedTuple):
    """Steps of all environments: (length, envs, ...) as they are played, (n, ...) as they are learnt from."""

    seen: Tensor
    choices: Tensor  # the places of actions, or outputs with noise
    chances: Tensor  # the log-probabilities of the choices when they were made
    advantages: Tensor
    targets: Tensor  # of the critic


class _Learner:
    """An actor, a critic, and the episodes in which they learn."""

    def __init__(
        self, settings: PolicyGradient, environment: Environment, module: nn.Module, generator: torch.Generator
    ) -> None:
        self.settings, self.environment, self.module, self.generator = settings, environment, module, generator
        weights = FlatWeights(module)
        self.dtype, self.device = weights.stored, weights.device
        self.critic = _critic(environment.observation_size, settings.critic, generator).to(self.device, self.dtype)
        self.log_std = torch.full((environment.output_size,), math.log(settings.std)).to(self.device, self.dtype)
        networks = (*module.parameters(), *self.critic.parameters())
        self.trained: list[Tensor] = [w for w in networks if w.requires_grad]
        if not environment.discrete:
            self.trained.append(self.log_std.requires_grad_())
        make = settings.optimizer or (lambda params: Adam(params, lr=settings.lr, eps=1e-5))
        self.optimizer = make(self.trained)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.states = self._fresh()
        self.clocks = torch.zeros(settings.envs, dtype=torch.int64, device=self.device)
        self.sums = torch.zeros(settings.envs, dtype=self.dtype, device=self.device)
        self.unit: Tensor | None = None  # in which rewards are measured, so that the critic's answers are about 1

    @torch.no_grad()
    def play(self) -> tuple[_Experience, float]:
        """The next steps of all environments, and the mean return of the episodes that ended in them."""
        rows, returns = [], []
        for _ in range(self.settings.length):
            seen = self.environment.observe(self.states)
            outputs = self.module(seen)
            tried = self._varied(outputs)
            after, rewards, terminated = self.environment.step(self.states, self.environment.act(tried))
            self.clocks += 1
            self.sums += rewards
            ended = terminated | (self.clocks >= self.environment.horizon)
            choices = tried.argmax(-1) if self.environment.discrete else tried
            chances = self._log_chances(outputs, choices)
            rows.append((seen, choices, chances, self.environment.observe(after), rewards, terminated, ended))
            returns.append(self.sums[ended])
            self.clocks.masked_fill_(ended, 0)
            self.sums.masked_fill_(ended, 0.0)
            self.states = torch.where(ended.unsqueeze(-1), self._fresh(), after)
        seen, choices, chances, then, rewards, terminated, ended = map(torch.stack, zip(*rows, strict=True))
        if self.unit is None:
            self.unit = rewards.abs().mean() / max(1 - self.settings.discount, 1 / self.environment.horizon)
        values, next_values = self._values(seen), self._values(then).masked_fill(terminated, 0.0)
        hyper = self.settings.discount, self.settings.gae_lambda
        advantages = generalised_advantages(rewards / self.unit, values, next_values, ended, *hyper)
        experience = _Experience(seen, choices, chances, advantages, advantages + values)
        return experience, float(torch.cat(returns).mean())

    def learn(self, experience: _Experience, share_left: float) -> None:
        """Passes over the experience, with that share of the learning rates."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share_left
        flat = _Experience(*(x.flatten(0, 1) for x in experience))
        for _ in range(self.settings.epochs):
            order = torch.randperm(len(flat.seen), generator=self.generator, device=self.generator.device)
            for rows in order.to(self.device).split(self.settings.batch):
                self.optimizer.zero_grad()
                self._loss(_Experience(*(x[rows] for x in flat))).backward()
                clip_grad_norm_(self.trained, self.settings.max_grad_norm)
                self.optimizer.step()

    def _loss(self, batch: _Experience) -> Tensor:
        clip = self.settings.clip
        ratio = torch.exp(self._log_chances(self.module(batch.seen), batch.choices) - batch.chances)
        advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std(correction=0) + 1e-8)
        gains = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
        return 0.5 * (self._values(batch.seen) - batch.targets).square().mean() - gains.mean()

    def _values(self, seen: Tensor) -> Tensor:
        values: Tensor = self.critic(seen)
        return values.squeeze(-1)

    def _varied(self, outputs: Tensor) -> Tensor:
        """The outputs with noise: the highest of scores with Gumbel noise is drawn by their softmax."""
        noise = torch.empty(outputs.shape, dtype=self.dtype, device=self.generator.device)
        if self.environment.discrete:
            return outputs - noise.exponential_(generator=self.generator).log().to(self.device)
        return outputs + self.log_std.exp() * noise.normal_(generator=self.generator).to(self.device)

    def _log_chances(self, outputs: Tensor, choices: Tensor) -> Tensor:
        """The log-probabilities of choices, (...)."""
        if self.environment.discrete:
            return outputs.log_softmax(-1).gather(-1, choices.unsqueeze(-1)).squeeze(-1)
        scaled = (choices - outputs) * torch.exp(-self.log_std)
        return (-0.5 * scaled.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def _fresh(self) -> Tensor:
        return self.environment.start((self.settings.envs,), self.generator, self.dtype, self.device)


def generalised_advantages(
    rewards: Tensor, values: Tensor, next_values: Tensor, ended: Tensor, discount: float, gae_lambda: float
) -> Tensor:
    """The sums over l of (discount gae_lambda)^l times the surprise of l steps later, up to where an episode ended; all
    (length, envs). A surprise is reward + discount next_value - value.

    An episode that was only cut off would have gone on, so that the value of its last state counts; after one that
    terminated nothing more comes, and `next_values` must be 0.
    """
    surprises = rewards + discount * next_values - values
    keep = discount * gae_lambda * (~ended).to(rewards.dtype)
    advantages, running = torch.empty_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        running = surprises[t] + keep[t] * running
        advantages[t] = running
    return advantages


def _critic(inputs: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    """A perceptron with tanh, whose weights are drawn as Glorot and Bengio's, its last layer small."""
    layers = [nn.utils.skip_init(nn.Linear, *sizes) for sizes in ((inputs, hidden), (hidden, hidden), (hidden, 1))]
    for layer, gain in zip(layers, (5 / 3, 5 / 3, 0.1), strict=True):
        nn.init.xavier_uniform_(layer.weight, gain, generator=generator)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])
