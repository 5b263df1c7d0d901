"""Writes docs/strategies.md from the catalogue of strategies: python docs/make_strategies.py"""

from pathlib import Path

from thalweg.names import shown
from thalweg.search.algorithm import Algorithm
from thalweg.search.catalogue import ALGORITHMS, kinds

DOCS = Path(__file__).parent


def page() -> str:
    """The whole page: every strategy with what it is for, over what, its defaults, and its source."""
    head = [
        "# The strategies",
        "",
        "Made by `python docs/make_strategies.py` from the classes themselves; `thalweg strategies` prints the same. A "
        "default of None is chosen by the number of dimensions. [search.md](search.md) says how they are used.",
        "",
    ]
    return "\n".join([*head, *(section(name, kind) for name in ALGORITHMS for kind in kinds(name))])


def section(name: str, kind: type[Algorithm]) -> str:
    defaults = ", ".join(f"`{key}={value}`" for key, value in kind().hyperparameters().items())
    lines = [
        f"## {shown(name)}" + (f" ({kind.__name__})" if len(kinds(name)) > 1 else ""),
        "",
        f"{kind.title[:1].upper()}{kind.title[1:]}. {kind.purpose}",
        "",
        f"- Over: {', '.join(space.__name__ for space in kind.spaces)}",
        f"- Defaults: {defaults or 'none'}",
        f"- Source: {kind.source}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "strategies.md").write_text(page())
