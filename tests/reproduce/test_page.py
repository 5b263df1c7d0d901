"""The page and its Markdown: every claimed cell once, with its verdict, and the same text for the same records."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from reproduce.made import LOST, RECORDS, WORDS, made_paper

from thalweg.reproduce import PAPERS, Records, paper_named
from thalweg.reproduce.facts import comparisons_table
from thalweg.reproduce.layout import published
from thalweg.reproduce.markdown import SIGNS, markdown, pictures, write_markdown
from thalweg.reproduce.notation import claimed, measured
from thalweg.reproduce.page import page_html, write_page
from thalweg.reproduce.summary import ALL, comparisons, counts, tables_of, title_of
from thalweg.reproduce.verdicts import WORDS as ALL_WORDS

VOID = {"meta", "path", "br"}
ROOT = Path(__file__).parents[2]


class Outline(HTMLParser):
    """Tags that are opened and closed, ids, links, and the texts of claimed cells by what they are about."""

    def __init__(self, page):
        super().__init__()
        self.open, self.errors, self.ids, self.links, self.cells = [], [], [], [], []
        self.lines = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        if "data-cell" in attributes:
            self.lines = []
            self.cells.append((tuple(attributes["data-cell"].split("|")), self.lines))
        if tag == "span" and self.lines is not None:
            self.lines.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        if self.lines and "sup" not in self.open:
            self.lines[-1] += data

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)
        if tag == "td":
            self.lines = None


@pytest.fixture
def paper(tmp_path):
    return made_paper(tmp_path / "made")


@pytest.fixture
def outline(paper):
    return Outline(page_html(paper, RECORDS))


def test_the_page_is_one_offline_file_whose_elements_are_nested(paper, outline):
    page = page_html(paper, RECORDS)
    assert (outline.errors, outline.open) == ([], [])
    assert len(set(outline.ids)) == len(outline.ids)
    assert all(link.startswith(("#", "data:text/csv")) for link in outline.links)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert not re.findall(r"\bsrc=|url\((?!#)|@import|<link|<\?xml|<img|<iframe", page)
    assert "Made &lt;up&gt;, measured again" in page
    assert "Made <up>" not in page


def test_every_cell_stands_in_the_page_once(paper, outline):
    cells = Counter(cell for cell, _ in outline.cells)
    assert set(cells.values()) == {1}
    assert cells.keys() == {claim.cell for claim in paper.claims} | {one.cell for one in RECORDS.measured}


def test_a_cell_says_what_is_claimed_what_was_measured_and_the_verdict(outline):
    cells = dict(outline.cells)
    assert cells["I", "iris", "sgd", "accuracy"] == ["92", "92.4 ± 0.2", "88.0 ± 0.8", "reproduced"]
    assert cells["I", "iris", "adam", "accuracy"] == ["90.0", "80.0 ± 0.8", "95.0 ± 0.8", "under-specified"]
    assert cells["I", "iris", "fancy_adam_plain", "accuracy"][0] == "–"
    assert cells["I", "iris", "fancy_adam_plain", "accuracy"][-1] == ""
    assert cells["S2", "ackley", "mpso", "value"] == ["2e-8", "1e-9 ± 0", "reproduced"]
    assert cells["S2", "ackley", "empso", "value"] == ["0.50", "∞ (1 of 5)", "under-specified"]
    assert cells["S2", "ackley", "empso", "iterations"] == ["40", "40 ± 0", ""]
    assert cells["II", "root", "true", "gradient"] == ["∞", "not run"]


def test_counts_are_those_of_the_verdicts(paper, outline):
    words = {claim.cell[:3]: word for claim in paper.claims if claim.is_result
             for word in [paper.verdicts(RECORDS)[claim.cell].word]}  # fmt: skip
    assert words == WORDS
    found = counts(paper, RECORDS)
    assert list(found) == ["I", "II", "S2", ALL]
    for table in ("I", "II", "S2"):
        assert found[table] == Counter(word for cell, word in WORDS.items() if cell[0] == table)
    assert found[ALL] == Counter(WORDS.values())
    shown = Counter(lines[-1] for _, lines in outline.cells)
    assert {word: shown[word] for word in ALL_WORDS if shown[word]} == dict(found[ALL])
    assert "9 claims: 3 reproduced, 2 direction only, 2 under-specified, 2 not run." in page_html(paper, RECORDS)


def test_a_comparison_is_counted_by_both_protocols(paper):
    table_1, supplement = comparisons(paper, RECORDS)
    assert (table_1.table, table_1.column, table_1.partner, table_1.claimed) == ("I", "fancy_adam", "adam", 2)
    assert table_1.protocol == {"same": 2}
    assert table_1.fair == {"opposite": 1, "": 1}
    assert (supplement.quantity, supplement.claimed, supplement.protocol) == ("value", 1, {"unclear": 1})


def test_comparisons_of_a_table_that_was_not_run_are_no_lines(paper):
    whole = comparisons_table(comparisons(paper, RECORDS))
    alone = Records("made", tuple(one for one in RECORDS.measured if one.table == "I"))
    assert [row[0].text for row in whole.rows] == ["Table I", "Supplementary table 2"]
    assert comparisons_table(comparisons(paper, alone)).rows == whole.rows[:1]
    assert comparisons_table(comparisons(paper, Records("made", ()))) is None


def test_remarks_are_said_once_and_marked_where_they_belong(paper):
    first, second, third = published(paper, RECORDS)
    assert first.about == "Three optimizers."
    assert first.general == ()
    assert set(first.remarks) == {
        "NA",
        'printed "7<5", taken for 75',
        "not said by the paper, so guessed: batch size",
        "a constant answer scores that too, within the allowance",
        "run at a smaller scale than the paper's: a tenth",
    }
    marks = first.grids[0].marks
    numbers = {text: number for number, text in enumerate(first.remarks, start=1)}
    guessed = numbers["not said by the paper, so guessed: batch size"]
    assert marks.cells["I", "iris", "adam", "accuracy"] == (guessed,)
    assert ("I", "iris", "sgd", "accuracy") not in marks.cells
    constant = numbers["a constant answer scores that too, within the allowance"]
    assert marks.cells["I", "wide_set", "adam", "accuracy"] == (constant,)
    # Table II was not run at all; the reason is that of its part.
    assert second.general == (f"Not run: {LOST}.",)
    assert second.remarks == ()
    # A row or a column has a mark of its own where it holds for more than one cell, and for all.
    given = third.remarks.index("fixed beforehand, one number for both") + 1
    for column in ("mpso", "empso"):
        assert third.grids[0].marks.cells["S2", "ackley", column, "iterations"] == (given,)
    assert third.grids[0].marks.rows == third.grids[0].marks.columns == {}


def test_a_remark_on_a_whole_row_is_marked_at_its_name(paper):
    cells = [
        replace(one, missing="batch size") if (one.row, bool(one.protocol)) == ("iris", True) else one
        for one in RECORDS.measured
    ]
    first, *_ = published(paper, Records("made", tuple(cells)))
    marks = first.grids[0].marks
    number = first.remarks.index("not said by the paper, so guessed: batch size") + 1
    assert marks.rows["iris"] == (number,)
    assert all(number not in of_cell for of_cell in marks.cells.values())


def test_constants_have_a_column_where_there_are_any(paper):
    first, second, third = published(paper, RECORDS)
    assert first.grids[0].with_constants == ["accuracy"]
    assert first.grids[0].constants == {("iris", "accuracy"): "33.33", ("wide_set", "accuracy"): "55.56"}
    assert [grid.with_constants for table in (second, third) for grid in table.grids] == [[], []]


def test_a_table_as_csv_has_a_line_a_cell(paper, outline):
    files = [unquote(link.partition(",")[2]) for link in outline.links if link.startswith("data:")]
    tables = [list(csv.DictReader(io.StringIO(text))) for text in files if text.startswith("row,")]
    assert len(tables) == 3
    cells = [(line["row"], line["column"], line["quantity"], line["verdict"]) for table in tables for line in table]
    assert ("iris", "sgd", "accuracy", "reproduced") in cells
    assert Counter(line[3] for line in cells if line[3]) == Counter(WORDS.values())


def test_the_same_records_give_the_same_bytes(paper, tmp_path):
    for name in ("a.html", "b.html"):
        write_page(paper, Records.read(RECORDS.to_json()), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.html").read_text() == page_html(paper, RECORDS)
    assert markdown(paper, RECORDS) == markdown(made_paper(tmp_path / "made"), Records.read(RECORDS.to_json()))


def test_the_markdown_has_every_cell_once_with_its_sign(paper):
    page = markdown(paper, RECORDS)
    sections = dict(zip(*[iter(re.split(r"^### (.*)$", page, flags=re.M)[1:])] * 2, strict=True))
    assert list(sections) == [title_of(table) for table in tables_of(paper, RECORDS)]
    for table in tables_of(paper, RECORDS):
        cells = re.findall(r"\*\*([^*|]+)\*\*([^|]*) \|", sections[title_of(table)])
        expected = {claim.cell for claim in paper.claims} | {one.cell for one in RECORDS.measured}
        assert len(cells) == sum(cell[0] == table for cell in expected)
        signs = Counter(sign for _, rest in cells for sign in SIGNS.values() if rest.startswith(f" {sign}"))
        assert signs == {SIGNS[word]: number for word, number in counts(paper, RECORDS)[table].items()}
    assert "**92** ✔<br>92.4 ± 0.2<br>88.0 ± 0.8 |" in page
    assert r"One \| note." in page
    assert "Made &lt;up&gt;" in page
    for line in page.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")


def test_tables_of_the_markdown_are_rectangular(paper):
    blocks = re.findall(r"(?:^\|.*\n)+", markdown(paper, RECORDS), flags=re.M)
    assert len(blocks) >= 6
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_pictures_are_files_of_their_own(paper, tmp_path):
    write_markdown(paper, RECORDS, tmp_path / "docs")
    page = (tmp_path / "docs" / "reproduce-made.md").read_text()
    linked = re.findall(r"!\[[^\]]*\]\((.*?)\)", page)
    assert linked == ["reproduce-made/verdicts.svg", "reproduce-made/a-line-more.svg"]
    files = {path.relative_to(tmp_path / "docs").as_posix() for path in (tmp_path / "docs").rglob("*.svg")}
    assert files == set(linked)
    for svg in pictures(paper, RECORDS).values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        style = root.find("{http://www.w3.org/2000/svg}style").text
        used = set(re.findall(r"var\((--[\w-]+)\)", svg))
        assert all(f"{name}:" in style for name in used)


def test_further_tables_of_a_paper_stand_in_both_pages(paper):
    page = page_html(paper, RECORDS)
    assert '<td class="number good" data-v="1">better</td>' in page
    assert "A &lt;further&gt; table" in page
    assert "| a \\| b | better |" in markdown(paper, RECORDS)


def test_what_was_not_run_is_said_with_the_reason(paper):
    page = page_html(paper, RECORDS)
    assert f"Not run: {LOST}." in page
    assert "A full run. Not run: Roots." in page
    nothing = Records("made", ())
    outline = Outline(page_html(paper, nothing))
    assert outline.errors == []
    assert {lines[-1] for _, lines in outline.cells} == {"not run", ""}
    assert "Nothing was run." in markdown(paper, nothing)


def test_an_experiment_without_claims_has_a_page(tmp_path):
    paper = made_paper(tmp_path / "made", partners={}, about={}, notes=())
    for file in (tmp_path / "made" / "claims").iterdir():
        file.unlink()
    assert paper.claims == ()
    for records in (RECORDS, Records("made", (), {"line": [1, 2]})):
        page = page_html(paper, records)
        outline = Outline(page)
        assert outline.errors == []
        assert {len(lines) for _, lines in outline.cells} <= {1, 2}
        assert "It has no published claims" in page
        assert "a-line-more.svg" in markdown(paper, records)
        assert pictures(paper, records).keys() == {"a-line-more"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "–"),
        ((96.6667,), "96.67"),
        ((0.0727,), "0.07270"),
        ((-30469.6,), "−30470"),
        ((3.0,), "3"),
        ((0.0,), "0"),
        ((2.13e-8,), "2.13e-8"),
        ((95.0, 96.0, 97.0), "96.0 ± 1.0"),
        ((90.0, 96.0, 102.0), "96 ± 6"),
        ((0.07, 0.0727, 0.075), "0.073 ± 0.003"),
        ((1e-9, 3e-9), "2e-9 ± 1e-9"),
        ((5.0, 5.0), "5 ± 0"),
        ((float("inf"), 1.0), "∞ (1 of 2)"),
        ((float("-inf"),), "−∞"),
        ((float("nan"), 1.0, 2.0), "– (1 of 3)"),
    ],
)
def test_how_measured_numbers_are_written(values, text):
    assert measured(values) == text


def test_as_many_places_as_the_claim_has(paper):
    claim = next(claim for claim in paper.claims if claim.printed == "78556.23")
    assert measured((30469.6,), claim) == "30469.60"
    assert claimed(claim) == "78556.23"
    assert claimed(None) == "–"


def test_tables_have_their_full_names():
    names = [title_of(name) for name in ("IV", "S12", "3", "text", "Figure 2")]
    assert names == ["Table IV", "Supplementary table 12", "Table 3", "In the text", "Figure 2"]


@pytest.mark.parametrize("name", PAPERS)
def test_the_committed_page_is_what_the_committed_records_say(name):
    paper = paper_named(name)
    records = paper.committed()
    page = ROOT / "docs" / f"reproduce-{name.replace('_', '-')}.md"
    make = f"run {re.search('Made by `(.*)`', page.read_text())[1]}"
    assert page.read_text() == markdown(paper, records), make
    files = {path.stem: path.read_text() for path in page.with_suffix("").glob("*.svg")}
    assert files == pictures(paper, records), make
