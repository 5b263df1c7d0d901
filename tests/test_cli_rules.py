"""`thalweg rules`: the gallery on the command line."""

import ast

import pytest
from typer.testing import CliRunner

from thalweg.cli import app
from thalweg.rules.gallery import GALLERY


def run(*arguments):
    return CliRunner().invoke(app, ["rules", *arguments])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_list_has_every_rule_with_its_equations():
    shown = run().stdout
    for entry in GALLERY.values():
        assert f"{entry.rule.name.replace('_', '-')}: {entry.title}" in shown
        assert all(line in shown for line in entry.rule.text.splitlines())


@pytest.mark.parametrize("name", GALLERY)
def test_a_rule_is_shown_whole_and_its_curve_drawn(name, tmp_path):
    entry = GALLERY[name]
    result = run("show", name.replace("_", "-"))
    assert result.exit_code == 0, result.output
    for part in (*entry.rule.text.splitlines(), entry.rule.latex(), str(entry.source)):
        assert part in result.stdout
    for key, value in entry.rule.hyperparameters.items():
        assert f"{key}={value}" in result.stdout
    assert (tmp_path / f"{name}-response.svg").read_text().startswith("<?xml")


def test_a_picture_goes_where_it_is_asked_for(tmp_path):
    assert run("show", "gravity", "--plot", "curve.png").exit_code == 0
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_bibtex_alone_is_printed_for_a_bibliography(tmp_path):
    assert run("show", "lion", "--bibtex").stdout == GALLERY["lion"].source.bibtex() + "\n"
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_a_module_with_the_optimizer(tmp_path):
    assert run("export", "ades", "ades.py").exit_code == 0
    classes = [
        node.name for node in ast.parse((tmp_path / "ades.py").read_text()).body if isinstance(node, ast.ClassDef)
    ]
    assert classes == ["Ades"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "gravty"), "no rule is named 'gravty'; did you mean gravity"),
        (("show", "ades", "--plot", "curve.gif"), "must end in .png, .svg or .pdf, got 'curve.gif'"),
        (("show", "ades", "--plot", "nowhere/curve.svg"), "cannot be written: No such file or directory"),
        (("export", "ades", "nowhere/ades.py"), "cannot be written: No such file or directory"),
    ],
)
def test_bad_input_ends_with_a_reason_and_writes_nothing(arguments, says, tmp_path):
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []
