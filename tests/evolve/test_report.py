"""The report: one file that needs no network, the same bytes for the same data, and nothing where there are no data."""

import math
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest

from thalweg.evolve.judgement.genealogy import Birth
from thalweg.evolve.judgement.report import (
    Batch,
    Compared,
    EvolutionReport,
    Finalist,
    FrontPoint,
    HurdleLoss,
    Stage,
    best_of,
    report_html,
    text_summary,
    write_report,
)
from thalweg.evolve.judgement.retest import Retest
from thalweg.rules import Rule, gallery

VOID = {"meta", "path", "br"}
HOSTILE = "</code><script>alert(1)</script> & \"quoted\" 'w' {{ 7*7 }} \x07 ]]>"
SCORE = Retest(0.94, 0.93, 0.95, 0.932, 12)
SECTIONS = {
    "best": "found", "history": "fitness", "funnel": "funnel", "front": "front", "lineage": "lineage",
    "finalists": "retests", "ablations": "ablations", "controls": "controls", "race": "race", "away": "away",
    "settings": "settings",
}  # fmt: skip


class Outline(HTMLParser):
    """Tags that are opened and closed, ids, links and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.errors, self.ids, self.links, self.tags, self.text = [], [], [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data):
        self.text += data


def compared(label, difference, verdict, task=""):
    return Compared(label, 0.95, 0.95 - difference, difference, difference - 0.01, difference + 0.01, 15, verdict, task)


def made(text="x = 0.9*x + g\nw = w - 0.1*x", label="random search"):
    """A report with something in every field."""
    return EvolutionReport(
        title="Evolution on digits",
        settings=(("preset", "laptop"), ("seed", "0")),
        best=replace(best_of(gallery.find("heavy_ball").rule, SCORE), equations=text),
        nearest="this is momentum with mu = 0.9, lr = 0.001, to rounding",
        history=tuple(Batch(i, 100 * (i + 1), 0.5 + i / 30, 1 + i, -math.inf if i < 2 else 0.3) for i in range(9)),
        funnel=(Stage("generated", 900), Stage("not refused", 700), Stage("full fitness", 0)),
        refusals=(Stage("no gradient reaches the weight", 200),),
        hurdle=HurdleLoss(50, 1, 0.02, 0.0005, 0.11),
        front=(FrontPoint(5, 0.9, "w = w - lr*g"), FrontPoint(12, 0.95, text)),
        lineage=(Birth(1, (), "random", 0, text, -math.inf), Birth(8, (1, 2), "crossover", 3, text, 0.9)),
        finalists=(Finalist(label, text, SCORE, True), Finalist("other", text, SCORE)),
        ablations=(compared("x: without 0.9*x", -0.2, "worse"),),
        controls=(compared(label, 0.03, "better"), compared("hyperparameters", 0.002, "undecided")),
        race=(compared("adam", -0.002, "equivalent"),),
        away=(compared("adam", -0.02, "worse", "iris"), compared("adam", 0.001, "undecided", "wine")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page():
    return report_html(made())


def test_it_is_well_formed_and_its_anchors_meet(page):
    outline = Outline(page)
    assert (outline.errors, outline.open) == ([], [])
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_it_needs_no_network(page):
    assert all(link.startswith(("#", "data:text/csv")) for link in Outline(page).links)
    assert not re.findall(r"\bsrc=|url\((?!#)|@import|<link|<\?xml|<img|<iframe", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/)", page)


def test_the_same_data_give_the_same_bytes(page, tmp_path):
    write_report(made(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == page.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_hostile_text_is_shown_and_does_nothing(page):
    outline = Outline(report_html(made(HOSTILE, HOSTILE)))
    assert outline.tags.count("script") == Outline(page).tags.count("script")
    assert (outline.errors, outline.open) == ([], [])
    assert HOSTILE in outline.text
    assert "{{ 7*7 }}" in outline.text


def test_hostile_titles_and_sentences_are_escaped():
    report = replace(made(), title=HOSTILE, nearest=HOSTILE, settings=((HOSTILE, HOSTILE),))
    assert "<script>alert" not in report_html(report)


@pytest.mark.parametrize("field", SECTIONS)
def test_a_section_is_there_just_where_its_data_are(page, field):
    full = made()
    emptied = replace(full, **{field: None if field == "best" else ()})
    if field == "funnel":
        emptied = replace(emptied, refusals=(), hurdle=None)
    assert f'<section id="{SECTIONS[field]}"' in page
    assert f'<section id="{SECTIONS[field]}"' not in report_html(emptied)
    assert report_html(emptied).count("<section") == page.count("<section") - 1


def test_a_report_of_nothing_is_a_page():
    outline = Outline(report_html(EvolutionReport("Nothing yet")))
    assert (outline.errors, outline.open) == ([], [])
    assert "section" not in outline.tags


def test_every_field_but_the_units_is_on_the_page():
    shown = {*SECTIONS, "title", "nearest", "refusals", "hurdle", "metric", "percent"}
    assert {field.name for field in fields(EvolutionReport)} == shown


@pytest.mark.parametrize("name", ["adam", "gravity", "rprop", "ades_eq8"])
def test_any_rule_can_be_the_best(name):
    page = report_html(EvolutionReport("One", best=best_of(gallery.find(name).rule)))
    assert "Response" in page


def test_a_rule_that_overflows_has_no_response_but_a_page():
    page = report_html(EvolutionReport("One", best=best_of(Rule("r", "w = w - 1e200*g*1e200*g"), span=1e80)))
    assert "<svg" not in page


def test_scores_that_were_never_finite_have_no_fitness_picture():
    history = (Batch(0, 10, -math.inf, 0, -math.inf), Batch(1, 20, -math.inf, 0, math.nan))
    page = report_html(EvolutionReport("One", history=history))
    assert "<svg" not in page
    assert "−∞" in page


def test_the_figures_are_those_of_the_data(page):
    text = Outline(page).text
    assert "Its accuracy is 94.00 % [93.00, 95.00], over 12 seeds" in text
    assert "the hurdles would have lost 1: 2 %, 95 % interval 0.05 to 11 %" in text
    assert "This is momentum with mu = 0.9, lr = 0.001, to rounding." in text


def test_the_summary_has_at_most_25_lines_whatever_there_is():
    long = made(text="\n".join(f"a{i} = g" for i in range(60)))
    many = replace(long, race=long.race * 30, away=long.away * 30, controls=long.controls * 30)
    for report in (made(), many):
        lines = text_summary(report).splitlines()
        assert len(lines) <= 25
        assert all(len(line) <= 100 for line in lines)


def test_the_summary_says_what_was_found_and_whether_it_is_better():
    text = text_summary(made())
    assert "w = w - 0.1*x" in text
    assert "this is momentum" in text
    assert "controls: better than random search, +3.00 [+2.00, +4.00]" in text
    assert "other tasks: worse than adam on iris" in text


def test_control_characters_do_not_reach_the_terminal():
    assert "\x07" not in text_summary(made(HOSTILE, HOSTILE))
    assert "\x1b" not in text_summary(replace(made(), title="\x1b[31mred"))
