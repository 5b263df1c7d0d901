"""How long one step of a generation of candidates takes on a CPU, one thread: the virtual machine, against its peers.

    python benchmarks/virtual_machine.py --out benchmarks/virtual_machine.txt

Small: 512 candidates of 340 weights (a 16-16-4 perceptron), each following one of 50 rules: the gallery's, and random
ones over the operators of Adaptive AutoLR's grammar and a few more. The peer is what candidates that nothing is
compiled for would be stepped with: a loop over them of torch operations, the plain step. Both on the network's four
tensors, and on one tensor of all weights, which is kinder to the loop.

Large: 20 networks of 1.2 million weights that follow one rule. The peer is the native step, compiled for the rule, over
the same stacked tensors.

All take their turns round by round, a turn is as many steps as fill 20 ms, at least one; printed are medians over the
turns, of the process's own time: nobody waits here, so that a busy machine changes little.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from random import Random

import torch
from timing import Bar, Step, arguments_of, processor, publish, times_in_turns, verdict

from thalweg import Rule
from thalweg.evolve.machine import Machine
from thalweg.optim import StackedOptimizer
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

ROUNDS = 15
CANDIDATES, RULES = 512, 50
NETWORK = {"hidden.weight": (16, 16), "hidden.bias": (16,), "output.weight": (4, 16), "output.bias": (4,)}
FLAT = {"all": (340,)}
LARGE = {"all": (1_200_000,)}
NETWORKS = 20

Tensors = dict[str, torch.Tensor]


def tensors(members: int, shapes: dict[str, tuple[int, ...]], seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(members, *shape, generator=generator) for name, shape in shapes.items()}


def expression(random: Random, names: tuple[str, ...], depth: int) -> str:
    """A random expression, of about the size that evolved ones have once dead code is gone."""
    kind = random.random()
    if depth == 0 or kind < 0.2:
        return random.choice((*names, *names, f"{random.random():.4f}"))
    one, other = (expression(random, names, depth - 1) for _ in range(2))
    if kind < 0.75:
        return f"({one} {random.choice('+-**')} {other})"
    if kind < 0.85:
        return f"safe_div({one}, {other})"
    return f"{random.choice(('sqrt', 'square', 'abs', 'sign', 'tanh'))}({one})"


def candidates() -> list[Rule]:
    random = Random(0)
    rules = [entry.rule for entry in GALLERY.values()][:RULES]
    while len(rules) < RULES:
        x, y, w = (expression(random, names, 3) for names in (("x", "g"), ("x", "y", "g"), ("x", "y", "g")))
        rules.append(Rule("random", f"x = x - {x}\ny = y - {y}\nw = w - 0.001*({w})", state="x y"))
    return [rules[i % RULES] for i in range(CANDIDATES)]


def loop(rules: list[Rule], shapes: dict[str, tuple[int, ...]]) -> Step:
    """The plain steps of all candidates and tensors, one after another."""
    grads = tensors(len(rules), shapes, 1)
    rows = []
    for name, w in tensors(len(rules), shapes, 0).items():
        for i, rule in enumerate(rules):
            scalars = rule.scalars(rule.hyperparameters)
            begun = plain.initial(rule)(w[i], torch.Generator(), **scalars)
            kinds = [state in rule.program.tensor_states for state in rule.states]
            states = [torch.zeros_like(w[i]) + x if of else x for x, of in zip(begun, kinds, strict=True)]
            driver = {**scalars, "maximize": False, "decay": rule.decay}
            rows.append((plain.step(rule), [w[i].clone(), *states], grads[name][i].clone(), driver))
    t = [0.0]

    def step() -> None:
        t[0] += 1
        for plain_step, values, g, driver in rows:
            w, *states = values
            values[:] = plain_step(w, g, *states, t=t[0], **driver)

    return step


def machine(rules: list[Rule], shapes: dict[str, tuple[int, ...]]) -> Step:
    ours, grads = Machine(rules, tensors(len(rules), shapes, 0)), tensors(len(rules), shapes, 1)
    return lambda: ours.step(grads)


def native(rule: Rule, shapes: dict[str, tuple[int, ...]]) -> Step:
    peer, grads = StackedOptimizer(tensors(NETWORKS, shapes, 0), rule, backend="native"), tensors(NETWORKS, shapes, 1)
    return lambda: peer.step(grads)


def small() -> dict[str, Step]:
    rules = candidates()
    return {
        "machine": machine(rules, NETWORK),
        "loop of torch operations": loop(rules, NETWORK),
        "machine, one flat tensor": machine(rules, FLAT),
        "loop of torch operations, one flat tensor": loop(rules, FLAT),
    }


def large(name: str) -> dict[str, Step]:
    rule = GALLERY[name].rule
    return {f"machine, {name}": machine([rule] * NETWORKS, LARGE), f"native step, {name}": native(rule, LARGE)}


SUITES: dict[str, tuple[str, Callable[[], dict[str, Step]]]] = {
    "small": (f"{CANDIDATES} candidates of 340 weights, {RULES} rules:", small),
    "heavy_ball": (f"{NETWORKS} networks of 1.2 million weights, momentum:", lambda: large("heavy_ball")),
    "adam": (f"{NETWORKS} networks of 1.2 million weights, Adam:", lambda: large("adam")),
}
BARS = (
    Bar("machine", "loop of torch operations", (), 1 / 10),
    Bar("machine, one flat tensor", "loop of torch operations, one flat tensor", (), 1 / 10),
    Bar("machine, heavy_ball", "native step, heavy_ball", (), 6.0),
    Bar("machine, adam", "native step, adam", (), 6.0),
)


def report(rounds: int) -> list[str]:
    lines = [
        f"One step on one thread, median of {rounds} rounds, milliseconds.",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}",
    ]
    times: dict[str, float] = {}
    for title, contenders in SUITES.values():
        measured = times_in_turns(contenders(), rounds, clock=time.process_time)
        lines += ["", title, *(f"  {name:48}{each.step:12.3f}" for name, each in measured.items())]
        times |= {name: each.step for name, each in measured.items()}
    lines += ["", "Ratios, and the bars they are held to:"]
    return lines + [verdict(bar, times[bar.of] / times[bar.against], bar.most) for bar in BARS]


def main() -> None:
    arguments = arguments_of(__doc__, ROUNDS).parse_args()
    torch.set_num_threads(1)
    publish(report(arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()
