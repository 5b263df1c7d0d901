"""`thalweg report`: the report of a race, and its tables for a paper or for other programs, from its store alone."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thalweg.cli.console import end, output, refuse

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from thalweg.race.result import RaceResult


def command(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="The store of a race, or of a tuning.")],
    out: Annotated[Path, typer.Option(help="The report, one HTML file.")] = Path("race.html"),
    latex: Annotated[Path | None, typer.Option(help="Folder for tables, figures and bibliography of a paper.")] = None,
    csv: Annotated[Path | None, typer.Option(help="All records as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="All records as Parquet (needs thalweg[export]).")] = None,
) -> None:
    """Make the report of a race again from its store: no data, no training, no code of yours is needed."""
    if not store.is_dir():
        refuse(
            "DIR",
            store,
            "must be the store of a race" if store.exists() else "must be the store of a race; there is none",
        )
    files = {"--out": out, "--csv": csv, "--parquet": parquet}
    for option, file in files.items():
        if file is not None:
            _check_file(option, file)
    given = [file.resolve() for file in files.values() if file is not None]
    if len(set(given)) < len(given):
        refuse("--out, --csv, --parquet", ", ".join(map(str, given)), "must be different files")
    if latex is not None:
        _check_folder(latex)
    if parquet is not None and not all(map(importlib.util.find_spec, ("pandas", "pyarrow"))):
        refuse("--parquet", parquet, "needs pandas and pyarrow: pip install 'thalweg[export]'")
    _write(_loaded(store), store, out, latex, csv, parquet)


def _loaded(store: Path) -> "RaceResult":
    from thalweg.race.store import StoreError, load

    try:
        return load(store)
    except StoreError as error:
        end(f"Error: {error}", 2)


def _write(
    result: "RaceResult", store: Path, out: Path, latex: Path | None, csv: Path | None, parquet: Path | None
) -> None:
    from thalweg.cli.results import console_table, notes
    from thalweg.race.export import write_csv, write_parquet
    from thalweg.race.latex import write_latex
    from thalweg.race.report import write_report

    writers: list[tuple[str, Path | None, Callable[[RaceResult, Path], None]]] = [
        ("Report", out, write_report),
        ("LaTeX", latex, write_latex),
        ("CSV", csv, write_csv),
        ("Parquet", parquet, write_parquet),
    ]
    written = []
    for what, path, write in writers:
        if path is not None:
            try:
                write(result, path)
            except OSError as error:
                end(f"Error: cannot write {error.filename or path}: {error.strerror}", 1)
            written.append(f"{what}: {path}")
    output.print(console_table(result.summary))
    output.print(notes(result.summary), highlight=False, markup=False)
    output.print("   ".join([*written, f"Records: {store}"]), highlight=False, markup=False, soft_wrap=True)


def _check_file(option: str, file: Path) -> None:
    if file.is_dir() or not file.parent.is_dir():
        refuse(option, file, "must be a file in a folder that exists")
    _check_writable(option, file, file if file.exists() else file.parent)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        refuse("--latex", folder, "must be a folder, but is a file")
    if not folder.exists() and not folder.parent.is_dir():
        refuse("--latex", folder, "must be a folder in one that exists")
    _check_writable("--latex", folder, folder if folder.exists() else folder.parent)


def _check_writable(option: str, given: Path, place: Path) -> None:
    if not os.access(place, os.W_OK):
        refuse(option, given, f"cannot be written: {place} is read-only")
