"""How many generations a second searches without gradients make, ours against those of EvoX, EvoTorch and pycma.

    python benchmarks/search.py --out benchmarks/search.txt
    python benchmarks/search.py --device cuda
    python benchmarks/search.py --quick --only large PSO

In float32, on one thread: a large problem, 1000 points in 1000 dimensions; a small one, 10 points in 10 dimensions,
where all time goes into calls; 32 searches at once; and the losses of a population of small networks. A generation is
asking, evaluating in one call, and telling. All contenders of a contest take their turns round by round; printed are
medians over the turns, on a CPU of its time for this process alone. A bar holds against the fastest peer, whichever
that is: of EvoTorch's PGPE, the class or the functions; of its genetic algorithm, polynomial or Gaussian mutation.
Numbers that underflow are taken for 0, which spares everybody the slow arithmetic of what has converged.

Where the mathematics can be chosen, it is the peer's: the swarm informs all its particles of one best (by default it
informs two neighbours, which is timed too), and mutation is polynomial with probability 1/D. Peak memory is by how much
that of a fresh process rises while a CMA-ES is made and does three generations; it is measured on Linux alone.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import search_peers as peers
import torch
from fresh_process import in_fresh_process
from search_networks import evaluators
from search_peers import Contender, Problem
from threadpoolctl import threadpool_limits
from timing import Step, arguments_of, nothing, processor, publish, times_in_turns

ROUNDS = 25
FUNCTIONS = {"sphere": peers.sphere, "Rastrigin": peers.rastrigin}
LARGE, SMALL, QUICK = 1000, 10, 100
RUNS, SWARM = 32, 40
POPULATION, ROWS = 200, {64: 1.3, 1000: 1.1}  # networks; rows of data, and how many times as fast at least
MEMORY_MOST = 8 * (6 * LARGE**2 + LARGE * LARGE)  # bytes


@dataclass(frozen=True)
class Contest:
    """Who does the same, and how many times as fast as the fastest peer ours has to be, on each function."""

    title: str
    ours: Contender
    peers: Mapping[str, Contender]
    least: tuple[float, float]
    others: Mapping[str, Contender] = field(default_factory=dict)  # of ours, timed alone
    fewer: int = 1  # rounds are divided by this


PGPE = {"center_learning_rate": peers.LR, "stdev_learning_rate": peers.SIGMA_LR}
PGPE_PEERS = {
    "EvoTorch, functional": peers.evotorch_functional_pgpe,
    "EvoTorch": peers.evotorch("PGPE", **PGPE, optimizer_config={"max_speed": peers.MAX_SPEED}),
}
GA_PEERS = {
    "EvoTorch, polynomial mutation": peers.evotorch_ga("PolynomialMutation", eta=peers.ETA_MUTATION),
    "EvoTorch, Gaussian mutation": peers.evotorch_ga("GaussianMutation", stdev=peers.MUTATION),
}
SNES_PEERS = {
    "EvoX": peers.evox_from_a_point("SNES", sigma=peers.SIGMA),
    "EvoTorch": peers.evotorch("SNES"),
}
OPENAI_ES = {"learning_rate": peers.LR, "noise_stdev": peers.NOISE, "optimizer": "adam"}

CONTESTS = (
    Contest(
        "PSO", peers.in_a_box("pso", topology="global"), {"EvoX": peers.evox_in_a_box("PSO")}, (1.8, 1.3),
        others={"thalweg, ring": peers.in_a_box("pso")},
    ),
    Contest("GA", peers.in_a_box("ga"), GA_PEERS, (4.0, 4.0)),
    Contest("DE", peers.in_a_box("de"), {"EvoX": peers.evox_in_a_box("DE")}, (1.2, 1.2)),
    Contest("SNES", peers.from_a_point("snes"), SNES_PEERS, (1.2, 1.2)),
    Contest("PGPE", peers.from_a_point("pgpe"), PGPE_PEERS, (1.0, 1.0)),
    Contest(
        "OpenAI-ES", peers.from_a_point("openai-es"), {"EvoX": peers.evox_from_a_point("OpenES", **OPENAI_ES)},
        (1.0, 1.0),
    ),
    Contest(
        "CMA-ES", peers.from_a_point("cma"),
        {"pycma": peers.pycma, "EvoTorch": peers.evotorch("CMAES"), "EvoX": peers.evox_cma}, (2.0, 2.0), fewer=5,
    ),
)  # fmt: skip
SMALL_CONTESTS = (
    Contest("SNES", peers.from_a_point("snes"), {"EvoTorch": peers.evotorch("SNES")}, (10.0,)),
    Contest("PGPE", peers.from_a_point("pgpe"), PGPE_PEERS, (10.0,)),
    Contest("CMA-ES", peers.from_a_point("cma"), {"EvoTorch": peers.evotorch("CMAES")}, (10.0,)),
    Contest("GA", peers.in_a_box("ga"), GA_PEERS, (10.0,)),
)
RUNS_CONTEST = Contest(
    "PSO", peers.in_a_box("pso", topology="global"), {"EvoX, vmap": peers.evox_runs("PSO")}, (4.0,),
    others={"thalweg, ring": peers.in_a_box("pso")},
)  # fmt: skip


class Benchmark:
    """The parts of the report, on one device. Bars, and who could not run, gather as the parts are made."""

    def __init__(self, rounds: int, device: str, quick: bool, only: Sequence[str]) -> None:
        self.rounds, self.device, self.quick, self.only = rounds, device, quick, only
        self.large = QUICK if quick else LARGE
        self.wait = nothing if device == "cpu" else torch.cuda.synchronize
        self.clock = time.process_time if device == "cpu" else time.perf_counter
        self.bars: list[str] = []
        self.skipped: list[str] = []

    def large_problems(self) -> list[str]:
        table = [f"{f'Generations a second, D = P = {self.large}':44}" + "".join(f"{name:>12}" for name in FUNCTIONS)]
        for contest in self._chosen(CONTESTS):
            table += self._contest(contest, FUNCTIONS, self.large, self.large)
        return table

    def small_problems(self) -> list[str]:
        table = [f"{f'Generations a second, D = P = {SMALL}':44}{'plateau':>12}"]
        for contest in self._chosen(SMALL_CONTESTS):
            table += self._contest(contest, {"plateau": peers.plateau}, SMALL, SMALL)
        return table

    def many_runs(self) -> list[str]:
        functions = {"plateau": peers.plateau}
        head = f"Generations a second of {RUNS} runs together, D = {SMALL}, P = {SWARM}"
        return [head, *self._contest(RUNS_CONTEST, functions, SMALL, SWARM, RUNS)]

    def networks(self) -> list[str]:
        table = [f"{f'Networks a second, 64-32-10, {POPULATION} at once':44}" + "".join(f"{n:>9} rows" for n in ROWS)]
        rates = [
            self._rates(evaluators(POPULATION, rows, self.device), POPULATION, f"networks, {rows} rows")
            for rows in ROWS
        ]
        for (rows, least), found in zip(ROWS.items(), rates, strict=True):
            others = {name: rate for name, rate in found.items() if not name.startswith("thalweg")}
            self._hold(f"networks, {rows} rows", found, others, least)
        return [*table, *_rows(rates)]

    def memory(self) -> list[str]:
        rises = in_fresh_process("search_memory")
        held = rises["thalweg, float64"] <= MEMORY_MOST
        self.bars.append(
            f"  {'CMA-ES, D = P = 1000, peak memory of float64, MB':66} {rises['thalweg, float64'] / 1e6:7.1f}  "
            f"(at most {MEMORY_MOST / 1e6:.1f}: {'holds' if held else 'MISSED'})"
        )
        return [
            "Megabytes by which memory rises, CMA-ES, D = P = 1000",
            *(f"  {name:42}{rise / 1e6:12.1f}" for name, rise in rises.items()),
        ]

    def _contest(
        self, contest: Contest, functions: Mapping[str, peers.Function], dim: int, population: int, runs: int = 1
    ) -> list[str]:
        contenders = {"thalweg": contest.ours, **contest.others, **contest.peers}
        rates = []
        for (name, function), least in zip(functions.items(), contest.least, strict=True):
            problem = Problem(function, dim, population, self.device, runs)
            what = f"{contest.title}, {name}, D = {dim}" + f", {runs} runs" * (runs > 1)
            makers = {who: _made(contender, problem) for who, contender in contenders.items()}
            found = self._rates(makers, 1, what, max(3, self.rounds // contest.fewer))
            self._hold(what, found, {who: found[who] for who in contest.peers if who in found}, least)
            rates.append(found)
        return [contest.title, *_rows(rates)]

    def _rates(
        self, makers: Mapping[str, Callable[[], Step]], of_each: int, what: str, rounds: int | None = None
    ) -> dict[str, float]:
        """How many a second each does that can run."""
        steps = {}
        for who, make in makers.items():
            try:
                steps[who] = make()
                steps[who]()
                steps[who]()  # EvoX's CMA-ES fails at its second
            except (ImportError, RuntimeError) as error:
                self.skipped.append(f"  {what}: {who}: {type(error).__name__}: {str(error).splitlines()[0]:.80}")
                steps.pop(who, None)
        times = times_in_turns(steps, rounds or self.rounds, self.wait, clock=self.clock)
        return {who: 1e3 * of_each / each.step for who, each in times.items()}

    def _hold(self, what: str, rates: Mapping[str, float], others: Mapping[str, float], least: float) -> None:
        if "thalweg" not in rates or not others:
            return
        fastest = max(others, key=lambda who: others[who])
        ratio = rates["thalweg"] / others[fastest]
        held = "not judged" if self.quick else "holds" if ratio >= least else "MISSED"
        self.bars.append(f"  {f'{what}: thalweg / {fastest}':66} {ratio:7.2f}  (at least {least:.1f}: {held})")

    def _chosen(self, contests: Sequence[Contest]) -> list[Contest]:
        titled = [each for each in contests if each.title in self.only]
        return titled or list(contests)


def _made(contender: Contender, problem: Problem) -> Callable[[], Step]:
    return lambda: contender(problem)


def _rows(rates: Sequence[Mapping[str, float]]) -> list[str]:
    names = dict.fromkeys(name for each in rates for name in each)
    return [f"  {name:42}" + "".join(f"{each.get(name, float('nan')):12.1f}" for each in rates) for name in names]


def versions() -> str:
    found = []
    for package in ("evox", "evotorch", "cma"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def report(rounds: int, device: str, quick: bool, only: Sequence[str]) -> list[str]:
    load = os.getloadavg()[0]  # before this run adds its own
    benchmark = Benchmark(rounds, device, quick, only)
    parts = {
        "large": benchmark.large_problems,
        "small": benchmark.small_problems,
        "runs": benchmark.many_runs,
        "networks": benchmark.networks,
        "memory": benchmark.memory,
    }
    if sys.platform != "linux" or device != "cpu":
        del parts["memory"]
    if only:
        chosen = set(only) & set(parts) or {"large", "small"}  # named are contests alone
        parts = {name: part for name, part in parts.items() if name in chosen}
    tables = [line for part in parts.values() for line in (*part(), "")]
    named = processor() if device == "cpu" else torch.cuda.get_device_name()
    return [
        f"Searches without gradients, float32, one thread, median of {rounds} rounds (CMA-ES of fewer).",
        f"{platform.machine()}, {named}; torch {torch.__version__}, {versions()}, Python {platform.python_version()};",
        f"load {load:.1f} on {os.cpu_count()} CPUs at the start",
        "",
        *tables,
        *(["Could not run:", *benchmark.skipped, ""] if benchmark.skipped else []),
        "How many times as fast as the fastest peer, and the bars they are held to:",
        *benchmark.bars,
    ]


def main() -> None:
    parser = arguments_of(__doc__, ROUNDS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="smaller problems, which say nothing of the bars")
    parser.add_argument(
        "--only", nargs="+", default=(), help="parts (large, small, runs, networks, memory), contests (PSO)"
    )
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device cuda needs a GPU, and torch {torch.__version__} sees none")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)  # peers draw from it
    warnings.filterwarnings("ignore", module="evox|evotorch|cma")
    with threadpool_limits(1):  # NumPy's too, which pycma computes with
        publish(report(arguments.rounds, arguments.device, arguments.quick, arguments.only), arguments.out)


if __name__ == "__main__":
    main()
