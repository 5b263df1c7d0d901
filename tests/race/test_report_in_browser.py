"""The report in a browser: silent, offline, sortable, drawn, and no wider than a phone."""

import pytest
from race.made import made_result, with_records

from thalweg.race.report import write_report

browser = pytest.importorskip("race.browser", reason="tornado, which comes with the test extra, is not installed")
pytestmark = pytest.mark.skipif(not browser.CHROMIUM, reason="chromium is not installed (apt-get install chromium)")

# Clicks every header of every table twice, and says of which columns the order was wrong: numbers as numbers, others
# as text, what has no figure last.
SORTS = """(() => {
  const wrong = [];
  let clicked = 0;
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      for (const direction of ["ascending", "descending"]) {
        head.querySelector("button").click();
        clicked += 1;
        const cells = Array.from(table.tBodies[0].rows, (row) => row.cells[column]);
        const keys = cells.map((cell) =>
          "v" in cell.dataset ? Number(cell.dataset.v || "NaN") : cell.textContent.trim());
        const there = keys.filter((key) => key !== "" && key !== "–" && !Number.isNaN(key));
        const sign = direction === "ascending" ? 1 : -1;
        const ordered = there.every((key, i) => i === 0 || 0 <= sign * (
          typeof key === "number" && typeof there[i - 1] === "number"
            ? (key === there[i - 1] ? 0 : key - there[i - 1])
            : String(key).localeCompare(String(there[i - 1]), "en", { numeric: true })));
        const last = keys.slice(0, there.length).every((key, i) => key === there[i]);
        const said = heads.every((other) => other.getAttribute("aria-sort") === (other === head ? direction : "none"));
        if (!ordered || !last || !said) wrong.push([table.caption.textContent, head.textContent, direction]);
      }
    });
  }
  return { wrong, clicked };
})()"""
# Figures without anything drawn, or without a size.
EMPTY = """Array.from(document.querySelectorAll("svg")).filter((svg) => {
  const box = svg.getBoundingClientRect(), ink = svg.getBBox();
  return !(box.width > 50 && box.height > 20 && ink.width > 20 && ink.height > 10 && svg.querySelector("path, text"));
}).map((svg) => svg.getAttribute("aria-label"))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNFOLD = "for (const details of document.querySelectorAll('details')) details.open = true"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    result = made_result(4, 5, 8, 5)
    result = with_records(result, "iris", "sgd", diverged=True, test_metric=0.0, stopped=1)
    write_report(result, folder / "race.html")
    opened = browser.Page(folder / "profile")
    opened.file = folder / "race.html"
    yield opened
    opened.close()


@pytest.fixture
def opened(page):
    page.events.clear()
    page.show(1280)
    page.open(page.file)
    return page


def test_nothing_is_said_in_the_console_and_nothing_asked_of_a_network(opened):
    opened.run(UNFOLD)
    assert opened.complaints() == []
    assert opened.requests() == [opened.file.as_uri()]


def test_every_column_of_every_table_sorts_both_ways(opened):
    found = opened.run(SORTS)
    assert found["wrong"] == []
    assert found["clicked"] > 200
    assert opened.complaints() == []


def test_rows_that_are_no_methods_stay_below(opened):
    opened.run("document.querySelector('#results th button').click()")
    texts = opened.run("document.querySelector('#results table').innerText").splitlines()
    assert texts[-1].startswith("untrained network")


def test_a_table_is_sorted_from_the_keyboard(opened):
    opened.run("document.querySelectorAll('#results th button')[1].focus()")
    for kind in ("keyDown", "keyUp"):
        opened.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    assert opened.run("document.querySelectorAll('#results th')[1].getAttribute('aria-sort')") == "ascending"


def test_every_figure_is_drawn(opened):
    opened.run(UNFOLD)
    assert opened.run("document.querySelectorAll('svg').length") > 60
    assert opened.run(EMPTY) == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_no_wider_than_the_window(opened, tmp_path, width, dark):
    opened.show(width, dark=dark)
    for script in ("0", UNFOLD):
        opened.run(script)
        assert opened.run(OVERFLOW) == 0
    shot = tmp_path / f"{width}-{'dark' if dark else 'light'}.png"
    opened.run("window.scrollTo(0, 0)")
    opened.photograph(shot)
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert opened.complaints() == []


def test_dark_and_light_have_colours_of_their_own(opened):
    def colours():
        return opened.run(
            "[document.body, document.querySelector('svg text')].map((e) => getComputedStyle(e)).map((s) => "
            "s.backgroundColor + s.color + s.fill)"
        )

    light = colours()
    opened.show(1280, dark=True)
    assert all(here != there for here, there in zip(colours(), light, strict=True))


def test_what_is_folded_is_open_in_print(opened):
    closed = "document.querySelectorAll('details:not([open]) svg').length"
    assert opened.run(closed) > 40
    opened.show(1280, media="print")
    shown = "Array.from(document.querySelectorAll('details svg'), (svg) => svg.checkVisibility())"
    assert all(opened.run(shown))
    opened.show(1280)
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert opened.run(closed) == 0
    opened.run("dispatchEvent(new Event('afterprint'))")
    assert opened.run(closed) > 40


def test_a_link_into_a_folded_part_opens_it(opened):
    opened.run("document.querySelector('details table').id = 'inside'; location.hash = '#inside'")
    assert opened.run("new Promise((done) => setTimeout(() => done(document.querySelector('details').open), 50))")
