"""What policies cost: steps of the environment that strategies and the policy gradient need, five seeds each.

    python benchmarks/control.py --out benchmarks/control.txt

On CartPole a method is through when the policy that it holds to be the best balances the pole for all 500 steps in each
of 100 episodes that it was not chosen by. Strategies are tried whenever the best of a generation balanced it in all of
its episodes, the policy gradient after every update; these trials are not counted. Of the policies that got through the
mean return over 100 more episodes is printed: what passes a trial once need not pass it again.

On Pendulum all have as many steps as stand above the column, and the policy in the end (a strategy's `center`, the
policy gradient's output without noise) plays the same 100 episodes. The policy gradient is trained anew for every
number of steps, because its learning rate falls to 0 by then.

Few settings were tried for either side: populations, sigma0 and episodes that suit most strategies, and for the policy
gradient the learning rate and the discount.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from timing import arguments_of, processor, publish
from torch import nn

from thalweg.search import EpisodeReturn, PolicyGradient, Strategy, mean_return
from thalweg.tasks.control import Environment, environment_named

SEEDS = 5
STRATEGIES = ("random", "snes", "cma", "sep-cma", "pgpe", "openai-es", "ga-truncation", "pso", "jade")
MOST = 1_000_000  # steps, after which a method has not balanced the pole
MARKS = (100_000, 300_000, 1_000_000, 3_000_000)  # steps at which pendulums are looked at
PATIENT = 300_000  # the most for which the policy gradient is trained on them: by then it has nothing left to learn
OWN = {"ga-truncation": {"parents": 4, "sigma": 0.3}}


@dataclass(frozen=True)
class Setting:
    """Of a task: the policy's hidden units (0: linear), and what strategies are given."""

    environment: str
    hidden: int
    population: int
    episodes: int
    sigma0: float


LINEAR = Setting("cart-pole", 0, population=20, episodes=8, sigma0=0.5)
PERCEPTRON = Setting("cart-pole", 8, population=20, episodes=8, sigma0=0.5)
PENDULUM = Setting("pendulum", 8, population=32, episodes=4, sigma0=1.0)


def policy(setting: Setting, seed: int) -> nn.Module:
    """As torch draws its weights."""
    torch.manual_seed(seed)
    environment: Environment = environment_named(setting.environment)
    inputs, outputs = environment.observation_size, environment.output_size
    if not setting.hidden:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, setting.hidden), nn.Tanh(), nn.Linear(setting.hidden, outputs))


def searched(name: str, setting: Setting, seed: int) -> tuple[EpisodeReturn, Strategy]:
    module, generator = policy(setting, seed), torch.Generator().manual_seed(seed)
    objective = EpisodeReturn(setting.environment, module, episodes=setting.episodes, generator=generator)
    strategy = Strategy(
        name,
        x0=objective.weights.start,
        sigma0=setting.sigma0,
        population=setting.population,
        generator=torch.Generator().manual_seed(seed),
        **OWN.get(name, {}),
    )
    return objective, strategy


# CartPole

Found = tuple[int, nn.Module] | None


def by_strategy(name: str, setting: Setting, seed: int) -> Found:
    objective, strategy = searched(name, setting, seed)
    trials = torch.Generator().manual_seed(1000 + seed)
    while objective.steps < MOST:
        x = strategy.ask()
        values = objective(x)
        strategy.tell(values)
        if values.min() == -500:
            module = objective.policy(x[values.argmin()])
            if mean_return(setting.environment, module, 100, trials) == 500:
                return objective.steps, module
    return None


def by_gradient(setting: Setting, seed: int) -> Found:
    module, trials = policy(setting, seed), torch.Generator().manual_seed(1000 + seed)
    through: list[int] = []

    def until(trained: nn.Module, steps: int) -> bool:
        if mean_return(setting.environment, trained, 100, trials) == 500:
            through.append(steps)
        return bool(through)

    generator = torch.Generator().manual_seed(seed)
    PolicyGradient().train(setting.environment, module, steps=100_000, generator=generator, until=until)
    return (through[0], module) if through else None


def balanced(name: str, method: Callable[[int], Found]) -> str:
    start = time.process_time()
    found = [one for seed in range(SEEDS) if (one := method(seed)) is not None]
    seconds = (time.process_time() - start) / SEEDS
    if not found:
        return f"{name:24} {'0 of 5':>7}"
    steps = [taken for taken, _ in found]
    again = [mean_return("cart-pole", module, 100, torch.Generator().manual_seed(77)) for _, module in found]
    return (
        f"{name:24} {len(found)} of {SEEDS} {statistics.median(steps):10,.0f} {min(steps):10,} {max(steps):10,}"
        f" {min(again):12.1f} {seconds:10.1f}"
    )


def cart_poles(setting: Setting, words: str) -> list[str]:
    head = f"{'CartPole, ' + words:24} {'solved':>6} {'steps':>10} {'least':>10} {'most':>10} {'worst again':>12}"
    lines = [f"{head} {'CPU s':>10}", balanced("policy gradient", partial(by_gradient, setting))]
    return [*lines, *(balanced(name, partial(by_strategy, name, setting)) for name in STRATEGIES), ""]


# Pendulum


def swung(module: nn.Module) -> float:
    return mean_return("pendulum", module, 100, torch.Generator().manual_seed(77))


def returns_of_strategy(name: str, seed: int) -> list[float]:
    """At each of the marks."""
    objective, strategy = searched(name, PENDULUM, seed)
    returns = []
    for mark in MARKS:
        while objective.steps < mark:
            strategy.tell(objective(strategy.ask()))
        returns.append(swung(objective.policy(strategy.center)))
    return returns


def return_of_gradient(steps: int, seed: int) -> float:
    module, generator = policy(PENDULUM, seed), torch.Generator().manual_seed(seed)
    PolicyGradient(discount=0.95).train("pendulum", module, steps=steps, generator=generator)
    return swung(module)


def pendulums() -> list[str]:
    head = f"{'Pendulum, 3-8-1':24}" + "".join(f"{mark:>24,}" for mark in MARKS)
    by_steps = [[return_of_gradient(mark, seed) for seed in range(SEEDS)] for mark in MARKS if mark <= PATIENT]
    lines = [head, f"{'policy gradient':24}" + "".join(map(spread, by_steps))]
    for name in STRATEGIES:
        by_seed = [returns_of_strategy(name, seed) for seed in range(SEEDS)]
        lines.append(f"{name:24}" + "".join(map(spread, zip(*by_seed, strict=True))))
    return lines


def spread(returns: list[float]) -> str:
    """The median, and between which the seeds lie."""
    return f"{f'{statistics.median(returns):.0f} ({min(returns):.0f}, {max(returns):.0f})':>24}"


def main() -> None:
    options = arguments_of(__doc__, rounds=1).parse_args()
    torch.set_num_threads(1)
    about = f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}"
    lines = [
        f"Steps of the environment, all episodes together; medians over {SEEDS} seeds, the least and the most.",
        about,
        "",
        *cart_poles(LINEAR, "linear 4-2"),
        *cart_poles(PERCEPTRON, "4-8-2"),
        "Returns: medians over the seeds, the worst and the best. To do nothing earns about -1200.",
        *pendulums(),
    ]
    publish(lines, options.out)


if __name__ == "__main__":
    main()
