"""The layout: rooms import only rooms below them, and the pages that describe gallery and strategies are up to date."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "thalweg"
# Each room and what it may import, from the ground up; see docs/architecture.md.
MAY_IMPORT = {
    "files": set(),
    "names": set(),
    "rules": {"files", "names"},
    "optim": {"files", "names", "rules"},
    "tasks": {"files", "names"},
    "cohort": {"files", "names", "rules", "optim", "tasks"},
    "swarm": {"files", "names", "rules", "optim", "cohort"},
    "search": {"files", "names", "rules", "optim", "tasks", "cohort", "swarm"},
    "sweep": {"files", "names", "rules", "optim", "tasks", "cohort"},
    "race": {"files", "names", "rules", "optim", "tasks", "cohort", "swarm", "search", "sweep"},
    "evolve": {"files", "names", "rules", "optim", "tasks", "cohort", "swarm", "search", "sweep", "race"},
    "reproduce": {"files", "names", "rules", "optim", "tasks", "cohort", "swarm", "search", "sweep", "race", "evolve"},
    "cli": {
        "files",
        "names",
        "rules",
        "optim",
        "tasks",
        "cohort",
        "swarm",
        "search",
        "sweep",
        "race",
        "evolve",
        "reproduce",
    },
}


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a module imports, at its head or inside a function."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    inside = {module.split(".")[1] for module in modules if module.startswith("thalweg.")}
    return inside & MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(room):
    files = [SOURCE / f"{room}.py"] if (SOURCE / f"{room}.py").exists() else list((SOURCE / room).rglob("*.py"))
    assert files
    for path in files:
        assert rooms_imported(path) <= MAY_IMPORT[room] | {room}, path


def test_every_module_belongs_to_a_room():
    found = {path.stem for path in SOURCE.glob("*.py")} | {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert found - {"__init__", "__main__"} == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", ["gallery", "strategies"])
def test_a_page_made_from_the_code_is_what_the_code_says(name):
    spec = importlib.util.spec_from_file_location(f"make_{name}", ROOT / "docs" / f"make_{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / f"{name}.md").read_text() == module.page(), f"run python docs/make_{name}.py"
