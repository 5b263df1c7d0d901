"""What training in cohorts saves: a step of one network, stacked with others, against a plain PyTorch loop; and what a
second process adds.

    python benchmarks/cohort.py --out benchmarks/cohort.txt

The plain loop is what one would write for speed: data preloaded as tensors, torch's fused Adam, gradients set to None.
Both take their batches from the data by their rows. Stacked is what a race does: `Stack.step`, in which every network
has its own weights, data order and learning rate. For the convolutional network it is whatever the race's own
measurement chooses. All take their turns round by round, on one thread; printed are medians over the turns.

The last part runs the same jobs of a race in one process and in two, in turns; the shortest of each counts, because on
a machine that others use too the second process may find no core.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from timing import arguments_of, processor, publish, times_in_turns, verdict
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.race.alone import Alone
from thalweg.race.arrangement import measure
from thalweg.race.method import method_named
from thalweg.race.seeds import Stream, final_seed
from thalweg.race.stack import Stack
from thalweg.race.teams import Member, Team
from thalweg.race.trial import FINAL, STACKED, Job, Trial
from thalweg.tasks import Task
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import keras_mnist_cnn, mlp

ROUNDS, MEMBERS, FEW = 25, 256, 32
# Sizes of the layers, batch, and how many times faster a step has to be stacked.
PERCEPTRONS = (((4, 10, 3), 50, 20), ((30, 10, 2), 50, 20), ((64, 32, 10), 128, 7))
CNN_BATCHES, CNN_LEAST = (32, 128), 0.95
JOBS, JOB, PROCESS_ROUNDS, PROCESSES_LEAST = 8, 64, 4, 1.7

Step = Callable[[], object]


def task(model: Callable[[torch.Generator], nn.Module], shape: Sequence[int], classes: int, batch: int) -> Task:
    generator = torch.Generator().manual_seed(0)
    examples = 1000 if len(shape) == 1 else 400
    inputs = torch.randn(examples, *shape, generator=generator)
    targets = torch.arange(examples) % classes
    return Task(model, cross_entropy, (inputs, targets), metric=ACCURACY, name="bench", batch_size=batch, epochs=10)


def perceptron(sizes: Sequence[int], dropout: float, generator: torch.Generator) -> nn.Module:
    return mlp(sizes, generator, dropout)


def members_of(given: Task, count: int) -> list[Member]:
    """Trials of Adam on five splits, each with a learning rate of its own."""
    splits = [given.workload(final_seed(0, given.name, i).generator(Stream.SPLIT)) for i in range(5)]
    adam = method_named("adam")
    return [
        Member(adam.at({**adam.hyperparameters, "lr": 1e-3 * 1.01**i}), splits[i % 5], final_seed(0, "bench", i), None)
        for i in range(count)
    ]


def step_of(team: Team, members: Sequence[Member]) -> Step:
    examples, batch = len(members[0].workload.train), members[0].batch
    rows = torch.stack(
        [torch.randperm(examples, generator=torch.Generator().manual_seed(i)) for i in range(len(members))]
    )
    factors, active = np.ones(len(members)), np.ones(len(members), dtype=np.bool_)
    return lambda: team.step(rows[:, :batch], factors, active)


def stacked(given: Task, count: int) -> Step:
    members = members_of(given, count)
    return step_of(Stack(members, torch.device("cpu")), members)


def alone(given: Task) -> Step:
    (member,) = members_of(given, 1)
    return step_of(Alone(member, torch.device("cpu")), [member])


def plain(network: nn.Module, given: Task) -> Step:
    train = given.workload(torch.Generator().manual_seed(0)).train
    inputs, targets = train.inputs, train.targets
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    rows = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))[: given.batch_size]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(network(inputs[rows]), targets[rows]).backward()
        optimizer.step()

    return step


def plain_network(given: Task) -> nn.Module:
    """With torch's own dropout, where there is any."""
    network = given.network(torch.Generator().manual_seed(0))
    for name, layer in network.named_children():
        if type(layer).__name__ == "Dropout":
            setattr(network, name, nn.Dropout(layer.p) if layer.p else nn.Identity())
    return network


def perceptrons(rounds: int) -> tuple[list[str], list[str]]:
    columns = ("plain loop", f"stacked, {MEMBERS}", f"stacked, {FEW}", f"{MEMBERS}, dropout", "race, alone")
    table = [f"{'':14}{'batch':>6}" + "".join(f"{name:>15}" for name in columns)]
    bars = []
    for sizes, batch, least in PERCEPTRONS:
        given, dropped = (task(partial(perceptron, sizes, rate), sizes[:1], sizes[-1], batch) for rate in (0.0, 0.5))
        steps = {
            columns[0]: plain(plain_network(given), given),
            columns[1]: stacked(given, MEMBERS),
            columns[2]: stacked(given, FEW),
            columns[3]: stacked(dropped, MEMBERS),
            columns[4]: alone(given),
        }
        per_network = dict(zip(columns, (1, MEMBERS, FEW, MEMBERS, 1), strict=True))
        times = {name: 1e3 * t.step / per_network[name] for name, t in times_in_turns(steps, rounds).items()}
        name = "-".join(map(str, sizes))
        table.append(f"{name:14}{batch:6}" + "".join(f"{times[column]:15.1f}" for column in columns))
        bars.append(verdict(f"{name}: stacked / plain loop", times[columns[1]] / times[columns[0]], 1 / least))
    return table, bars


def convolutional(rounds: int) -> tuple[list[str], list[str]]:
    table = [f"{'':14}{'batch':>6}{'plain loop':>15}{'race':>15}  chosen"]
    bars = []
    for batch in CNN_BATCHES:
        given = task(keras_mnist_cnn, (1, 28, 28), 10, batch)
        found = measure(given, "cpu")
        count = found.members if found.arrangement == STACKED else 1
        steps = {
            "plain": plain(plain_network(given), given),
            "race": stacked(given, count) if found.arrangement == STACKED else alone(given),
        }
        times = {name: 1e3 * t.step for name, t in times_in_turns(steps, rounds).items()}
        times["race"] /= count
        measured = f"{found.arrangement} ({found.stacked / found.alone:.2f} times as long stacked)"
        table.append(f"{'Keras CNN':14}{batch:6}{times['plain']:15.0f}{times['race']:15.0f}  {measured}")
        bars.append(
            verdict(f"Keras CNN, batch {batch}: race / plain loop", times["race"] / times["plain"], 1 / CNN_LEAST)
        )
    return table, bars


def run_job(first: int) -> None:
    """Trains a cohort on the 30-10-2 perceptron, from the initial weights to the evaluation of the last epoch."""
    torch.set_num_threads(1)
    sizes = PERCEPTRONS[1][0]
    given = task(partial(perceptron, sizes, 0.0), sizes[:1], sizes[-1], 50)
    trials = tuple(
        Trial(method_named("adam"), "", final_seed(0, given.name, i), FINAL) for i in range(first, first + JOB)
    )
    Job(given, trials, STACKED).run()


def two_processes() -> tuple[list[str], list[str]]:
    def seconds(pool: ProcessPoolExecutor) -> float:
        start = time.perf_counter()
        list(pool.map(run_job, range(0, JOBS * JOB, JOB)))
        return time.perf_counter() - start

    taken: dict[int, list[float]] = {1: [], 2: []}
    with ProcessPoolExecutor(1, get_context("spawn")) as one, ProcessPoolExecutor(2, get_context("spawn")) as two:
        for pool in (one, two):  # starts them, and compiles
            seconds(pool)
        for _ in range(PROCESS_ROUNDS):
            taken[1].append(seconds(one))
            taken[2].append(seconds(two))
    shortest = {processes: min(times) for processes, times in taken.items()}
    table = [f"{JOBS} jobs of {JOB} trials: {shortest[1]:.1f} s in one process, {shortest[2]:.1f} s in two"]
    return table, [verdict("two processes / one", shortest[2] / shortest[1], 1 / PROCESSES_LEAST)]


def report(rounds: int) -> list[str]:
    load = os.getloadavg()[0]
    first, second, third = perceptrons(rounds), convolutional(rounds), two_processes()
    return [
        f"A step of Adam with its gradients, of one network, one thread, median of {rounds} rounds, microseconds.",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, Python {platform.python_version()}; "
        f"load {load:.1f} on {os.cpu_count()} CPUs at the start",
        "",
        *first[0],
        "",
        *second[0],
        "",
        *third[0],
        "",
        "Ratios, and the bars they are held to:",
        *first[1],
        *second[1],
        *third[1],
    ]


def main() -> None:
    arguments = arguments_of(__doc__, ROUNDS).parse_args()
    torch.set_num_threads(1)
    publish(report(arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()
