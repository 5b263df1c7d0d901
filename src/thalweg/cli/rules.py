"""`thalweg rules`: the gallery on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thalweg.cli.console import end, output, refuse
from thalweg.names import shown

if TYPE_CHECKING:  # the gallery imports torch, which takes seconds
    from thalweg.rules.gallery import Entry

app = typer.Typer(help="List the gallery; show or export one rule.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(metavar="RULE", help="The name, such as gravity-ema.")]


@app.callback()
def list_rules(context: typer.Context) -> None:
    """List the gallery with its equations; `show` and `export` take one rule."""
    if context.invoked_subcommand is not None:
        return
    from thalweg.rules.gallery import GALLERY

    for entry in GALLERY.values():
        _print_heading(entry)
        _print_equations(entry)
        output.print()
    output.print(f"{len(GALLERY)} rules. `thalweg rules show NAME` has defaults, source, LaTeX and a picture of one.")


@app.command()
def show(
    name: Name,
    plot: Annotated[Path | None, typer.Option(help="Where the response curve goes: .png, .svg or .pdf.")] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print the source as BibTeX, and nothing else.")] = False,
) -> None:
    """Show a rule's equations, LaTeX, defaults and source, and draw its response curve."""
    entry = _find(name)
    if bibtex:
        output.print(entry.source.bibtex(), markup=False, highlight=False, soft_wrap=True)
        return
    rule = entry.rule
    path = plot or Path(f"{rule.name}-response.svg")
    try:
        rule.plot_response(path)
    except OSError as error:
        refuse("--plot", path, f"cannot be written: {error.strerror}")
    except ValueError as error:
        end(f"Error: --plot: {error}", 2)
    _print_heading(entry)
    _print_equations(entry)
    defaults = ", ".join(f"{key}={value}" for key, value in rule.hyperparameters.items())
    _print(f"\nDefaults: {defaults}; weight decay is {rule.decay}; t counts from {rule.first_step}")
    if entry.ablations:
        _print(f"Reduces to: {', '.join(map(shown, entry.ablations))}")
    _print(f"Source: {entry.source}")
    _print(f"\nLaTeX:\n{rule.latex()}")
    _print(f"\nThe response curve is in {path}")


@app.command()
def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="The Python file to write.")],
) -> None:
    """Write a rule as a stand-alone torch.optim.Optimizer, which needs torch alone."""
    entry = _find(name)
    try:
        entry.rule.export(path)
    except OSError as error:
        refuse("PATH", path, f"cannot be written: {error.strerror}")
    _print(f"{path} has the optimizer; it needs torch and the standard library alone.")


def _find(name: str) -> "Entry":
    from thalweg.rules.gallery import find

    try:
        return find(name)
    except ValueError as error:
        end(f"Error: {error}", 2)


def _print_heading(entry: "Entry") -> None:
    note = " [a reference rule: known to be wrong]" if entry.reference else ""
    _print(f"{shown(entry.rule.name)}: {entry.title}{note}", style="bold")


def _print_equations(entry: "Entry") -> None:
    for line in entry.rule.text.splitlines():
        _print(f"    {line}")


def _print(text: str, style: str | None = None) -> None:
    output.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
