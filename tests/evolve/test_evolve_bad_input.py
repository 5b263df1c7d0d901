"""Bad input to `evolve`: all of it is refused, or survived, with words that name it; nothing of it is run or lost."""

import errno
import json
import math
import shutil
import sqlite3
from contextlib import suppress

import pytest
import torch
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.evolve import outcome, store
from thalweg.evolve.archive import Archive
from thalweg.evolve.settings import Budget
from thalweg.rules import Rule
from thalweg.tasks import ACCURACY, Task

TINY = {
    "budget": "16c", "population": 8, "batch": 8, "tournament": 2, "contenders": 1, "finalists": 1, "choices": 1,
    "tests": 10, "controls": False, "race": False, "workers": 1, "away": "none",
}  # fmt: skip
GOOD = Rule("descent", "w = w - 0.1*g")  # what the search begins with where something is to be found


def own_task(**changes) -> Task:
    """Points on both sides of a line, and the one layer that finds it."""
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    settings = {
        "model": lambda: torch.nn.Linear(3, 2), "loss": cross_entropy, "train": (x, (x[:, 0] > 0).long()),
        "metric": ACCURACY, "name": "mine", "epochs": 2,
    }  # fmt: skip
    return Task(**{**settings, **changes})


def evolved(folder, tasks=None, **changes):
    return thalweg.evolve(own_task() if tasks is None else tasks, **{**TINY, "store": folder / "store", **changes})


def refused(folder, tasks=None, **changes) -> str:
    """What is said where nothing was begun."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the caller looks at what it says
        evolved(folder, tasks, **changes)
    assert not (folder / "store").exists()
    return str(refusal.value)


# Arguments

BAD = {
    "unknown task": ({"tasks": "irs"}, "there is no task 'irs': did you mean iris?"),
    "no task": ({"tasks": []}, "tasks must be at least one, of names of their own, got none"),
    "a number for a task": ({"tasks": 7}, "tasks must be names or Tasks, got 7"),
    "a task twice": ({"tasks": "iris,iris"}, "got iris, iris"),
    "unknown preset": ({"preset": "laptp"}, "preset must be one of laptop, gpu, paper, got 'laptp'"),
    "unknown setting": ({"populaton": 8}, "there is no setting 'populaton'; there are representation"),
    "unknown search": ({"search": "luck"}, "search must be one of ageing, generational, random, got 'luck'"),
    "words for a number": ({"population": "many"}, "population must be a whole number of at least 2, got 'many'"),
    "unknown seed rule": ({"seed_rules": "gravty"}, "no rule is named 'gravty'; did you mean gravity"),
    "a number for a rule": ({"seed_rules": 7}, "seed_rules must be names or Rules, got 7"),
    "constants of nothing": ({"representation": "constants"}, "representation constants needs seed_rules"),
    "budget without a unit": ({"budget": "10"}, "budget must be a time such as 90s, 10m or 2h, or candidates"),
    "budget of nothing": ({"budget": "0c"}, "got '0c'"),
    "budget below nothing": ({"budget": "-5m"}, "got '-5m'"),
    "budget of days": ({"budget": "2d"}, "got '2d'"),
    "a number for a budget": ({"budget": 600}, "got 600"),
    "negative seed": ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    "too few tests": ({"tests": 9}, "tests must be a whole number of at least 10, got 9"),
    "no finalists": ({"finalists": 0}, "finalists must be a whole number of at least 1, got 0"),
    "no workers": ({"workers": 0}, "workers must be a whole number of at least 1, got 0"),
    "words for workers": ({"workers": "two"}, "workers must be a whole number of at least 1, got 'two'"),
    "epochs without end": ({"epochs": float("inf")}, "epochs must be a number above 0, got inf"),
    "words for epochs": ({"epochs": "3"}, "epochs must be a number above 0, got '3'"),
    "unknown task away": ({"away": "wien"}, "there is no task 'wien': did you mean wine?"),
    "unknown device": ({"device": "toaster"}, "device must be like cpu, cuda or cuda:1, got 'toaster'"),
    "no engine": ({"engine": "here"}, "engine must be the address of a Dask scheduler"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_an_argument_that_cannot_be_is_named_with_its_value_before_anything_is_written(what, tmp_path):
    changes, says = BAD[what]
    with pytest.raises((ValueError, thalweg.race.EngineError)) as refusal:
        evolved(tmp_path, **changes)
    assert says in str(refusal.value)
    assert not (tmp_path / "store").exists()


def test_a_budget_that_would_never_be_spent_is_none():
    with pytest.raises(ValueError, match="budget must name candidates, seconds or examples, got none"):
        Budget()
    with pytest.raises(ValueError, match="seconds of a budget must be a number of at least 0, got nan"):
        Budget(seconds=float("nan"))
    assert Budget(examples=0).share(0, 0.0, 0) == 1.0


# Stores


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    evolved(folder, seed_rules=GOOD)
    return folder / "store"


@pytest.fixture
def folder(tmp_path, finished):
    """A folder whose `store` holds a finished evolution."""
    shutil.copytree(finished, tmp_path / "store")
    return tmp_path


def contents(folder):
    """All files but the clock, which runs wherever a search is begun."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "clock.json")
    return {path.name: path.read_bytes() for path in files}


def refused_as_it_is(folder, tasks=None, **changes) -> str:
    """What is said of a store that is left as it is."""
    before = contents(folder)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the caller looks at what it says
        evolved(folder, tasks, **{"seed_rules": GOOD, **changes})
    assert contents(folder) == before
    return str(refusal.value)


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "store").write_text("letters")
    assert "store must be a folder, but" in refused_as_it_is(tmp_path)


def test_a_store_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    said = refused(tmp_path, store=tmp_path / "file" / "store")
    assert "store must be a folder, but" in said


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "letter.txt").write_text("Dear reader")
    assert "holds others' files" in refused_as_it_is(tmp_path)


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"seed": 1}, "(seed is 0, not 1)"),
        ({"population": 9, "quantile": 0.5}, "(population is 8, not 9; quantile is 0.3, not 0.5)"),
        ({"epochs": 3}, "(epochs is null, not 3)"),
        ({"seed_rules": ()}, "(seed_rules is [{"),
        ({"seed_rules": Rule("ascent", "w = w + 0.1*g")}, 'seed_rules name is "descent", not "ascent"'),
        ({"tasks": own_task(name="theirs")}, 'tasks is "mine", not "theirs"'),
        ({"tasks": own_task(model=lambda: torch.nn.Linear(3, 2, bias=False))}, 'holds another evolution (tasks is "'),
    ],
)
def test_the_store_of_another_evolution_is_refused_and_says_what_differs(changes, differs, folder):
    said = refused_as_it_is(folder, **changes)
    assert "holds another evolution" in said
    assert differs in said
    assert "give another folder, or ask for the same" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "evolution.json cannot be read"), ("[]", "evolution.json is no file of an evolution"),
     ("[" * 100_000, "evolution.json cannot be read"), ("{}", "holds another evolution (device is null")],
)  # fmt: skip
def test_a_broken_evolution_file_is_refused(content, says, folder):
    (folder / "store" / "evolution.json").write_text(content)
    assert says in refused_as_it_is(folder)


@pytest.mark.parametrize("content", ["{", '{"seconds": "long"}', '{"seconds": -1}'])
def test_a_broken_clock_is_refused(content, folder):
    (folder / "store" / "clock.json").write_text(content)
    assert "clock.json" in refused_as_it_is(folder)


def test_a_truncated_archive_is_refused(folder):
    archive = folder / "store" / "archive.sqlite"
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    said = refused_as_it_is(folder)
    assert "archive.sqlite is damaged or no archive (database disk image is malformed)" in said


def test_an_archive_that_is_no_database_is_refused(folder):
    (folder / "store" / "archive.sqlite").write_text("letters" * 1000)
    assert "archive.sqlite is damaged or no archive (file is not a database)" in refused_as_it_is(folder)


def told_to(folder, *told):
    """Changes the archive behind its back."""
    with sqlite3.connect(folder / "store" / "archive.sqlite") as connection:
        connection.execute(*told)
    connection.close()


def test_the_database_of_another_program_is_refused(folder):
    (folder / "store" / "archive.sqlite").unlink()
    told_to(folder, "CREATE TABLE letters (text)")
    assert "is a database of another program" in refused_as_it_is(folder)


def test_an_archive_with_code_of_its_own_is_refused(folder):
    told_to(folder, "CREATE TRIGGER mine AFTER INSERT ON scores BEGIN DELETE FROM candidates; END")
    assert "its tables are not those of an archive" in refused_as_it_is(folder)


@pytest.mark.parametrize("checkpoint", ["{", "{}", "[]", "[" * 100_000, "pickle"])
def test_a_checkpoint_that_is_none_is_refused(checkpoint, folder):
    told_to(folder, "UPDATE checkpoint SET text = ?", (checkpoint,))
    assert "archive.sqlite is damaged: its checkpoint is that of no search" in refused_as_it_is(folder)


def test_a_checkpoint_about_candidates_that_are_not_there_is_refused(folder):
    with Archive(folder / "store" / "archive.sqlite") as archive:
        checkpoint = json.loads(archive.checkpoint)
    checkpoint["islands"][0][0][0] = 99_999
    told_to(folder, "UPDATE checkpoint SET text = ?", (json.dumps(checkpoint),))
    assert "its checkpoint is that of no search (KeyError: 99999)" in refused_as_it_is(folder)


def test_a_candidate_that_is_no_rule_is_refused_and_not_run(folder):
    marker = folder / "marker"
    definition = json.dumps({"name": "x", "text": f"w = __import__('os').system('touch {marker}')"})
    told_to(folder, "UPDATE candidates SET definition = ?", (definition,))
    assert "holds no rule" in refused_as_it_is(folder)
    assert not marker.exists()


# Grammars


def grammar(folder, text) -> dict[str, str]:
    (folder / "own.bnf").write_text(text)
    return {"representation": "grammar", "grammar": str(folder / "own.bnf")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<start> ::= <a>\n<a> ::= x<a> | <b>\n<b> ::= <a>\n", "line 1: <start> never ends"),
        ("<start> ::= " + "g|" * 5_000_000 + "g\n", "10000014 bytes; a grammar has at most 1000000: shorten it"),
        ("<start> ::= " + "g|" * 60_000 + "g\n", "line 1: 120013 letters; a line has at most 100000: break it up"),
        ("<start> ::= <a>\n", "line 1: <a> is not defined"),
        ("", "it has no rules"),
        ("\0" * 64, "it holds a zero byte"),
        ("<start> ::= <a><a><a><a>\n<a> ::= <b><b><b><b>\n<b> ::= <c><c><c><c>\n<c> ::= <d><d><d><d>\n<d> ::= g\n",
         "the grammar cannot say anything; got 17 and 250"),
    ],
    ids=["endless", "ten megabytes", "long line", "undefined", "empty", "binary", "no short sentence"],
)  # fmt: skip
def test_a_broken_grammar_is_refused_with_its_place(text, says, tmp_path):
    assert says in refused(tmp_path, **grammar(tmp_path, text))


def test_a_grammar_that_is_not_there_and_one_that_is_a_folder_are_refused(tmp_path):
    assert "grammar 'papr': there is no such file; give 'paper' or 'rich'" in refused(
        tmp_path, representation="grammar", grammar="papr"
    )
    assert "that is a folder" in refused(tmp_path, representation="grammar", grammar=str(tmp_path))


def nothing_learns(folder, tasks=None, **changes) -> str:
    """What is said at the end of a search that found nothing, all of which is in the archive."""
    with pytest.raises(ValueError, match=r"nothing that was bred learns mine in full training \(16 bred") as end:
        evolved(folder, tasks, **changes)
    with Archive(folder / "store" / "archive.sqlite") as archive:
        assert archive.counters()["generated"] == 16
    return str(end.value)


def test_sentences_that_call_are_refused_and_not_run(tmp_path):
    marker = tmp_path / "marker"
    call = f"__import__('os').system('touch {marker}')"
    text = f"<start> ::= {call} | alpha = {call}; w = w - alpha | import os; os.system('touch {marker}')\n"
    said = nothing_learns(tmp_path, **grammar(tmp_path, text))
    assert "16 refused, 0 tried; most often refused:" in said
    assert not marker.exists()


@pytest.mark.parametrize("controls", [False, True])
def test_a_grammar_none_of_whose_sentences_is_a_rule_ends_and_says_why(controls, tmp_path):
    text = "<start> ::= <word> <word>\n<word> ::= hello | world\n"
    said = nothing_learns(tmp_path, controls=controls, **grammar(tmp_path, text))
    assert "most often refused: no equations" in said


@pytest.mark.slow
def test_controls_end_where_everything_that_a_grammar_can_say_was_tried(tmp_path):
    text = "<start> ::= w = w - <lr>*g\n<lr> ::= 0.1 | 0.01 | 0.5\n"
    found = evolved(tmp_path, controls=True, seeds=2, budget="64c", **grammar(tmp_path, text))
    assert found.page.controls


@pytest.mark.parametrize(
    "sentence",
    ["w = w - " + "abs(" * 5000 + "g" + ")" * 5000, "w = " + "-" * 20_000 + "g", "w = " + "(" * 500 + "g" + ")" * 500],
    ids=["calls", "signs", "brackets"],
)  # fmt: skip
def test_sentences_nested_so_deep_that_reading_them_would_fail_are_refused(sentence, tmp_path):
    assert "16 refused, 0 tried" in nothing_learns(tmp_path, **grammar(tmp_path, f"<start> ::= {sentence}\n"))


def test_a_candidate_whose_expression_would_double_forty_times_takes_no_longer_than_its_lines(tmp_path):
    lines = [f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 40)]
    rule = Rule("doubling", "\n".join(["a0 = g", *lines, "w = w - 0.1*a39"]))
    evolved(tmp_path, seed_rules=[rule, GOOD], budget="8c")
    with Archive(tmp_path / "store" / "archive.sqlite") as archive:
        assert archive.entry(1).operation == "seed"
        assert archive.entry(1).scores


def test_candidates_that_overflow_change_nothing_of_the_others(tmp_path):
    hostile = [
        Rule("large", "w = w + 1e38*g*1e38"),
        Rule("divided", "w = w - 0.1*g/(g-g)"),
        Rule("power", "w = w - exp(exp(exp(1e30*g)))*g"),
    ]
    found = evolved(tmp_path, seed_rules=[*hostile, GOOD], population=4, batch=4, elites=2)
    assert found.score.mean > 0.5
    with Archive(tmp_path / "store" / "archive.sqlite") as archive:
        scores = {entry.rule.name: [s.value for s in entry.scores] for entry in archive.entries()}
        assert all(score <= 1.0 for own in scores.values() for score in own)


# Tasks

HEAD = """
import torch
from torch.nn.functional import cross_entropy
from thalweg import Task

x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()

class Fails(torch.nn.Linear):
    def forward(self, x):
        raise RuntimeError("I will not")

class FailsInTraining(torch.nn.Linear):
    def forward(self, x):
        if self.training:
            raise RuntimeError("I will not train")
        return super().forward(x)

def frozen():
    return torch.nn.Linear(3, 2).requires_grad_(False)

def accuracy(outputs, targets):
    return (outputs.argmax(1) == targets).double().mean()

def fails(outputs, targets):
    raise RuntimeError("not today")

def fails_on_many(outputs, targets):
    return accuracy(outputs, targets) if len(outputs) < 3 else fails(outputs, targets)

def made(model=lambda: torch.nn.Linear(3, 2), loss=cross_entropy, metric=accuracy):
    return lambda: Task(model, loss, (x, y), name="own", epochs=2, metric=metric)
"""
TASKS = {
    "raises on import": ("raise RuntimeError('the file server is down')", "the file server is down"),
    "ends the process": ("raise SystemExit(3)", "could not be run: SystemExit: 3"),
    "no Python": ("def task(:", "SyntaxError"),
    "no such function": ("def tsk(): pass", "has no function 'task'; it has"),
    "no Task": ("def task(): return 42", "must return a thalweg.Task, got int"),
    "network raises": ("task = made(lambda: Fails(3, 2))", "failed: RuntimeError: I will not"),
    "network raises in training": (
        "task = made(lambda: FailsInTraining(3, 2))", "task own: training its network failed: RuntimeError: I will not",
    ),
    "network without weights": ("task = made(torch.nn.Identity)", "task own"),
    "frozen network": ("task = made(frozen)", "task own: its network has no weights that could be trained"),
    "loss raises": ("task = made(loss=fails)", "task own: the loss failed: RuntimeError: not today"),
    "loss is NaN": (
        "task = made(loss=lambda o, t: cross_entropy(o, t)*float('nan'))",
        "task own: the loss of its untrained network is nan",
    ),
    "loss without gradient": (
        "task = made(loss=lambda o, t: 1 - accuracy(o, t).float())", "task own: its loss has no gradient",
    ),
    "metric raises": ("task = made(metric=fails)", "task own: the metric failed: RuntimeError: not today"),
    "metric raises on a part": (
        "task = made(metric=fails_on_many)", "task own: the metric, on a whole part, failed: RuntimeError: not today",
    ),
    "metric is NaN": (
        "task = made(metric=lambda o, t: torch.tensor(float('nan')))",
        "task own: the metric of its untrained network is nan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TASKS)
def test_a_task_that_cannot_be_trained_is_refused_before_anything_is_written(what, tmp_path):
    text, says = TASKS[what]
    (tmp_path / "own.py").write_text(HEAD + text)
    assert says in refused(tmp_path, f"{tmp_path / 'own.py'}:task")


class Either(torch.nn.Module):
    """A network that looks at its inputs to choose a layer: none of its kind can be stacked."""

    def __init__(self):
        super().__init__()
        self.one, self.other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.one(x) if float(x.sum()) > 0 else self.other(x)


@pytest.mark.slow
def test_networks_that_cannot_be_stacked_are_trained_one_after_another(tmp_path):
    assert evolved(tmp_path, own_task(model=Either), seed_rules=GOOD).score.n == 10


class Breaks(torch.nn.Linear):
    """A network that answers as long as nobody has trained it far."""

    def forward(self, x):
        if self.weight.abs().max() > 0.62:
            raise RuntimeError("too large")
        return super().forward(x)


@pytest.mark.slow
def test_a_network_that_raises_at_what_a_candidate_makes_of_it_fails_that_candidate_alone(tmp_path):
    rules = [Rule("gentle", "w = w - 0.001*g"), Rule("rough", "w = w - 3*g")]
    with suppress(ValueError):  # whether anything learns is not what is asked
        evolved(
            tmp_path, own_task(model=lambda: Breaks(3, 2)), seed_rules=rules, proxy=False, quantile=0.0, budget="8c"
        )
    with Archive(tmp_path / "store" / "archive.sqlite") as archive:
        gentle, rough = ([score.value for score in archive.entry(number).scores] for number in (1, 2))
    assert gentle
    assert all(math.isfinite(score) for score in gentle)
    assert rough == [-math.inf]


# The disk


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def archived(folder) -> str:
    with Archive(folder / "store" / "archive.sqlite") as archive:
        return archive.dump()


def test_a_disk_that_fills_up_under_the_archive_loses_nothing(tmp_path, finished, monkeypatch):
    commits = []

    def last(archive, checkpoint, commit=Archive.commit):
        if commits:
            archive.close()  # as it does where SQLite finds no space
            full()
        commits.append(checkpoint)
        commit(archive, checkpoint)

    with monkeypatch.context() as changed:
        changed.setattr(Archive, "commit", last)
        with pytest.raises(OSError, match="No space left on device"):
            evolved(tmp_path, seed_rules=GOOD)
    assert archived(tmp_path).count('["candidates"') >= 8
    evolved(tmp_path, seed_rules=GOOD)
    assert archived(tmp_path) == archived(finished.parent)
    assert (tmp_path / "store" / "report.html").read_bytes() == (finished / "report.html").read_bytes()


@pytest.mark.parametrize("place", [(store, "write_atomically"), (outcome.pages, "write_report")])
def test_a_disk_that_is_full_at_a_file_loses_nothing(place, tmp_path, finished, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(*place, full)
        with pytest.raises(OSError, match="No space left on device"):
            evolved(tmp_path, seed_rules=GOOD)
    evolved(tmp_path, seed_rules=GOOD)
    assert archived(tmp_path) == archived(finished.parent)


def test_a_store_that_cannot_be_made_is_said(tmp_path):
    with pytest.raises((OSError, ValueError), match="/proc/nowhere"):
        evolved(tmp_path, store="/proc/nowhere/store")
