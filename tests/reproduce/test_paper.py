"""A paper's parts: finished ones are kept, killed ones run again, and those without data are left out."""

from dataclasses import replace

import pytest
from reproduce.made import LOST, MEASURED, RECORDS, made_paper, measure

from thalweg.reproduce import Options, Records, paper_named
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.data import lacking
from thalweg.reproduce.facts import parts_table
from thalweg.tasks.uci_tables import TABLES


@pytest.fixture
def options(tmp_path):
    return Options(quick=False, store=tmp_path / "store")


@pytest.fixture
def runs():
    return []


@pytest.fixture
def paper(tmp_path, runs):
    """Whose parts note that they were run."""
    made = made_paper(tmp_path / "made")

    def noted(part):
        def run(options, tell):
            runs.append((part.name, options.scale))
            return part.run(options, tell)

        return replace(part, run=run)

    return replace(made, parts=tuple(noted(part) for part in made.parts))


def test_all_parts_are_run_and_one_without_data_is_left_out(paper, options, runs):
    told = []
    records = paper.run(options, told.append)
    assert runs == [("sets", "full"), ("searches", "full"), ("roots", "full")]
    assert records.measured == MEASURED
    assert records.settings["not_run"] == {"roots": LOST}
    assert records.settings["parts"].keys() == {"sets", "searches"}
    for part in records.settings["parts"].values():
        assert part["scale"] == "full"
        assert part["seconds"] >= 0
        assert part["versions"]["torch"]
    assert told[:2] == ["Data sets & more (a moment)", "measuring I"]
    assert told[-1] == f"Roots: left out, {LOST}"


def test_what_is_finished_is_not_run_again(paper, options, runs):
    first = paper.run(options, print)
    runs.clear()
    told, begun = [], []
    again = paper.run(options, told.append, begin=begun.append)
    assert runs == [("roots", "full")]
    assert again == first
    assert told == []
    assert "there already, in" in begun[0]
    assert paper.stored(options).measured == first.measured
    assert runs == [("roots", "full")]


def test_quick_and_full_are_kept_apart(paper, options, runs):
    paper.run(options, print, ("sets",))
    quick = replace(options, quick=True)
    assert paper.stored(quick).measured == ()
    assert paper.run(quick, print, ("sets",)).settings["parts"]["sets"]["scale"] == "quick"
    assert runs == [("sets", "full"), ("sets", "quick")]


def test_devices_are_kept_apart(paper, options, runs):
    """On a GPU some parts do more: what the CPU has finished does not stand for it."""
    paper.run(options, print, ("sets",))
    on_gpu = replace(options, device="cuda")
    assert paper.stored(on_gpu).measured == ()
    assert paper.run(on_gpu, print, ("sets",)).settings["parts"]["sets"]["device"] == "cuda"
    assert [name for name, _ in runs] == ["sets", "sets"]
    assert {path.name for path in options.store.iterdir()} == {"made-sets-full.json", "made-sets-full-cuda.json"}


def test_mixed_precision_is_kept_apart_of_parts_that_know_how_and_said(paper, options, runs):
    first, second, third = paper.parts
    paper = replace(paper, parts=(replace(first, mixed_precision=True), second, third))
    paper.run(options, print, ("sets", "searches"))
    mixed = replace(options, mixed_precision=True)
    assert [part for part in paper.stored(mixed).settings["parts"]] == ["searches"]
    records = paper.run(mixed, print, ("sets", "searches"))
    assert [name for name, _ in runs] == ["sets", "searches", "sets"]
    assert records.settings["parts"]["sets"]["mixed_precision"]
    assert "mixed_precision" not in records.settings["parts"]["searches"]
    assert "full, mixed precision" in [cell.text for cell in parts_table(paper, records).rows[0]]
    assert "mixed_precision" not in paper.stored(options).settings["parts"]["sets"]


def test_a_part_that_is_killed_runs_again_and_the_others_are_kept(paper, options, runs):
    def killed(options, tell):
        raise KeyboardInterrupt

    first, second, third = paper.parts
    broken = replace(paper, parts=(first, replace(second, run=killed), third))
    with pytest.raises(KeyboardInterrupt):
        broken.run(options, print)
    assert [path.name for path in options.store.iterdir()] == ["made-sets-full.json"]
    runs.clear()
    assert paper.run(options, print).measured == MEASURED
    assert runs == [("searches", "full"), ("roots", "full")]


def test_one_part_alone_is_joined_with_what_is_there(paper, options, runs):
    assert {one.table for one in paper.run(options, print, ("searches",)).measured} == {"S2"}
    records = paper.run(options, print, ("sets",))
    assert {one.table for one in records.measured} == {"I", "S2"}
    assert records.settings["not_run"] == {"roots": "it was not asked for"}
    assert [name for name, _ in runs] == ["searches", "sets"]


def test_an_unknown_part_is_refused_before_anything_runs(paper, options, runs):
    with pytest.raises(ValueError, match="part must be one of sets, searches, roots, got 'set'"):
        paper.run(options, print, ("searches", "set"))
    assert runs == []


def test_a_damaged_file_of_the_store_is_named(paper, options):
    paper.run(options, print, ("sets",))
    file = options.store / "made-sets-full.json"
    file.write_text(file.read_text()[:99])
    with pytest.raises(ValueError, match=r"made-sets-full\.json: the records .* damaged.*; remove the file"):
        paper.run(options, print)
    Records("another", ()).write(file)
    with pytest.raises(ValueError, match="must hold records of made, got those of 'another'"):
        paper.stored(options)


def test_the_same_numbers_come_from_the_run_and_from_its_file(tmp_path, options):
    third = replace(MEASURED[0], protocol=(1 / 3,))
    part = replace(
        made_paper(tmp_path / "made").parts[0], run=lambda options, tell: Records("made", (third,), {"x": 2 / 3})
    )
    paper = made_paper(tmp_path / "made", parts=(part,))
    assert paper.run(options, print) == paper.stored(options)


def test_committed_records_are_those_of_the_papers_folder(paper, tmp_path):
    assert paper.committed() is None
    RECORDS.write(tmp_path / "made" / "records.json")
    assert paper.committed() == RECORDS


def test_claims_are_read_with_their_digits(paper):
    assert len(paper.claims) == 12
    printed = {claim.printed: claim.rounding for claim in paper.claims}
    assert printed["0.50"] == pytest.approx(0.005)
    assert printed["2e-8"] == pytest.approx(5e-9)
    assert printed["40"] == 0.5
    assert printed["inf"] == printed[""] == 0
    assert [claim.is_result for claim in paper.claims[:4]] == [True, False, True, False]
    assert claims_of("adaswarm")


def test_a_part_says_which_data_it_lacks(tmp_path, monkeypatch):
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    roots = made_paper(tmp_path / "made").parts[2]
    assert lacking(roots) == ["mnist", "own/file.csv"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file.csv.gz").touch()
    assert lacking(roots, tmp_path) == ["mnist"]
    uci = replace(roots, needs=(TABLES[0].file, "uci-wine"))
    assert lacking(uci, tmp_path) == [TABLES[0].file, "uci-wine"]
    assert lacking(uci, "openml") == []
    assert lacking(replace(roots, needs=()), None) == []


def test_an_unknown_paper_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"must be one of .*\(did you mean adaswarm\?\), got 'ada-swarm'"):
        paper_named("ada-swarm")


def test_a_part_may_be_measured_by_itself(options):
    assert measure("I")(options, print).measured == tuple(one for one in MEASURED if one.table == "I")
