"""`thalweg methods`, `thalweg tasks` and `thalweg strategies`: what can be raced, and what can search."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from thalweg.cli import options
from thalweg.cli.console import end, output
from thalweg.names import shown

if TYPE_CHECKING:
    from thalweg.race.spaces import Dimension
    from thalweg.search.algorithm import Algorithm


def methods() -> None:
    """List the methods: their search spaces, and the plain forms that join a race with them."""
    from thalweg.race.method import method_named, names
    from thalweg.race.spaces import common_space

    common = common_space({"schedule": "constant"})
    for name in names():
        method = method_named(name)
        _print(f"{shown(name)}: {method.title}", style="bold")
        _print(f"    searched: {_extents(dimension for dimension in method.space if dimension not in common)}")
        if method.ablations:
            _print(f"    reduces to: {', '.join(map(shown, method.ablations))}")
    _print(f"\nEvery method searches {_extents(common)}.")
    _print("Your own: --optimizer my_package:MyOptimizer or my_file.py:MyOptimizer; see docs/race.md.")


def tasks(data_dir: options.DataDir = None) -> None:
    """List the tasks: which need data, and where these are looked for."""
    from thalweg.tasks import DataMissing
    from thalweg.tasks.catalogue import DATA_TASKS, TASKS, find

    table = Table(box=None, pad_edge=False)
    for column in ("task", "batch", "epochs", "data", "is"):
        table.add_column(column, no_wrap=column != "is")
    for name in [*TASKS, *DATA_TASKS]:
        task = find(name, data_dir)
        there = "bundled"
        if name in DATA_TASKS:
            try:
                task.look_for_data()
                there = "there"
            except DataMissing:
                there = "missing"
        table.add_row(shown(name), str(task.batch_size), str(task.epochs), there, task.title)
    output.print(table)
    _print("chars:FILE is a character model on any text. Your own: --task my_file.py:function; see docs/data.md.")


def strategies(
    name: Annotated[
        str | None, typer.Argument(metavar="STRATEGY", help="One of them, such as cma, with all that is said of it.")
    ] = None,
) -> None:
    """List the strategies that search without gradients, or show one: what it is for, over what, and its defaults."""
    from thalweg.search.catalogue import ALGORITHMS, key_of, kinds

    if name is not None:
        try:
            key = key_of(name)
        except ValueError as error:
            end(f"Error: {error}", 2)
        for kind in kinds(key):
            _print_strategy(key, kind)
            _print(f"\n{inspect.getdoc(kind)}\n")
        return
    for key in ALGORITHMS:
        for kind in kinds(key):
            _print_strategy(key, kind)
    _print("\nAs methods of a race they train networks: thalweg methods. See docs/search.md.")
    _print("`thalweg strategies NAME` says how one works, and what its hyperparameters are.")


def _print_strategy(name: str, kind: "type[Algorithm]") -> None:
    _print(f"{shown(name)}: {kind.title}", style="bold")
    _print(f"    {kind.purpose}")
    _print(f"    over: {', '.join(space.__name__ for space in kind.spaces)}")
    _print(f"    defaults: {', '.join(f'{n}={v}' for n, v in kind().hyperparameters().items())}")
    _print(f"    source: {kind.source}")


def _extents(dimensions: "Iterable[Dimension]") -> str:
    return "; ".join(f"{dimension} {dimension.extent}" for dimension in dimensions)


def _print(text: str, style: str | None = None) -> None:
    output.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
