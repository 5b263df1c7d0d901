"""`thalweg tune`: search hyperparameters with an equal budget for every method, and print what was chosen."""

from typing import TYPE_CHECKING

from rich.table import Table

from thalweg.cli import options, running
from thalweg.cli.console import output, refuse
from thalweg.names import shown

if TYPE_CHECKING:
    from thalweg.race import RaceResult


def command(
    tasks: options.Tasks = None,
    methods: options.Methods = None,
    task: options.Task = None,
    optimizer: options.Optimizer = None,
    space: options.Space = None,
    draws: options.Draws = 9,
    studies: options.Studies = 3,
    sampler: options.Sampler = "qmc",
    epochs: options.Epochs = None,
    store: options.StoreFolder = None,
    workers: options.Workers = None,
    engine: options.Engine = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    seed: options.Seed = 0,
) -> None:
    """Tune methods on tasks: the test parts are never read. What it finds, a race with the same options finds again."""
    options.check_counts(
        ("--draws", draws, 1), ("--studies", studies, 1), ("--epochs", epochs, 1), ("--workers", workers, 1),
        ("--seed", seed, 0),
    )  # fmt: skip
    if not tasks and not task:
        refuse("--tasks", "", "must name at least one (or --task one of your own); see `thalweg tasks`")
    from thalweg.race import available_cpus
    from thalweg.race.store import writable

    if store is not None and (why := writable(store)):
        refuse("--store", store, why)
    workers = workers or available_cpus()
    chosen = options.presets()["bundled"]
    if optimizer and not methods:
        chosen = options.Preset((), (), chosen.seeds, chosen.draws, chosen.studies)
    entrants = options.entered(chosen, tasks, methods, task, optimizer, space, epochs, data_dir)
    protocol = options.protocol_of(
        entrants, None, seeds=0, draws=draws or 1, studies=studies or 1, sampler=sampler, master=seed, device=device
    )
    running.announce(entrants, protocol, workers)
    result = running.race(entrants, protocol, store, engine, workers)
    output.print(_table(result))
    output.print(f"Records: {result.store}", highlight=False, soft_wrap=True)


def _table(result: "RaceResult") -> Table:
    """What each study chose, how well it did on validation data, and how the published default did."""
    table = Table(box=None, title="Chosen on validation data", title_justify="left", pad_edge=False)
    for column in ("task", "method", "study", "chosen", "score", "default"):
        table.add_column(column, no_wrap=column != "chosen")
    dimensions = {method.name: method.space for method in result.methods}
    for (task, method), studies in result.studies.items():
        for study in studies:
            best = study.chosen
            names = dict.fromkeys(dimension.name for dimension in dimensions[method])
            settings = ", ".join(f"{name}={_value(best.hyperparameters[name])}" for name in names)
            edges = [w for d in dimensions[method] if (w := d.edge_warning(best.hyperparameters))]
            table.add_row(
                shown(task), shown(method), str(study.index + 1), "\n".join([settings, *edges]),
                f"{best.score:.4f}", f"{study.draws[0].score:.4f}",
            )  # fmt: skip
    return table


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
