"""`thalweg reproduce`: runs and goes on, lists, makes pages anew, and refuses what cannot be."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from reproduce.made import LOST, RECORDS, made_paper
from typer.testing import CliRunner

from thalweg import reproduce
from thalweg.cli import app
from thalweg.reproduce import Records
from thalweg.reproduce.markdown import markdown
from thalweg.reproduce.page import page_html

runner = CliRunner()


def run(*arguments):
    return runner.invoke(app, ["reproduce", *map(str, arguments)])


def words(text):
    """The text on one line: the console breaks lines where it likes."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty one, where the commands run."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    return work


@pytest.fixture(autouse=True)
def paper(tmp_path, monkeypatch):
    """The only one that is known."""
    made = made_paper(tmp_path / "made")
    monkeypatch.setattr(reproduce, "PAPERS", {"made": lambda: made})
    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_runs_what_it_has_data_for_and_writes_a_page(folder):
    done = run("made", "--workers", "1", "--markdown", "docs", "--records", "records.json")
    assert done.exit_code == 0, done.output
    assert names(folder) == ["docs", "records.json", "reproduce-made.html", "reproduce-store"]
    assert names(folder / "reproduce-store") == ["made-searches-full.json", "made-sets-full.json"]
    assert names(folder / "docs") == ["reproduce-made", "reproduce-made.md"]
    said = words(done.stderr)
    assert "Data sets & more (a moment)" in said
    assert f"Not run: Roots: {LOST}" in said
    assert re.search(r"^I +5 +2 +2 +1 *$", done.stdout, flags=re.M)
    assert re.search(r"^all +9 +3 +2 +2 +2 *$", done.stdout, flags=re.M)
    assert "Page: reproduce-made.html Markdown: docs Records: records.json" in words(done.stdout)
    assert LOST in (folder / "reproduce-made.html").read_text()


def test_the_same_command_goes_on_and_makes_the_same_page(folder):
    run("made", "--workers", "1", "--part", "sets")
    assert names(folder / "reproduce-store") == ["made-sets-full.json"]
    assert "it was not asked for" in (folder / "reproduce-made.html").read_text()
    done = run("made", "--workers", "1")
    assert "Data sets & more: there already, in reproduce-store/made-sets-full.json" in words(done.stderr)
    page = (folder / "reproduce-made.html").read_bytes()
    assert run("made", "--workers", "1").exit_code == 0
    assert (folder / "reproduce-made.html").read_bytes() == page


def test_a_page_alone_is_made_of_the_store_or_else_of_what_comes_with_thalweg(folder, paper):
    RECORDS.write(paper.place / "records.json")
    done = run("made", "--page-only", "--out", "a.html", "--markdown", "docs")
    assert done.exit_code == 0, done.output
    assert "From the records that come with Thalweg: made." in done.stderr
    assert (folder / "a.html").read_text() == page_html(paper, RECORDS)
    assert (folder / "docs" / "reproduce-made.md").read_text() == markdown(paper, RECORDS)
    assert names(folder) == ["a.html", "docs"]
    RECORDS.write(folder / "file.json")
    assert run("made", "--page-only", "--records", "file.json", "--out", "a.html").exit_code == 0
    assert (folder / "a.html").read_text() == page_html(paper, RECORDS)
    run("made", "--workers", "1", "--quick", "--part", "searches")
    done = run("made", "--page-only", "--quick")
    assert "From what reproduce-store has of made, quick." in done.stderr
    page = (folder / "reproduce-made.html").read_text()
    assert "A quick run, at a smaller scale" in page
    assert "thalweg reproduce made --quick" in page


def test_a_page_alone_of_nothing_is_refused(folder):
    done = run("made", "--page-only")
    assert done.exit_code == 2
    assert "has no finished part of made, full; run it first" in words(done.stderr)
    assert names(folder) == []


def test_interrupted_it_says_what_is_kept(folder, paper, monkeypatch):
    def killed(options, tell):
        raise KeyboardInterrupt

    first, second, third = paper.parts
    broken = replace(paper, parts=(first, replace(second, run=killed), third))
    monkeypatch.setitem(reproduce.PAPERS, "made", lambda: broken)
    done = run("made", "--workers", "1")
    assert done.exit_code == 130
    assert "kept in reproduce-store, and the same command goes on from there. Finished so far: sets" in words(
        done.stderr
    )
    assert names(folder) == ["reproduce-store"]


def test_without_data_for_any_part_it_says_how_to_get_them(folder):
    done = run("made", "--workers", "1", "--part", "roots")
    assert done.exit_code == 2
    assert f"no part could be run. Roots: {LOST}" in words(done.stderr)
    assert names(folder) == []


def test_a_part_that_fails_ends_with_its_words(folder, paper, monkeypatch):
    def fails(options, tell):
        raise ValueError("eta must be > 0, got -1")

    monkeypatch.setitem(reproduce.PAPERS, "made", lambda: replace(paper, parts=(replace(paper.parts[0], run=fails),)))
    done = run("made", "--workers", "1")
    assert (done.exit_code, words(done.stderr).endswith("Error: eta must be > 0, got -1")) == (2, True)
    assert "Traceback" not in done.output


def test_papers_are_listed_with_what_they_need():
    done = run("--list")
    assert done.exit_code == 0
    said = words(done.stdout)
    assert "made: Made <up>" in said
    assert "Nobody (2026). Nothing." in said
    assert "sets: Data sets & more Table I takes a moment; data: none needed" in said
    assert "roots: Roots Table II takes a day; data: MISSING mnist, own/file.csv" in said
    assert "thalweg reproduce made --quick takes about 0 s on two cores; the parts whose data are missing" in said
    assert "made: Made <up>" in words(run("made", "--list").stdout)


def test_a_list_has_figures_and_what_all_takes_in_sum(paper, other, monkeypatch):
    first, second, third = paper.parts
    parts = replace(first, figures=("3", "Plate I"), quick_minutes=1.5), replace(second, quick_minutes=2), third
    monkeypatch.setitem(reproduce.PAPERS, "made", lambda: replace(paper, parts=parts))
    said = words(run("--list").stdout)
    assert "sets: Data sets & more Table I, Figure 3, Plate I takes a moment" in said
    assert "thalweg reproduce all --quick takes about 3.5 min on two cores; the parts" in said
    assert words(run("all", "--list").stdout) == said


# All papers


@pytest.fixture
def runs():
    return []


@pytest.fixture
def other(tmp_path, paper, runs, monkeypatch):
    """A second paper, the first to be run: its parts note that they were run."""

    def noted(part):
        def run(options, tell):
            runs.append(part.name)
            return replace(part.run(options, tell), paper="earlier")

        return replace(part, run=run)

    made = made_paper(tmp_path / "earlier", name="earlier", title="Earlier")
    earlier = replace(made, parts=tuple(noted(part) for part in made.parts))
    monkeypatch.delitem(reproduce.PAPERS, "made")
    monkeypatch.setitem(reproduce.PAPERS, "earlier", lambda: earlier)
    monkeypatch.setitem(reproduce.PAPERS, "made", lambda: paper)
    return earlier


def test_all_papers_are_run_into_one_page_with_the_page_of_each_beside_it(folder, other, runs):
    done = run("all", "--workers", "1", "--quick", "--markdown", "docs")
    assert done.exit_code == 0, done.output
    assert names(folder) == ["docs", "reproduce-all-papers", "reproduce-all.html", "reproduce-store"]
    assert names(folder / "reproduce-all-papers") == ["reproduce-earlier.html", "reproduce-made.html"]
    assert {"reproduce", "reproduce.md", "reproduce-earlier.md", "reproduce-made.md"} <= {*names(folder / "docs")}
    said = words(done.stderr)
    assert "earlier, 1 left: Earlier earlier, 1 left: Data sets & more (a moment)" in said
    assert "made, 0 left: Made <up> made, 0 left: Data sets & more (a moment)" in said
    assert f"Not run: earlier: Roots: {LOST}" in said
    page = (folder / "reproduce-all.html").read_text()
    assert "How much of two papers holds" in page
    assert "thalweg reproduce all --quick" in page
    for link in re.findall(r'href="(reproduce-[^"#]*)"', page):
        assert (folder / link).is_file()
    counted = "9 published numbers: 3 reproduced, 2 direction only, 2 under-specified, 2 not run"
    assert f"earlier, {counted} made, {counted} Page: reproduce-all.html Markdown: docs" in words(done.stdout)
    assert runs == ["sets", "searches", "roots"]


def test_all_papers_go_on_where_they_were(folder, other, runs):
    run("earlier", "--workers", "1", "--part", "searches")
    assert runs == ["searches"]
    run("all", "--workers", "1")
    assert runs == ["searches", "sets", "roots"]
    page = (folder / "reproduce-all.html").read_bytes()
    again = run("all", "--workers", "1")
    assert runs == ["searches", "sets", "roots", "roots"]  # whose data are still not there
    assert "earlier, 1 left: Searches: there already" in words(again.stderr)
    assert (folder / "reproduce-all.html").read_bytes() == page


@pytest.mark.parametrize("error", [ValueError("eta must be > 0, got -1"), RuntimeError("out of memory")])
def test_a_paper_that_fails_does_not_stop_the_others(folder, other, monkeypatch, error):
    def fails(options, tell):
        raise error

    first, second, third = other.parts
    monkeypatch.setitem(
        reproduce.PAPERS, "earlier", lambda: replace(other, parts=(first, replace(second, run=fails), third))
    )
    done = run("all", "--workers", "1")
    assert done.exit_code == 1
    assert str(error) in words(done.stderr)
    assert words(done.stderr).endswith("Error: failed, as said above: earlier")
    assert names(folder / "reproduce-store") == [
        "earlier-sets-full.json", "made-searches-full.json", "made-sets-full.json",
    ]  # fmt: skip
    page = (folder / "reproduce-all-papers" / "reproduce-earlier.html").read_text()
    assert f"the run failed before it was finished: {'' if isinstance(error, ValueError) else 'RuntimeError: '}" in page
    assert run("all", "--page-only").exit_code == 0


def test_a_damaged_store_costs_only_its_own_paper(folder, other):
    (folder / "reproduce-store").mkdir()
    (folder / "reproduce-store" / "earlier-sets-full.json").write_text("{")
    done = run("all", "--workers", "1")
    assert done.exit_code == 1
    assert "remove the file to have the part run again" in words(done.stderr)
    assert (folder / "reproduce-store" / "made-sets-full.json").exists()


def test_interrupted_all_papers_say_what_is_finished(folder, other, paper, monkeypatch):
    def killed(options, tell):
        raise KeyboardInterrupt

    first, second, third = paper.parts
    monkeypatch.setitem(
        reproduce.PAPERS, "made", lambda: replace(paper, parts=(first, replace(second, run=killed), third))
    )
    done = run("all", "--workers", "1")
    assert done.exit_code == 130
    assert "Finished so far: earlier: sets, searches; made: sets" in words(done.stderr)
    assert names(folder) == ["reproduce-store"]


def test_the_page_of_all_papers_alone_is_made_of_the_store_or_else_of_what_comes_with_thalweg(folder, other, paper):
    RECORDS.write(paper.place / "records.json")
    run("earlier", "--workers", "1", "--part", "sets")
    done = run("all", "--page-only", "--out", "a.html")
    assert done.exit_code == 0, done.output
    assert "From what reproduce-store has of earlier, full. From the records that come with Thalweg: made." in words(
        done.stderr
    )
    assert (folder / "a-papers" / "reproduce-made.html").read_text() == page_html(paper, RECORDS)
    (paper.place / "records.json").unlink()
    assert run("all", "--page-only", "--out", "a.html").exit_code == 0
    assert "Nothing was run." in (folder / "a.html").read_text()


BAD = {
    "no paper": ((), "PAPER '' must be one of"),
    "unknown paper": (("mode",), "PAPER 'mode' is unknown (did you mean made?)"),
    "unknown paper, listed": (("mode", "--list"), "PAPER 'mode' is unknown (did you mean made?)"),
    "unknown part": (("made", "--part", "set"), "--part 'set' is unknown (did you mean sets?)"),
    "part of a page": (("made", "--page-only", "--part", "sets"), "--part 'sets' cannot be given with --page-only"),
    "no workers": (("made", "--workers", "0"), "--workers '0' must be >= 1"),
    "unknown device": (("made", "--device", "toaster"), "--device 'toaster' is unknown"),
    "part of all": (("all", "--part", "sets"), "--part 'sets' cannot be given with all: name the paper"),
    "records of all": (("all", "--records", "a.json"), "--records 'a.json' cannot be given with all, as each paper"),
    "no room for pages": (("all", "--out", "b.html"), "needs a folder b-papers for the papers' own pages"),
    "mixed on a CPU": (("made", "--mixed-precision"), "--mixed-precision needs --device cuda, got --device cpu"),
    "mixed by nobody": (
        ("all", "--mixed-precision", "--device", "cuda"), "--mixed-precision is known to no part of made",
    ),
    "no GPU": (("made", "--device", "cuda"), "--device 'cuda' needs a GPU, and torch finds none here: give cpu"),
    "a page of what no GPU has run": (
        ("made", "--page-only", "--device", "cuda"), "has no finished part of made, full-cuda; run it first",
    ),
    "out in no folder": (("made", "--out", "no/such.html"), "--out 'no/such.html' must be a file in a folder"),
    "out a folder": (("made", "--out", "empty"), "--out 'empty' must be a file in a folder that exists"),
    "records in no folder": (("made", "--records", "no/a.json"), "--records 'no/a.json' must be a file in a folder"),
    "records over the page": (("made", "--out", "a", "--records", "a"), "'a' must be another file than --out"),
    "markdown a file": (("made", "--markdown", "file"), "--markdown 'file' must be a folder, but is a file"),
    "markdown in no folder": (("made", "--markdown", "no/docs"), "'no/docs' must be a folder in one that exists"),
    "store below a file": (("made", "--store", "file/store"), "'file/store' must be a folder, but file is a file"),
    "no records to read": (("made", "--page-only", "--records", "no.json"), "--records 'no.json' is not there"),
    "damaged records": (("made", "--page-only", "--records", "file"), "--records 'file' cannot be read: the records"),
    "another's records": (("made", "--page-only", "--records", "other.json"), "must hold records of made, but"),
    "a damaged store": (("made", "--store", "damaged"), "made-sets-full.json: the records of a reproduction"),
    "a page of a damaged store": (("made", "--page-only", "--store", "damaged"), "remove the file to have the part"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_and_answered_and_nothing_is_written(what, folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (folder / "empty").mkdir()
    (folder / "file").write_text("")
    (folder / "b-papers").write_text("")
    Records("other", ()).write(folder / "other.json")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "made-sets-full.json").write_text("{")
    before = sorted(path for path in folder.rglob("*"))
    arguments, says = BAD[what]
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert says in words(done.stderr)
    assert "Traceback" not in done.output
    assert sorted(path for path in folder.rglob("*")) == before


def test_help_waits_for_no_torch():
    code = "import sys, thalweg.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "--page-only" in run("--help").stdout
