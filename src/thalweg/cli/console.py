"""What the commands share: where they print, and how they end on bad input."""

from typing import NoReturn

import typer
from rich.console import Console

output = Console()
messages = Console(stderr=True)


def refuse(argument: str, value: object, why: str) -> NoReturn:
    """Ends the command on an argument that cannot be: exit code 2."""
    end(f"Error: {argument} {str(value)!r} {why}", 2)


def end(message: str, code: int) -> NoReturn:
    """Ends the command with a message and an exit code."""
    messages.print(message, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)
