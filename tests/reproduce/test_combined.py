"""The page of all papers: its numbers are those of the papers' own pages, recomputed from the committed records."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from reproduce.made import RECORDS, RUN, made_paper

from thalweg.reproduce import PAPERS, Records
from thalweg.reproduce.combined import (
    BARS,
    NUMBERS,
    OUTCOMES,
    STATEMENTS,
    Found,
    heading,
    in_short,
    own_sections,
    sections,
    verdict_table,
)
from thalweg.reproduce.combined_page import combined_html, combined_markdown, combined_pictures
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, VERDICTS, Judged, Judgement, Statement
from thalweg.reproduce.summary import ALL, counts, own_comparisons
from thalweg.reproduce.verdicts import WORDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def committed():
    """All papers whose records come with Thalweg."""
    papers = [make() for make in PAPERS.values()]
    return [Found(paper, records) for paper in papers if (records := paper.committed()) is not None]


@pytest.fixture
def made(tmp_path):
    return Found(made_paper(tmp_path / "made"), RECORDS)


def judged(*verdicts):
    """Statements of these verdicts, named by their places."""
    return [
        Judged(Statement(str(place), "1", f"quote {place}", "a rule", lambda e: None), Judgement(verdict, "so"))
        for place, verdict in enumerate(verdicts)
    ]


def numbers(row):
    return [cell.value for cell in row[2:]]


def test_every_row_counts_what_the_papers_own_page_counts(committed):
    rows = {(row[0].text, row[1].text): numbers(row) for row in verdict_table(committed).rows}
    for one in committed:
        words = counts(one.paper, one.records)[ALL]
        verdicts = Counter(each.judgement.verdict for each in one.paper.judged(one.records))
        claims = sum(claim.is_result for claim in one.paper.claims)
        assert rows.pop((one.paper.title, NUMBERS), [0]) == ([claims, *(words[w] for w in WORDS)] if claims else [0])
        said = [verdicts.total(), *(verdicts[v] for v in VERDICTS)]
        assert rows.pop((one.paper.title, STATEMENTS), [0]) == (said if verdicts else [0])
    assert not rows


def test_the_last_rows_are_the_sums_of_the_others(committed):
    table = verdict_table(committed)
    for last in table.fixed:
        of_kind = [numbers(row) for row in table.rows if row[1] == last[1]]
        assert numbers(last) == [sum(column) for column in zip(*of_kind, strict=True)]
    assert [row[1].text for row in table.fixed] == [NUMBERS, STATEMENTS]


def test_words_of_numbers_and_of_statements_go_together():
    """Both from yes to unknown: a colour of the picture means the same for both."""
    assert [verdict for _, verdict in OUTCOMES] == list(VERDICTS)
    assert [word for word, _ in OUTCOMES] == list(WORDS)


def test_the_committed_page_is_what_the_committed_records_say(committed):
    make = "run thalweg reproduce all --page-only --markdown docs"
    assert (DOCS / "reproduce.md").read_text() == combined_markdown(committed), make
    files = {path.stem: path.read_text() for path in (DOCS / "reproduce").glob("*.svg")}
    assert files == combined_pictures(committed), make


def test_experiments_of_our_own_are_no_papers(committed):
    assert [section.page for section in own_sections(committed)] == ["reproduce-objectives"]
    assert len(sections(committed)) == len(committed) - 1
    assert "Objectives" not in heading(committed)


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ([HOLDS] * 5, [0, 1, 2]),
        ([FAILS, HOLDS, UNDECIDED, HOLDS, FAILS, PARTLY], [0, 1, 3, 4]),
        ([PARTLY, HOLDS, UNDECIDED, PARTLY], [0, 1, 3]),
        ([UNDECIDED], []),
    ],
)
def test_what_is_told_of_a_paper_is_decided_in_its_order_and_of_both_kinds(made, verdicts, told):
    paper = replace(made.paper, judged=lambda records: judged(*verdicts), partners={})
    (section,) = sections([Found(paper, RECORDS)])
    rows = section.told.rows if section.told else []
    assert [row[0].text for row in rows] == [f"“quote {place}”" for place in told]


def test_without_statements_the_comparison_of_its_own_method_is_told(made):
    (section,) = sections([made])
    assert [row[2].text for row in section.told.rows] == ["fancy-adam against adam"]
    (one,) = own_comparisons(made.paper, RECORDS)
    assert (one.quantity, one.claimed) == ("accuracy", 2)


def test_it_says_how_much_was_run_and_the_time_on_each_machine(made):
    gpu = RUN | {"device": "cuda", "machine": {"gpus": ["big"]}, "seconds": 30, "mixed_precision": True}
    gpu |= {"started": "2026-02-01T00:00:00+00:00"}
    parts = {"sets": RUN, "searches": RUN, "roots": gpu}
    (section,) = sections([Found(made.paper, Records("made", RECORDS.measured, settings={"parts": parts}))])
    took = "It took 122 s on some (cpu) and 30 s on big (cuda, mixed precision)"
    assert section.run == f"A full run. {took}, begun 2026-01-01 to 2026-02-01."
    (section,) = sections([Found(made.paper, Records("made", ()))])
    assert section.run == "Nothing was run."


def test_the_page_says_it_in_short_and_links_to_the_pages_of_all(made):
    short = (
        "Of 9 published numbers 7 were measured again as they were published: 3 are reproduced, 2 in their direction "
        "only."
    )
    assert in_short([made]) == short
    page = combined_html([made], "beside")
    assert short in page
    assert "How much of one paper holds" in page
    assert 'href="beside/reproduce-made.html"' in page
    assert BARS in page
    for outcome in OUTCOMES.values():
        assert outcome in combined_pictures([made])["verdicts"]
    assert "http" not in page.replace("http://www.w3.org", "")


def test_of_no_paper_there_is_no_picture(made):
    own = Found(replace(made.paper, place=made.paper.place / "none", judged=lambda records: []), Records("made", ()))
    assert combined_pictures([own]) == {}
    assert "How much of no papers holds" in combined_html([own], "beside")


@pytest.mark.parametrize("name", PAPERS)
def test_every_part_says_how_long_its_quick_run_takes(name):
    for part in PAPERS[name]().parts:
        assert part.quick_minutes > 0, part.name
