"""`EpisodeReturn`: what policies earn in an environment, as an objective of their weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.cohort import Unstackable
from thalweg.cohort.tracing import Program, traced
from thalweg.search.checks import check_whole, checked_generator
from thalweg.search.networks.weights import FlatWeights
from thalweg.tasks.control import Environment, environment_named, rollout


class EpisodeReturn:
    """The negative mean return of policies over some episodes, for a strategy to make small.

    Arguments:
        environment: an `Environment`, or the name of one (`cart-pole`, `pendulum`).
        module: the policy, from observations (n, observation_size) to outputs (n, output_size); a copy of it, in
            evaluation mode, is what plays.
        episodes: so many a policy and call.
        generator: where the states come from in which episodes begin; without one, a generator with seed 0.
        fresh: whether each call draws new states. Those of one call are the same for all its policies, which so differ
            by what they do and not by their luck. If not fresh, those of the first call serve for ever: the objective
            is then a function, but a policy may be found that is good for these states alone.

    It is called with weights (n, D) and returns (n,). All policies and episodes are played in lockstep, in the module's
    dtype and on its device. `steps` counts the steps that the environment has taken in all episodes, which is what
    `PolicyGradient` is charged too. A policy that answers NaN is worse than any other: its value is inf.

    `weights` are the module's as a vector (`FlatWeights`): where a search may begin, and how far around to look.

    Raises ValueError, naming the argument and quoting the value; also where the module is no policy of the environment,
    or `torch.func` cannot vectorise it.

    >>> policy = torch.nn.Linear(4, 2)
    >>> objective = EpisodeReturn("cart-pole", policy, episodes=5)
    >>> x = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1, 0, 0.0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    >>> objective(x)[0] < -150 < objective(x)[1]                      # follows the pole, or always goes left
    tensor(True)
    """

    def __init__(
        self,
        environment: str | Environment,
        module: nn.Module,
        *,
        episodes: int = 16,
        generator: torch.Generator | None = None,
        fresh: bool = True,
    ) -> None:
        check_whole(episodes=episodes)
        self.environment = environment_of(environment)
        check_policy(self.environment, module)
        self.module, self.episodes, self.fresh = copy.deepcopy(module).eval(), int(episodes), fresh
        self.weights = FlatWeights(self.module)
        self.generator = checked_generator(generator)
        self._steps = torch.zeros((), dtype=torch.int64, device=self.weights.device)
        self._starts: Tensor | None = None
        self._program: tuple[int, Program] | None = None  # and for how many policies it was traced

    @property
    def dim(self) -> int:
        """D, how many weights a policy has."""
        return self.weights.dim

    @property
    def steps(self) -> int:
        """How many steps the environment has taken so far, all episodes together."""
        return int(self._steps)

    def __call__(self, x: Tensor) -> Tensor:
        return -self.returns(x).mean(-1)

    def returns(self, x: Tensor) -> Tensor:
        """The return of every policy (n, D) in every episode, (n, episodes)."""
        if not isinstance(x, Tensor) or x.dim() != 2 or x.shape[1] != self.dim:
            given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"{x!r:.80}"
            raise ValueError(f"x must be weights (n, {self.dim}), got {given}")
        if not len(x):
            return x.new_zeros(0, self.episodes)
        if self._starts is None or self.fresh:
            own = self.weights
            self._starts = self.environment.start((self.episodes,), self.generator, own.stored, own.device)
        states = self._starts.expand(len(x), *self._starts.shape).contiguous()
        played = rollout(self.environment, self._policies(x), states)
        self._steps += played.lengths.sum()
        return played.returns.to(x)

    def policy(self, x: Tensor) -> nn.Module:
        """A copy of the module with these weights, (D,)."""
        module = copy.deepcopy(self.module)
        FlatWeights(module).load(x)
        return module

    def _policies(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The modules of weights (n, D) as one function, from observations (n, episodes, ...) to outputs.

        It is traced anew where n is another than before: an episode is hundreds of small calls, which then take a
        quarter of their time.
        """
        parts = [part.contiguous() for part in self.weights.unflatten(x.to(self.weights.device)).values()]
        answer = torch.vmap(lambda own, seen: functional_call(self.module, own, (seen,)))

        def call(seen: Tensor, *parts: Tensor) -> Sequence[Tensor]:
            return (answer(dict(zip(self.weights.names, parts, strict=True)), seen),)

        if self._program is None or self._program[0] != len(x):
            seen = parts[0].new_zeros(len(x), self.episodes, self.environment.observation_size)
            try:
                self._program = len(x), traced(call, (seen, *parts))
            except Unstackable as error:
                raise ValueError(f"module must be one that torch.vmap can take, but {error}") from error
        _, program = self._program
        return lambda seen: program(seen.contiguous(), *parts)[0]


def mean_return(
    environment: str | Environment, module: nn.Module, episodes: int = 100, generator: torch.Generator | None = None
) -> float:
    """What one policy earns on average over episodes, in evaluation mode; -inf where it answers NaN in one of them.

    `generator`: where the states come from in which they begin; without one, a generator with seed 0. Raises ValueError
    as `EpisodeReturn` does.
    """
    check_whole(episodes=episodes)
    environment = environment_of(environment)
    check_policy(environment, module)
    generator = checked_generator(generator)
    like = _tensor_of(module)
    states = environment.start((episodes,), generator, like.dtype, like.device)
    return float(rollout(environment, copy.deepcopy(module).eval(), states).returns.mean())


def environment_of(environment: str | Environment) -> Environment:
    """The environment that is meant. Raises ValueError."""
    if isinstance(environment, str):
        return environment_named(environment)
    if not isinstance(environment, Environment):
        raise ValueError(f"environment must be a name or an Environment, got {environment!r:.80}")
    return environment


def check_policy(environment: Environment, module: nn.Module) -> None:
    """Raises ValueError where a module is no policy of the environment."""
    if not isinstance(module, nn.Module):
        raise ValueError(f"module must be a torch.nn.Module, got {module!r:.80}")
    seen = _tensor_of(module).new_zeros(2, environment.observation_size)
    kind = type(environment).__name__
    try:
        with torch.no_grad():
            outputs = copy.deepcopy(module).eval()(seen)
    except Exception as error:  # whatever a user's module raises
        raise ValueError(
            f"module must take observations (n, {environment.observation_size}) of {kind}, but raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.shape != (2, environment.output_size):
        shown = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else repr(outputs)[:80]
        raise ValueError(
            f"module must answer (n, {environment.output_size}) for n observations of {kind}, got {shown} for 2"
        )


def _tensor_of(module: nn.Module) -> Tensor:
    """One of a module's floating tensors, for its dtype and device; of a module without any, as torch makes them."""
    tensors = (*module.parameters(), *module.buffers())
    return next((x for x in tensors if x.is_floating_point()), torch.empty(0))
