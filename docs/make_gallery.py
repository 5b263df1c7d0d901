"""Writes docs/gallery.md and its pictures from the gallery: python docs/make_gallery.py"""

from pathlib import Path

from thalweg.rules.gallery import GALLERY, Entry

DOCS = Path(__file__).parent


def page() -> str:
    """The whole page, every rule with its equations, defaults, source, and a link to its response curve."""
    head = [
        "# The gallery",
        "",
        "Made by `python docs/make_gallery.py` from `src/thalweg/rules/gallery.py`. The curves show how far a weight "
        "moves against its gradient: in the first step, and in step 100 of a gradient that is held. Reductions over "
        "the tensor are held at 1, random starts at their mean.",
        "",
    ]
    return "\n".join([*head, *(section(entry) for entry in GALLERY.values())])


def section(entry: Entry) -> str:
    rule = entry.rule
    defaults = ", ".join(f"`{key}={value}`" for key, value in rule.hyperparameters.items() if key != "weight_decay")
    decay = rule.hyperparameters["weight_decay"]
    lines = [
        f"## {rule.name}",
        "",
        f"{entry.title[:1].upper()}{entry.title[1:]}.",
        *(["", "A reference rule: known to be wrong, kept for reproduction alone."] if entry.reference else []),
        "",
        "```math",
        rule.latex(),
        "```",
        "",
        f"Defaults: {defaults}; {rule.decay} weight decay" + (f" of {decay}" if decay else "") + ".",
        *([f"Reduces to: {', '.join(f'[{a}](#{a})' for a in entry.ablations)}."] if entry.ablations else []),
        f"Source: {entry.source}",
        "",
        f"![The response curve of {rule.name}](gallery/{rule.name}.svg)",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "gallery").mkdir(exist_ok=True)
    for name, entry in GALLERY.items():
        entry.rule.plot_response(DOCS / "gallery" / f"{name}.svg")
    (DOCS / "gallery.md").write_text(page())
