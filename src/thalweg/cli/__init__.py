"""The command line: `thalweg race | rules`, one module a command."""

import typer

from thalweg.cli import race, rules

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("race")(race.command)
app.add_typer(rules.app, name="rules")


@app.callback()
def main() -> None:
    """Optimizers as equations, raced fairly on your own network."""
