"""The report: one offline file with every figure, the same bytes for the same records, and the race inside it."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from race.made import made_result, with_records

from thalweg.race import notation
from thalweg.race.manifest import Manifest
from thalweg.race.report import read_embedded, report_html, write_report
from thalweg.race.report.embedded import listed

VOID = {"meta", "path", "br", "use", "circle", "rect"}


class Outline(HTMLParser):
    """Tags that are opened and closed, headings, ids, links, and the cells of tables."""

    def __init__(self, page):
        super().__init__()
        self.open, self.errors, self.levels, self.ids, self.links, self.tables = [], [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "table":
            self.tables.append(0)
        if tag == "tr":
            self.tables[-1] += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)


@pytest.fixture(scope="module")
def result():
    return made_result(4, 4, 8, 6)


@pytest.fixture(scope="module")
def small():
    return made_result(1, 2, 6)


@pytest.fixture(scope="module")
def page(result):
    return report_html(result, "thalweg race --seeds 8")


@pytest.fixture(scope="module")
def outline(page):
    return Outline(page)


def test_the_report_is_one_offline_file(page, outline):
    assert all(link.startswith(("#", "data:text/csv")) for link in outline.links)
    assert not re.findall(r"\bsrc=|url\((?!#)|@import|<link|<\?xml|<img|<iframe", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/)", page)


def test_its_elements_are_nested_and_its_anchors_meet(outline):
    assert outline.errors == []
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_headings_go_down_one_level_at_a_time(outline):
    assert outline.levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))


def test_it_holds_every_score_verdict_and_the_command(page, result):
    summary = result.summary
    for (task, method), mean in summary.means.items():
        assert notation.score(mean, summary.sds[task, method], summary.tasks[task].percent) in page
    for verdict in result.verdicts:
        percent = summary.tasks[verdict.task].percent
        assert notation.interval(verdict.low, verdict.high, percent) in page
    for words in (
        "constant answer",
        "untrained network",
        "thalweg race --seeds 8",
        "thalweg race --from",
        "Paired: yes",
    ):
        assert words in page


def test_no_p_value_is_taken_for_equality(page):
    assert "never means equal" in page
    assert not re.search(r"no (significant )?difference|not significant|p &gt; 0\.05", page)


def test_every_table_has_a_csv_file_of_all_its_rows(outline):
    files = [unquote(link.partition(",")[2]) for link in outline.links if link.startswith("data:")]
    assert len(files) == len(outline.tables) > 20
    for text, rows in zip(files, outline.tables, strict=True):
        read = list(csv.reader(io.StringIO(text)))
        assert len(read) == rows
        assert len({len(row) for row in read}) == 1


def test_a_csv_file_has_full_precision(outline, result):
    (text,) = [unquote(link) for link in outline.links if link.startswith("data:") and "Mean rank" in link][:1]
    mean = result.summary.means["iris", "adamw"]
    assert repr(mean) in text


def test_the_same_records_give_the_same_bytes(small):
    assert report_html(made_result(1, 2, 6)) == report_html(small)


def test_text_is_escaped(small):
    page = report_html(small, "thalweg race --out '<b>.html' </script><script>alert(1)")
    assert "<b>" not in page
    assert "</script><script>alert" not in page


def test_no_colour_is_left_without_its_variable(page):
    used = set(re.findall(r"var\(--([\w-]+)\)", page))
    for scheme in re.findall(r":root \{([^}]*)\}", page):
        assert used - {"swatch"} <= set(re.findall(r"--([\w-]+):", scheme))


def test_details_of_many_tasks_are_folded(page, small):
    assert page.count("<details>") >= 4 * 6
    assert "<details" not in report_html(small)


def test_one_method_with_one_seed_can_be_reported():
    page = report_html(made_result(1, 1, 1, draws=1, studies=1, repeats=0))
    assert not re.search(r"\b(nan|None)\b", re.sub(r"<script.*?</script>", "", page, flags=re.S))
    assert "Enough seeds: NO, 1" in page


def test_a_race_without_final_trials_is_reported_as_tuning():
    outline = Outline(page := report_html(made_result(2, 3, 0)))
    assert "No final trials were run" in page
    assert "results" not in outline.ids
    assert {"tuning", "sensitivity", "cost", "provenance"} <= set(outline.ids)


def test_divergence_is_said_first_and_listed(small):
    diverged = with_records(
        small, "iris", "sgd", diverged=True, test_metric=0.0, stopped=1, train_loss=(1.0,), validation_loss=(1.0,),
        validation_metric=(0.3,),
    )  # fmt: skip
    page = report_html(diverged)
    assert "Divergences: 6 final" in page
    assert "6 of 6" in page


def test_uncommitted_changes_and_unequal_hashes_are_warned_of(small):
    manifest = json.loads(json.dumps(small.manifest))
    manifest["provenance"]["git"]["dirty"] = "abc123"
    page = report_html(with_records(replace(small, manifest=manifest), "iris", "sgd", order_hash="other"))
    assert "uncommitted changes (abc123)" in page
    assert "Paired: NO" in page


def test_the_race_can_be_read_back_from_the_file(small, tmp_path):
    write_report(small, tmp_path / "race.html")
    held = read_embedded(tmp_path / "race.html")
    assert held["records"] == listed(small)
    assert len(held["records"]) == small.trials
    assert Manifest.from_dict(held["manifest"]).hash == Manifest.from_dict(small.manifest).hash
    final = held["records"][-1]
    record = small.records[final["task"], final["method"]][final["rep"]]
    assert (final["result_hash"], final["test_metric"]) == (record.result_hash, record.test_metric)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<h1>Hello</h1>", "is no report of a race"),
        (b"\xff\xfe\x00", "is no report of a race: it is not a text file"),
        (b'<script type="application/json" id="thalweg-race">{"schema":</script>', "is a damaged report"),
        (b'<script type="application/json" id="thalweg-race">[1]</script>', "is a damaged report"),
        (b'<script type="application/json" id="thalweg-race">{"schema":1}</script>', "was written by another version"),
    ],
)
def test_what_is_no_report_is_refused_in_clear_words(tmp_path, content, words):
    (tmp_path / "a.html").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_embedded(tmp_path / "a.html")


def test_a_report_that_cannot_be_written_leaves_nothing(small, tmp_path):
    with pytest.raises(OSError, match="absent"):
        write_report(small, tmp_path / "absent" / "race.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fifteen_tasks_and_twelve_methods_make_a_page_below_six_megabytes():
    assert len(report_html(made_result(15, 12, 30, 25, epochs=40)).encode()) < 6e6
