"""Timing contenders against one another in turns, the bars that their ratios are held to, and the output."""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

TURN = 20.0  # milliseconds: far above what reading the clock takes, and what waiting for a GPU does

Step = Callable[[], object]
Clock = Callable[[], float]


def nothing() -> None:
    """How to wait for a CPU: its steps are over when they return."""


@dataclass(frozen=True)
class Times:
    """Of one contender: seconds of its first steps together, and median milliseconds of a later step; `host` is
    the part of them after which the call has returned, with a GPU still at work."""

    first: float
    step: float
    host: float


def times_in_turns(
    steps: Mapping[str, Step],
    rounds: int,
    wait: Callable[[], object] = nothing,
    first_steps: int = 3,
    clock: Clock = time.perf_counter,
) -> dict[str, Times]:
    """All contenders take their turns round by round, so that a machine that slows down slows all of them.

    A turn is as many steps as fill 20 ms, at least one, without collecting garbage: what one contender keeps alive
    would be looked through in another's turn. By `time.process_time`, steps that wait for nobody are counted as if
    nobody else used the machine.
    """
    first, lengths = {}, {}
    for name, step in steps.items():
        # The first steps compile and fill caches; torch's compiled optimizers compile again at their second.
        first[name] = first_steps * _turn(step, first_steps, wait, clock)[0]
        lengths[name] = _length(step, wait, clock)
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            turns[name].append(_turn(step, lengths[name], wait, clock))
    return {name: Times(first[name] / 1e3, *map(statistics.median, zip(*turns[name], strict=True))) for name in steps}


def _length(step: Step, wait: Callable[[], object], clock: Clock) -> int:
    """How many steps fill a turn, found by doubling: a single step is slower than one of many."""
    steps = 1
    while (milliseconds := _turn(step, steps, wait, clock)[0]) * steps < TURN / 2:
        steps *= 2
    return max(1, round(TURN / milliseconds))


def _turn(step: Step, steps: int, wait: Callable[[], object], clock: Clock) -> tuple[float, float]:
    """Milliseconds of each of so many steps, and of the host's part in it."""
    collects = gc.isenabled()
    gc.disable()
    wait()
    start = clock()
    for _ in range(steps):
        step()
    returned = clock()
    wait()
    if collects:
        gc.enable()
    return 1e3 * (clock() - start) / steps, 1e3 * (returned - start) / steps


@dataclass(frozen=True)
class Bar:
    """A ratio of two medians, and the most that it may be."""

    of: str
    against: str
    lists: tuple[str, ...]
    most: float

    def __str__(self) -> str:
        return f"{self.of} / {self.against}"


def verdict(what: object, value: float, most: float) -> str:
    return f"  {what!s:66} {value:7.3f}  (at most {most:.3f}: {'holds' if value <= most else 'MISSED'})"


def arguments_of(about: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser of what every benchmark takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each contender that are counted")
    parser.add_argument("--out", help="also write what is printed to this file")
    return parser


def publish(lines: list[str], out: str | None) -> None:
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if out:
        Path(out).write_text(text)


def processor() -> str:
    try:
        return next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
