"""What the paper leaves to future work, measured: Gravity on a transformer, a recurrent network, a character model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib import resources
from pathlib import Path
from statistics import fmean

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race.report.table import SOFT, Cell, Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.fair_races import Effort, cells, figures, plain, rates_table
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.recall import recall, recall_transformer
from thalweg.reproduce.records import Records
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.sequences import characters

TABLE = "Future work"
METHODS = ("gravity", "gravity_ema_noise", "adam", "rmsprop", "heavy_ball")
BASELINE = "adam"
CHARACTERS = "characters"
LEARNT = 5.0  # points above an answer that does not look at the input, from where on scores say anything
TITLES = {
    "recall_transformer": "recall of a token, transformer",
    "recall": "recall of a token, GRU",
    "modular_addition": "modular addition, transformer",
    "modular_addition_gru": "modular addition, GRU",
    CHARACTERS: "characters, transformer",
}


@dataclass(frozen=True)
class Scale:
    """How much is run: epochs by task, and the batch of the character model, whose text is short."""

    epochs: Mapping[str, int]
    batch: int
    effort: Effort


RECALL = {"recall_transformer": recall_transformer, "recall": recall}  # which small networks learn in seconds
QUICK = Scale({"recall": 5, CHARACTERS: 2}, 16, Effort(8, 3, 1))
FULL = Scale(
    {"modular_addition": 120, "modular_addition_gru": 120, "recall_transformer": 20, "recall": 20, CHARACTERS: 20}, 16,
    Effort(10, 8, 2),
)  # fmt: skip


def text() -> str:
    """A text that is always there: the descriptions of data sets that come with scikit-learn, in the order of their
    names, 41,000 characters."""
    folder = resources.files("sklearn.datasets.descr")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".rst")), key=lambda file: file.name)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def task_of(name: str, epochs: int, batch: int, folder: Path) -> Task:
    """A task at so many epochs. The text is written into `folder`, where the character model reads it."""
    if name != CHARACTERS:
        return replace(RECALL[name]() if name in RECALL else find(name), epochs=epochs)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "descriptions.txt"
    write_atomically(file, text())
    return replace(characters(file), name=CHARACTERS, batch_size=batch, epochs=epochs)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """One race on all tasks, all methods tuned by one budget."""
    scale = scale or (QUICK if options.quick else FULL)
    result = raced(
        [task_of(name, epochs, scale.batch, options.store / "texts") for name, epochs in scale.epochs.items()],
        [plain(method) for method in METHODS], options, tell, "gravity_sequences", baseline=BASELINE,
        seeds=scale.effort.seeds, budget=scale.effort.draws, studies=scale.effort.studies,
    )  # fmt: skip
    measured = [cell for name in scale.epochs for cell in cells(result, TABLE, name)]
    found = {}
    for name, epochs in scale.epochs.items():
        losses = {method: [one.train_loss[-1] for one in result.records[name, method]] for method in METHODS}
        found[name] = {**figures(result, name), "train_loss": losses, "epochs": epochs}
    settings = {**asdict(scale), "text": sha256(text().encode()).hexdigest()}
    return Records("gravity", tuple(measured), {"sequences": found}, {"sequences": settings})


def learnt(records: Records) -> list[str]:
    """The tasks on which the mean test accuracy of some method is 5 points above the constant answer's: verdicts on
    others say nothing. Empty where the part was not run."""
    found = records.figures.get("sequences", {})
    return [task for task, of in found.items() if max(_means(records, task).values()) > of["constant"] + LEARNT]


def sequence_tables(records: Records) -> list[Table]:
    """Verdicts against Adam; then means beside the constant answer's accuracy, with training losses, which show who
    learns by heart where nobody generalises; and the learning rates."""
    found = records.figures.get("sequences", {})
    if not found:
        return []
    caption = "Sequences, tuned by one budget: test accuracy against Adam"
    return [
        verdict_table(records, TABLE, "accuracy", BASELINE, [name for name in METHODS if name != BASELINE], caption),
        _scores(records),
        rates_table(found, "sequence-rates", "Sequences: the learning rates, one a tuning"),
    ]


def _scores(records: Records) -> Table:
    rows = []
    for task, of in records.figures["sequences"].items():
        means, some = _means(records, task), task in learnt(records)
        cells_ = [
            Cell(f"{means[name]:.1f}, {fmean(of['train_loss'][name]):.3g}", means[name], mark="" if some else SOFT)
            for name in METHODS
        ]
        epochs = Cell(f"{of['epochs']}", of["epochs"])
        constant = Cell(f"{of['constant']:.1f}", of["constant"])
        rows.append([Cell(TITLES[task]), epochs, *cells_, constant, Cell("yes" if some else "no", mark=SOFT)])
    caption = (
        f"Sequences: mean test accuracy in per cent and mean last training loss; learnt is what comes {LEARNT:.0f} "
        "points above the constant answer"
    )
    heads = ["", "epochs", *map(shown, METHODS), "constant answer", "learnt by some"]
    return Table("sequences", caption, heads, rows)


def _means(records: Records, task: str) -> dict[str, float]:
    own = (one for one in records.measured if (one.table, one.row) == (TABLE, task))
    return {one.column: fmean(one.fair) for one in own}


PART = Part(
    "sequences",
    "Future work: sequences",
    (),
    "about 15 minutes on two cores, quick 2",
    (),
    run,
    quick_minutes=1.8,
)
