"""The command line, one module a command."""

import typer

from thalweg.cli import evolve, listing, race, report, reproduce, rules, tune

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("race")(race.command)
app.command("tune")(tune.command)
app.command("evolve")(evolve.command)
app.command("report")(report.command)
app.command("reproduce")(reproduce.command)
app.add_typer(rules.app, name="rules")
app.command("methods")(listing.methods)
app.command("tasks")(listing.tasks)
app.command("strategies")(listing.strategies)


@app.callback()
def main() -> None:
    """Optimizers as equations, raced fairly on your own network."""
