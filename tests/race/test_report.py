"""The report and its charts."""

import re
from dataclasses import replace

import numpy as np
import pytest
from race.small import small_tasks

from thalweg.race import Summary, charts, method_named, race, write_report
from thalweg.race.report import report_html


@pytest.fixture(scope="module")
def page(small_result):
    return report_html(small_result, "thalweg race --seeds 8")


def test_the_report_is_one_offline_file(page):
    assert not re.findall(
        r"(?:src|href)=|url\((?!#)|@import|<script|<link|<?xml version", page.replace('xlink:href="#', "")
    )
    assert not re.findall(r"https?://(?!www\.w3\.org/|purl\.org/|creativecommons)", page)


def test_it_holds_every_method_figure_and_the_command(page, small_result):
    summary = Summary(small_result)
    for row in summary.rows:
        assert row.method.replace("_", "-") in page
        for score in row.scores.values():
            assert f"{100 * score.mean:.1f} ± {100 * score.sd:.1f}" in page
    assert "paired: yes" in page
    assert "constant answer" in page
    assert "thalweg race --seeds 8" in page
    assert page.count("<svg") == 4


def test_the_same_records_give_the_same_bytes(page, small_result):
    assert report_html(small_result, "thalweg race --seeds 8") == page


def test_text_is_escaped(small_result):
    assert "<b>" not in report_html(small_result, "thalweg race --out '<b>.html'")


def test_a_race_of_one_method_with_one_seed_can_be_reported(tmp_path):
    result = race(small_tasks("iris"), [method_named("sgd")], seeds=1, draws=1, store=tmp_path, workers=1)
    write_report(result, tmp_path / "race.html")
    page = (tmp_path / "race.html").read_text()
    assert "nan" not in page
    assert "too few for any verdict" in page


def test_divergence_is_listed_and_drawn(small_result):
    records = dict(small_result.records)
    diverged = [
        replace(
            r,
            diverged=True,
            test_accuracy=0.0,
            train_loss=r.train_loss[:1],
            validation_accuracy=r.validation_accuracy[:1],
        )
        for r in records["iris", "sgd"]
    ]
    records["iris", "sgd"] = tuple(diverged)
    page = report_html(replace(small_result, records=records))
    assert "sgd on Iris: 8 of 8 final trials" in re.sub(r"\s+", " ", page)


def test_no_colour_of_the_charts_is_left_without_its_variable(page):
    used = set(re.findall(r"var\(--([\w-]+)\)", page))
    defined = set(re.findall(r"--([\w-]+):", page))
    assert used <= defined
    assert not re.findall(r"#0[0a]0[0-9a-f]{3}\b", page)


def test_a_band_is_the_median_and_the_quartiles_with_the_worst_after_divergence(small_result):
    record = small_result.records["iris", "sgd"][0]
    runs = [replace(record, train_loss=tuple(losses)) for losses in ([1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4], [5])]
    band = charts.band(runs, lambda r: r.train_loss, np.inf)
    assert band.median.tolist() == [3, 3, 3]
    assert band.low.tolist() == [2, 2, 2]
    assert band.high.tolist() == [4, 4, 4]


def test_plain_forms_share_the_colour_of_their_method_and_are_dashed():
    names = ("sgd", "gravity", "gravity_ema_noise", "gravity_ema")
    drawn = charts.styles([method_named(name) for name in names])
    assert drawn["gravity"].colour == drawn["gravity_ema"].colour == drawn["gravity_ema_noise"].colour
    assert drawn["sgd"].colour != drawn["gravity"].colour
    assert len(set(drawn.values())) == 4


@pytest.mark.parametrize("heights", [[0.5] * 5, [0.0, 0.0, 1.0], [0.97, 0.98, 0.99, 1.0], [0.3] * 40])
def test_labels_are_spread_within_the_axes_in_their_order(heights):
    placed = charts.spread(heights, 0.06)
    gaps = np.diff(placed)
    assert (gaps >= min(0.06, 1 / (len(heights) - 1)) - 1e-9).all()
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9
