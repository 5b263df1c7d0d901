"""How long one optimizer step takes against torch.optim and pytorch_optimizer, in one run, on a CPU or a GPU.

    python benchmarks/optimizer_step.py --out benchmarks/optimizer_step.txt
    python benchmarks/optimizer_step.py --device cuda

All contenders take their turns round by round, so that a machine that slows down slows all of them; each has parameters
of its own. Printed are the medians over the turns of a step's time, and the bars that the project sets itself. On a CPU
everything runs in one thread; the memory passes of the list operations, which bound a step on a GPU, are counted there
too. `--compiled` adds the steps that torch.compile makes for a CPU, and the seconds that compiling takes.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping

import torch
from fresh_process import in_fresh_process
from lists import GPU_LISTS, LISTS, SHORT, Parameters, Shapes, parameters, weights
from memory_passes import Passes, passes
from timing import Bar, Step, Times, arguments_of, processor, publish, times_in_turns, verdict

from thalweg.optim import ADES, SGD, AdamW, Gravity

ROUNDS = 25
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Contender = Callable[[Parameters], Step]


# Who steps it


def steps_of(optimizer: Callable[..., torch.optim.Optimizer], *arguments: object, **options: object) -> Contender:
    return lambda p: optimizer(p, *arguments, **options).step


def compiled(p: Parameters) -> Step:
    """Our compiled AdamW. Raises RuntimeError where it would step otherwise."""
    optimizer = AdamW(p)
    optimizer.compile()
    otherwise = next((plan for plan in optimizer.plan() if plan.backend != "compiled"), None)
    if otherwise is not None:
        raise RuntimeError(otherwise.reason)
    return optimizer.step


def compiled_by_torch(p: Parameters) -> Step:
    """torch's AdamW compiled as its tutorial shows, with a tensor as lr, without which each lr is a new program."""
    optimizer = torch.optim.AdamW(p, lr=torch.tensor(1e-3))
    return torch.compile(lambda: optimizer.step(), fullgraph=False)


def peer_gravity(p: Parameters) -> Step:
    from pytorch_optimizer import Gravity as PeerGravity

    return PeerGravity(p, lr=0.1).step


def momentum(**options: object) -> Contender:
    return steps_of(torch.optim.SGD, 0.01, momentum=0.9, **options)


CONTENDERS: dict[str, Contender] = {
    "thalweg AdamW": steps_of(AdamW),
    "thalweg AdamW, foreach": steps_of(AdamW, backend="foreach"),
    "thalweg AdamW, plain": steps_of(AdamW, backend="plain"),
    "torch AdamW, for-loop": steps_of(torch.optim.AdamW, foreach=False),
    "torch AdamW, foreach": steps_of(torch.optim.AdamW, foreach=True),
    "torch AdamW, fused": steps_of(torch.optim.AdamW, fused=True),
    "torch SGD momentum, for-loop": momentum(foreach=False),
    "torch SGD momentum, foreach": momentum(foreach=True),
    "torch SGD momentum, fused": momentum(fused=True),
    "thalweg ADES": steps_of(ADES),
    "thalweg ADES, foreach": steps_of(ADES, backend="foreach"),
    "thalweg ADES, plain": steps_of(ADES, backend="plain"),
    "thalweg Gravity": steps_of(Gravity),
    "thalweg Gravity, foreach": steps_of(Gravity, backend="foreach"),
    "thalweg Gravity, plain": steps_of(Gravity, backend="plain"),
    "pytorch_optimizer Gravity": peer_gravity,
}
COMPILED_CONTENDERS: dict[str, Contender] = {
    "thalweg AdamW, compiled": compiled,
    "torch AdamW, compiled": compiled_by_torch,
    **{name: CONTENDERS[name] for name in ("thalweg AdamW", "thalweg AdamW, foreach", "torch AdamW, fused")},
}
GPU_CONTENDERS: dict[str, Contender] = {
    "thalweg AdamW": CONTENDERS["thalweg AdamW"],
    "thalweg AdamW, compiled": compiled,
    "torch AdamW, for-loop": CONTENDERS["torch AdamW, for-loop"],
    "torch AdamW, foreach": CONTENDERS["torch AdamW, foreach"],
    "torch AdamW, fused": CONTENDERS["torch AdamW, fused"],
    "torch AdamW, compiled": compiled_by_torch,
    "torch SGD momentum, foreach": CONTENDERS["torch SGD momentum, foreach"],
    "thalweg ADES": CONTENDERS["thalweg ADES"],
    "thalweg Gravity": CONTENDERS["thalweg Gravity"],
    "pytorch_optimizer Gravity": peer_gravity,
}
# Whose memory passes are counted; every group begins with the one that the rest is compared with.
COUNTED: tuple[dict[str, Contender], ...] = (
    {name: CONTENDERS[name] for name in ("torch AdamW, foreach", "thalweg AdamW, foreach")},
    {
        "torch SGD momentum, foreach": CONTENDERS["torch SGD momentum, foreach"],
        "thalweg SGD momentum, foreach": steps_of(SGD, 0.01, momentum=0.9, backend="foreach"),
        "thalweg ADES, foreach": CONTENDERS["thalweg ADES, foreach"],
        "thalweg Gravity, foreach": CONTENDERS["thalweg Gravity, foreach"],
        "pytorch_optimizer Gravity": peer_gravity,
    },
)

BIG = ("ResNet-18", "MLP of 12 M")
BARS = (
    Bar("thalweg AdamW", "torch AdamW, fused", BIG, 1.1),
    Bar("thalweg AdamW", "torch AdamW, for-loop", BIG, 1 / 5),
    Bar("thalweg AdamW", "torch AdamW, for-loop", ("500 of 256",), 1 / 10),
    Bar("thalweg AdamW", "torch AdamW, fused", ("500 of 256",), 1.0),
    Bar("thalweg ADES", "torch SGD momentum, fused", BIG, 1.1),
    Bar("thalweg Gravity", "torch SGD momentum, fused", BIG, 1.7),
    Bar("thalweg Gravity", "pytorch_optimizer Gravity", ("MLP of 12 M",), 1 / 15),
)
GPU_BARS = (
    Bar("thalweg AdamW", "torch AdamW, foreach", tuple(GPU_LISTS), 1.3),
    Bar("thalweg AdamW, compiled", "torch AdamW, fused", tuple(GPU_LISTS), 1.2),
)
PASSES_BAR = Bar("thalweg AdamW, foreach", "torch AdamW, foreach", (), 1.3)  # bounds the first of the two on a GPU
# One list of temporaries, and some room for what an allocator rounds up and keeps.
NATIVE_MEMORY, LIST_MEMORY = 0.02, 1.05


# What is reported


def report(rounds: int, device: str, dtype: torch.dtype, with_compiled: bool) -> list[str]:
    if device == "cuda" and torch.cuda.is_available():
        return [*on_a_gpu(rounds, dtype), "", *memory_passes()]
    lines = [*on_a_cpu(rounds), "", *memory_passes(), ""]
    if with_compiled:
        lines += [*compiled_on_a_cpu(rounds), ""]
    return lines + not_run(device, dtype, with_compiled)


def on_a_cpu(rounds: int) -> list[str]:
    lines = [
        f"One optimizer step on a CPU, one thread, median of {rounds} rounds, milliseconds.",
        f"{platform.machine()}, {processor()}; {versions()}",
        "",
        f"{'':30}" + "".join(f"{name:>14}" for name in LISTS),
    ]
    times, skipped = {}, {}
    for name, shapes in LISTS.items():
        steps, skipped = made(CONTENDERS, shapes)
        times[name] = times_in_turns(steps, rounds)
    present = [name for name in CONTENDERS if name not in skipped]
    lines += [f"{name:30}" + "".join(f"{each[name].step:14.2f}" for each in times.values()) for name in present]
    lines += [*reasons(skipped), "", *verdicts(BARS, times)]
    starts = [in_fresh_process("first_steps") for _ in range(5)]
    first = {name: statistics.median(start[name] for start in starts) for name in starts[0]}
    lines += ["", "Seconds of a first step, compiling included, median of 5 fresh processes:"]
    lines.append(verdict("the first rule of a process", first["first"], 3.0))
    lines.append(verdict("the next rule", first["next"], 1.0))
    lines += ["", "Extra peak memory of a step of the MLP, as a share of its parameters:"]
    for name, share in in_fresh_process("extra_memory").items():
        lines.append(verdict(name, share, LIST_MEMORY if name.endswith("foreach") else NATIVE_MEMORY))
    return lines


def on_a_gpu(rounds: int, dtype: torch.dtype) -> list[str]:
    gpu = torch.cuda.get_device_properties(0)
    lines = [
        f"One optimizer step on a GPU, {named(dtype)} parameters, median of {rounds} rounds.",
        f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB; {versions()}, CUDA {torch.version.cuda}",
        "step: milliseconds. host: after how many of them the call has returned. memory: how much the peak rises in a",
        "step, as a share of the parameters. first: seconds of the first three steps, compiling included.",
    ]
    if dtype != torch.float32:
        lines.append("Our states are float32; torch's are of the parameters' dtype, which is less to read and write.")
    times: dict[str, dict[str, Times]] = {}
    memory: dict[str, float] = {}
    for name, shapes in GPU_LISTS.items():
        lines += ["", f"{described(name):60}{'step':>10}{'host':>10}{'memory':>10}{'first':>10}"]
        # Weight, gradient and two states of every contender, float32 at most.
        needed, free = len(GPU_CONTENDERS) * 16 * weights(shapes), torch.cuda.mem_get_info()[0]
        if needed > free:
            lines.append(f"  skipped: all contenders take {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free")
            continue
        steps, skipped = made(GPU_CONTENDERS, shapes, "cuda", dtype)
        warm_compiler("cuda")
        times[name] = times_in_turns(steps, rounds, torch.cuda.synchronize)
        for who, t in times[name].items():
            share = memory[f"{who}, {name}"] = extra_gpu_memory(steps[who]) / (weights(shapes) * dtype.itemsize)
            lines.append(f"  {who:58}{t.step:10.3f}{t.host:10.3f}{share:10.2f}{t.first:10.1f}")
        lines += reasons(skipped)
        del steps
        torch._dynamo.reset()  # the next list's programs are no recompilations of these
    lines += ["", *verdicts(GPU_BARS, times), "", "Extra peak memory of a step, as a share of the parameters:"]
    return lines + [verdict(who, share, LIST_MEMORY) for who, share in memory.items() if who.startswith("thalweg")]


def memory_passes() -> list[str]:
    size = 4 * weights(GPU_LISTS["ResNet-50"])
    lines = [
        "Memory passes of a step (reads + writes of parameter-sized tensors), counted on the list of ResNet-50:",
        f"  {'':38}{'reads':>8}{'writes':>8}{'both':>8}{'ratio':>8}{'operations':>12}",
    ]
    counted: dict[str, Passes] = {}
    for group in COUNTED:
        steps, skipped = made(group, GPU_LISTS["ResNet-50"])
        for name, step in steps.items():
            p = counted[name] = passes(step, size)
            ratio = p.both / counted[next(iter(group))].both
            lines.append(f"  {name:38}{p.reads:8.1f}{p.writes:8.1f}{p.both:8.1f}{ratio:8.2f}{p.operations:12}")
        lines += reasons(skipped)
    ratio = counted[PASSES_BAR.of].both / counted[PASSES_BAR.against].both
    return [*lines, verdict(PASSES_BAR, ratio, PASSES_BAR.most)]


def compiled_on_a_cpu(rounds: int) -> list[str]:
    steps, skipped = made(COMPILED_CONTENDERS, SHORT)
    lines = [f"Compiled steps on a CPU, a perceptron of {len(SHORT)} parameters, {weights(SHORT):,} weights:"]
    if skipped:
        return [*lines, *reasons(skipped)]
    warm_compiler("cpu")
    lines.append(f"  {'':38}{'seconds of the first three steps':>34}{'milliseconds of a step':>26}")
    for name, t in times_in_turns(steps, rounds).items():
        lines.append(f"  {name:38}{t.first:34.2f}{t.step:26.3f}")
    return lines


def not_run(device: str, dtype: torch.dtype, with_compiled: bool) -> list[str]:
    """What this run left out: in a line, or where a GPU was asked for, one by one and with the reason."""
    lines = (
        [] if with_compiled else ["Compiled steps on a CPU were not run, as compiling takes a while: add --compiled."]
    )
    if device == "cpu":
        wanted = " and ".join(GPU_LISTS)
        return [*lines, f"Steps of {wanted} on a GPU were not run: add --device cuda on a machine that has one."]
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    lines += [
        "Skipped of --device cuda, because torch.cuda.is_available() is False",
        f"(torch {torch.__version__} is built {built}):",
    ]
    lines += [f"  step times and extra peak memory on {described(name)}, {named(dtype)}" for name in GPU_LISTS]
    everybody = f"of {'; '.join(GPU_CONTENDERS)}"
    lines += textwrap.wrap(everybody, 112, initial_indent="    ", subsequent_indent="    ")
    lines += [f"  the bar {bar}, at most {bar.most}, on {' and '.join(bar.lists)}" for bar in GPU_BARS]
    return [*lines, "What is above ran on the CPU; the memory passes are the same on a GPU."]


def warm_compiler(device: str) -> None:
    """Has the compiler do beforehand what it does once in a process, which is no contender's."""
    torch.compile(torch.square)(torch.ones(10, device=device))


def extra_gpu_memory(step: Step) -> int:
    """Bytes by which the peak of allocated memory rises in a step."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def made(
    contenders: Mapping[str, Contender], shapes: Shapes, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[dict[str, Step], dict[str, str]]:
    """The contenders' steps, each on parameters of its own, and why some cannot be had here."""
    steps, skipped = {}, {}
    for name, contender in contenders.items():
        try:
            steps[name] = contender(parameters(shapes, device, dtype))
        except (ImportError, RuntimeError) as reason:
            skipped[name] = str(reason)
    return steps, skipped


def reasons(skipped: Mapping[str, str]) -> list[str]:
    return [f"  skipped: {name}: {reason}" for name, reason in skipped.items()]


def verdicts(bars: Iterable[Bar], times: Mapping[str, Mapping[str, Times]]) -> list[str]:
    lines = ["Ratios, and the bars they are held to:"]
    for bar in bars:
        for each in bar.lists:
            found = times.get(each, {})
            if bar.of in found and bar.against in found:
                lines.append(verdict(f"{bar}, {each}", found[bar.of].step / found[bar.against].step, bar.most))
            else:
                lines.append(f"  {f'{bar}, {each}':66} skipped")
    return lines


def described(name: str) -> str:
    shapes = GPU_LISTS[name]
    return f"{name}, {len(shapes)} parameters, {weights(shapes) / 1e6:.1f} million weights"


def named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def versions() -> str:
    return f"torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    parser = arguments_of(__doc__, ROUNDS)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the parameters on a GPU")
    parser.add_argument("--compiled", action="store_true", help="compiled steps on a CPU too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.dtype != "float32" and arguments.device == "cpu":
        parser.error("--dtype is for --device cuda")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty  # what an earlier run compiled would hide what compiling takes
        lines = report(arguments.rounds, arguments.device, DTYPES[arguments.dtype], arguments.compiled)
    publish(lines, arguments.out)


if __name__ == "__main__":
    main()
