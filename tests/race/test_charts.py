"""The charts: what is drawn, that it fits, and that what must not be in the page is not."""

import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from thalweg.race.charts import (
    DARK,
    LIGHT,
    Band,
    Difference,
    Interval,
    Scan,
    Searched,
    Steps,
    band,
    best_so_far,
    costs,
    critical_difference,
    differences,
    expected_best,
    gaps,
    heat_map,
    inline,
    intervals,
    landscape,
    learning_curves,
    lr_scan,
    parallel_coordinates,
    pdf,
    performance_profile,
    rank_distribution,
    reached,
    seed_scatter,
    seed_scores,
    slices,
    styles,
)
from thalweg.race.charts.panel import clipped, spread, stairs
from thalweg.race.charts.ranks import _levels
from thalweg.race.charts.scale import Scale, near, number, padded
from thalweg.race.charts.svg import _compact_path

INF, NAN = math.inf, math.nan


@dataclass(frozen=True)
class Plain:
    """As much of a method as charts need."""

    name: str
    ablations: tuple[str, ...] = ()


NAMES = ["adam", "adamw", "sgd", "sgd_momentum", "rmsprop", "gravity", "gravity_ema", "gravity_ema_noise",
         "ades_adam", "ades_nesterov", "positional_sgd", "an_optimizer_with_quite_a_long_name"]  # fmt: skip
METHODS = [
    Plain(n, {"gravity": ("gravity_ema", "gravity_ema_noise"), "ades_adam": ("adam",)}.get(n, ())) for n in NAMES
]
DRAWN = styles(METHODS)
VERDICTS = ["better", "worse", "equivalent", "undecided"]
TASKS = [f"task_{index}" for index in range(15)]


def figures():
    """Every chart, of 12 methods, 15 tasks, 30 seeds and 75 draws where it takes as many."""
    random = np.random.default_rng(0)
    rates = {name: 4.0 + index for index, name in enumerate(NAMES)}
    curves = {
        name: [(90 - 60 * np.exp(-np.arange(41) / rate) + random.normal(0, 1, 41)).tolist() for _ in range(30)]
        for name, rate in rates.items()
    }
    curves["sgd"] = [curve[:7] for curve in curves["sgd"]]
    bands = {name: band(runs, 0.0, points=41) for name, runs in curves.items()}
    losses = {name: band([[100 - a for a in run] for run in runs], INF, points=41) for name, runs in curves.items()}
    few = dict(list(bands.items())[:6])
    scores = random.normal(80, 5, 75)
    scores[::9] = -INF
    searched = [
        Searched("lr", (10 ** random.uniform(-5, 0, 75)).tolist(), True, 1e-5, 1.0),
        Searched("weight_decay", (10 ** random.uniform(-6, -1, 75)).tolist(), True),
        Searched("schedule", [["constant", "cosine", "one_cycle"][i % 3] for i in range(75)]),
        Searched("momentum", [None if i % 2 else 0.01 * i for i in range(75)]),
    ]
    lr = (10.0 ** np.arange(-5, 1)).tolist()
    scans = {
        name: Scan(lr, [50, 60, 80, 90, 85, NAN], [45, 55, 75, 88, 70, NAN], [55, 65, 85, 92, 90, NAN],
                   [0, 0, 0, 0, 0.1, 1.0], 1e-3, (1e-3, 1e-2))
        for name in NAMES
    }  # fmt: skip
    steps = {name: Steps([3.0, 5.0 + i, 30.0], [0.1, 0.5, 0.9], [40.0]) for i, name in enumerate(NAMES)}
    rows = [Difference(n, 0.3 * i - 1, 0.3 * i - 2, 0.3 * i, v, 0.5, g) for i, (n, v, g) in enumerate(
        zip(NAMES, VERDICTS * 3, ["one"] * 6 + ["two"] * 6, strict=True))]  # fmt: skip
    ranks = {name: (1 + (np.arange(15) + i) % 12).tolist() for i, name in enumerate(NAMES)}
    means = {name: 1.0 + i for i, name in enumerate(NAMES)}
    signs = random.normal(0, 1, (15, 12))
    signs[3, 4], signs[2, 2] = NAN, -INF
    texts = [[number(value, 10) for value in row] for row in signs]
    seeds = {name: random.normal(90, 2, 30).tolist() for name in NAMES}
    seeds["sgd"][0] = NAN
    intervals_of = {name: Interval(0.1 * i, 0.1 * i - 0.05, 0.1 * i + 0.05) for i, name in enumerate(NAMES)}
    marks = {"default": [0], "chosen": [5, 30]}
    return {
        "loss": learning_curves(losses, DRAWN, "Iris: train loss", log=True),
        "accuracy": learning_curves(bands, DRAWN, "Iris: validation accuracy, %", highlight=NAMES[:2], thin=curves),
        "thin": learning_curves(few, DRAWN, "A line a seed", thin=curves, x={n: np.arange(41) * rates[n] for n in few}),
        "best_so_far": best_so_far({n: np.maximum.accumulate(c[:3], axis=1) for n, c in curves.items()}, DRAWN, "t"),
        "expected_best": expected_best(bands, DRAWN, "Expected best"),
        "reached": reached(steps, DRAWN, "Seeds that reached 95 %", end=40),
        "profile": performance_profile(steps, DRAWN, "Profile", notes=dict.fromkeys(NAMES, "0.71")),
        "differences": differences(rows, "Difference to adam", x_label="points"),
        "intervals": intervals(intervals_of, DRAWN, "IQM", x_label="normalised score", reference=0.5),
        "seed_scores": seed_scores(seeds, DRAWN, "Seeds", diverged={"adam": [True] * 5 + [False] * 25}),
        "gaps": gaps({name: (99.0, 90.0 - i) for i, name in enumerate(NAMES)}, DRAWN, "Train and test"),
        "costs": costs({name: 1.0 + i**3 for i, name in enumerate(NAMES)}, DRAWN, "Seconds a step", reference=1.0),
        "heat": heat_map(signs, TASKS, NAMES, "Difference to adam", diverging=True, texts=texts),
        "grid": heat_map(np.arange(6.0).reshape(2, 3), ["a", "b"], ["0.1", "1", "10"], "lr by wd", column_label="lr"),
        "critical": critical_difference(means, [NAMES[:5], NAMES[3:9]], "Mean ranks", drawn=DRAWN, note="descriptive"),
        "ranks": rank_distribution(ranks, DRAWN, "Ranks"),
        "slices": slices(searched, scores.tolist(), "What was tried", **marks),
        "parallel": parallel_coordinates(searched, scores.tolist(), "75 settings", **marks),
        "landscape": landscape(searched[0], searched[1], scores.tolist(), "lr and weight decay", **marks),
        "lr_scan": lr_scan(scans, DRAWN, "Learning rates", y_label="accuracy, %"),
        "seed_scatter": seed_scatter(seeds["adam"], seeds, DRAWN, "Do seeds go together?", notes={"sgd": "r = 0.71"}),
    }


@pytest.fixture(scope="module")
def drawings():
    return {name: inline(figure, f"{name} <&\"'>") for name, figure in figures().items()}


CHARTS = ["loss", "accuracy", "thin", "best_so_far", "expected_best", "reached", "profile", "differences", "intervals",
          "seed_scores", "gaps", "costs", "heat", "grid", "critical", "ranks", "slices", "parallel", "landscape",
          "lr_scan", "seed_scatter"]  # fmt: skip


def test_the_same_data_give_the_same_bytes_whatever_the_readers_own_settings(drawings):
    own = {"lines.scale_dashes": False, "path.sketch": (1, 100, 2), "font.size": 30, "font.weight": "bold",
           "figure.dpi": 300, "savefig.bbox": "tight", "text.parse_math": True, "svg.fonttype": "path"}  # fmt: skip
    with matplotlib.rc_context(own):
        assert {name: inline(figure, f"{name} <&\"'>") for name, figure in figures().items()} == drawings
    assert list(drawings) == CHARTS


@pytest.mark.parametrize("name", CHARTS)
def test_a_drawing_is_small_and_has_no_id_reference_font_or_colour_of_its_own(drawings, name):
    svg = drawings[name]
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == f"{name} <&\"'>"
    assert not re.search(r"\bid=|url\(|href|font-family|<style|<defs|<image|NaN|\bnan\b|\binf\b", svg)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", svg)
    assert set(re.findall(r"var\(--([\w-]+)\)", svg)) <= set(LIGHT)
    assert not re.search(r"\d\.\d{3}", svg.replace(root.attrib["viewBox"], ""))
    assert len(svg) < 60_000


def texts(svg):
    """Every text with the box it takes in the viewBox if the page has a font as wide as DejaVu Sans."""
    root = ElementTree.fromstring(svg)
    for group in root:
        style = dict(part.split(":") for part in group.attrib["style"].split(";"))
        for element in group:
            if element.tag.endswith("text"):
                size = float(style["font-size"].removesuffix("px"))
                font = FontProperties(family="DejaVu Sans", size=size)
                width, _, _ = text_to_path.get_text_width_height_descent(element.text, font, ismath=False)
                x, y = float(element.attrib["x"]), float(element.attrib["y"])
                anchor = {"start": 0.0, "middle": 0.5, "end": 1.0}[style.get("text-anchor", "start")]
                angle = math.radians(
                    float(re.findall(r"rotate\(([-\d.]+)|$", element.attrib.get("transform", ""))[0] or 0)
                )
                cos, sin = math.cos(angle), math.sin(angle)
                box = [(a, b) for a in (-anchor * width, (1 - anchor) * width) for b in (0.2 * size, -0.75 * size)]
                corners = [(a * cos - b * sin, a * sin + b * cos) for a, b in box]
                xs, ys = zip(*corners, strict=True)
                yield element.text, (x + min(xs), y + min(ys), x + max(xs), y + max(ys)), angle


@pytest.mark.parametrize("name", CHARTS)
def test_every_text_is_inside_and_level_texts_do_not_overlap(drawings, name):
    width, height = (float(v) for v in ElementTree.fromstring(drawings[name]).attrib["viewBox"].split()[2:])
    level = []
    for text, (x0, y0, x1, y1), angle in texts(drawings[name]):
        assert x0 >= -1, text
        assert y0 >= -1, text
        assert x1 <= width + 1, text
        assert y1 <= height + 1.5, text
        if angle == 0:
            for other, (a0, b0, a1, b1) in level if name != "parallel" else []:  # its ticks stand on lines of others
                across, down = min(x1, a1) - max(x0, a0), min(y1, b1) - max(y0, b0)
                assert min(across, down) < 2.5, (text, other)
            level.append((text, (x0, y0, x1, y1)))


@pytest.mark.parametrize("name", sorted({*CHARTS} - {"grid", "slices", "parallel", "landscape", "heat"}))
def test_every_method_is_named_and_drawn_in_its_colour(drawings, name):
    svg = drawings[name]
    written = " ".join(text for text, _, _ in texts(svg))
    for method in NAMES[:6] if name == "thin" else NAMES:
        assert method.replace("_", "-")[:5] in written
        if name != "differences":
            assert f"var(--series-{DRAWN[method].colour})" in svg


def places(path):
    """The points of a compact path."""
    x = y = 0.0
    for letter, numbers in re.findall(r"([mlhvcqz])([^mlhvcqz]*)", path):
        values = [float(v) for v in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", numbers)]
        if letter in "hv":
            pairs = [(v, 0.0) if letter == "h" else (0.0, v) for v in values]
        else:
            pairs = list(zip(values[::2], values[1::2], strict=True))
        for dx, dy in pairs:
            x, y = x + dx, y + dy
            yield x, y


@given(st.lists(st.tuples(*[st.floats(-500, 500)] * 2), min_size=1, max_size=60))
def test_a_compact_path_keeps_every_point_to_a_hundredth(points):
    path = " ".join(f"{'L' if index else 'M'} {x:.6f} {y:.6f}" for index, (x, y) in enumerate(points))
    assert np.array(list(places(_compact_path(path)))) == pytest.approx(np.array(points), abs=0.0051)


def lines(svg, colour):
    """The lines drawn in full strength in a colour."""
    for group in ElementTree.fromstring(svg):
        if f"stroke:var(--{colour});stroke-width:1.6" in group.attrib["style"]:
            yield from (list(places(element.attrib["d"])) for element in group if "d" in element.attrib)


@pytest.mark.parametrize("log", [False, True])
def test_a_curve_is_where_its_values_are(log):
    medians = {"adam": [0.2, 0.4, 0.5, 0.6, 0.8, 0.8, 0.9], "sgd": [0.2, 0.3, 0.6, 0.3, 0.4, 0.5, 0.6]}
    bands = {name: Band(*[np.array(values)] * 3) for name, values in medians.items()}
    svg = inline(learning_curves(bands, DRAWN, "t", log=log, higher=True), "t")
    points = {n: max(lines(svg, f"series-{DRAWN[n].colour}"), key=len)[-3:] for n in medians}
    assert [x for x, _ in points["adam"]] == pytest.approx([x for x, _ in points["sgd"]])
    unit = np.log if log else np.asarray
    heights = [points["adam"][0][1], points["adam"][2][1], points["sgd"][0][1], points["sgd"][2][1]]
    slope = np.diff(heights) / np.diff(unit([0.8, 0.9, 0.4, 0.6]))
    assert slope == pytest.approx(slope[0], rel=2e-3)
    assert slope[0] < 0  # up the page


@pytest.mark.parametrize("chart", ["learning_curves", "best_so_far", "reached", "performance_profile"])
def test_every_series_is_a_line_and_has_its_end_piece_beside_its_name(chart):
    ends = np.linspace(0.2, 0.9, len(NAMES)).tolist()
    figure = {
        "learning_curves": lambda: learning_curves({n: band([[0.1, e, e]], 0.0) for n, e in ends_of}, DRAWN, "t"),
        "best_so_far": lambda: best_so_far({n: [[0.1, e, e]] for n, e in ends_of}, DRAWN, "t"),
        "reached": lambda: reached({n: Steps([1.0], [e]) for n, e in ends_of}, DRAWN, "t", end=3.0),
        "performance_profile": lambda: performance_profile(
            {n: Steps([1.0], [e]) for n, e in ends_of}, DRAWN, "t", end=3
        ),
    }[chart]
    ends_of = list(zip(NAMES, ends, strict=True))
    svg = inline(figure(), "t")
    colours = {style.variable for style in DRAWN.values()}
    assert sum(len(list(lines(svg, colour))) for colour in colours) == 2 * len(NAMES)
    for colour in colours:
        assert len(list(lines(svg, colour))) == 2 * sum(style.variable == colour for style in DRAWN.values())


def test_epochs_have_whole_ticks():
    written = [
        text for text, _, _ in texts(inline(learning_curves({"adam": band([[20, 28, 30]], 0.0)}, DRAWN, "t"), "t"))
    ]
    assert {"0", "1", "2", "30"} <= set(written)
    assert not any("." in text for text in written)


def test_diverged_trials_are_crosses_where_they_ended():
    runs = [[1.0, 0.5, 0.4, 0.3, 0.2], [1.0, 0.5, 0.4, 0.3, 0.2], [1.0, 2.0], [1.0, 2.0, 3.0]]
    whole = inline(learning_curves({"adam": band(runs[:2], INF)}, DRAWN, "t", log=True), "t")
    part = inline(learning_curves({"adam": band(runs, INF)}, DRAWN, "t", log=True), "t")
    crosses = re.findall(r'stroke-width:1.2"><path d="([^"]*)"', part)
    assert not re.findall(r'stroke-width:1.2"', whole)
    points = np.array(list(places(crosses[0]))).reshape(-1, 4, 2).mean(axis=1)
    ticks = {text: (x0 + x1) / 2 for text, (x0, y0, x1, _), _ in texts(part) if y0 > 190}
    assert points[:, 0] == pytest.approx([ticks["1"], ticks["2"]], abs=0.1)
    assert (points[:, 1] < 40).all()  # at the upper edge, where losses are worst


def test_a_method_far_behind_does_not_flatten_the_others():
    ends = {"adam": 97.0, "sgd": 96.0, "rmsprop": 95.0, "gravity": 10.0}
    bands = {name: band([[9.0, 50.0, end, end]], 0.0) for name, end in ends.items()}
    written = [text for text, _, _ in texts(inline(learning_curves(bands, DRAWN, "t"), "t"))]
    assert any(text.startswith("gravity ↓ 10") for text in written)
    assert min(float(text) for text in written if re.fullmatch(r"\d+\.?\d*", text) and float(text) > 4) > 40


def test_a_band_is_the_median_and_the_quartiles_with_the_worst_after_divergence():
    one = band([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4], [5]], INF)
    assert one.median.tolist() == [3, 3, 3]
    assert one.low.tolist() == [2, 2, 2]
    assert one.high.tolist() == [4, 4, 4]
    assert one.diverged == (0,)
    assert band([[1.0], [2.0, 3.0]], 0.0, diverged=[False, False]).median.tolist()[0] in (1, 2)
    assert band([[5.0]], 0.0, diverged=[False], points=3).median.tolist() == [5, 5, 5]
    assert band([[5.0]], 0.0, points=3).median.tolist() == [5, 0, 0]


def test_plain_forms_share_the_colour_of_their_method_and_no_two_methods_look_alike():
    assert DRAWN["gravity"].colour == DRAWN["gravity_ema"].colour == DRAWN["gravity_ema_noise"].colour
    assert DRAWN["ades_adam"].colour == DRAWN["adam"].colour
    assert DRAWN["sgd"].colour != DRAWN["gravity"].colour
    assert DRAWN["ades_adam"].dashes == DRAWN["gravity"].dashes == 0
    many = styles([Plain(f"m{i}", (f"m{i}_plain",)) for i in range(12)] + [Plain(f"m{i}_plain") for i in range(12)])
    assert len(set(many.values())) == 24
    assert all(many[f"m{i}"].colour == many[f"m{i}_plain"].colour for i in range(12))


def test_light_and_dark_have_the_same_names_and_light_colours_all_differ():
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.2))
def test_labels_are_spread_within_the_axes_in_their_order(heights, gap):
    placed = spread(sorted(heights), gap)
    assert (np.diff(placed) >= min(gap, 1 / max(1, len(heights) - 1)) - 1e-9).all()
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9


def test_labels_that_are_apart_stay_and_others_move_both_ways():
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


@given(st.lists(st.floats(-3, 3) | st.just(NAN), min_size=2, max_size=30))
def test_a_clipped_line_is_the_line_where_it_is_inside(heights):
    x, y = clipped(np.arange(float(len(heights))), np.array(heights), -1.0, 1.0)
    drawn = ~np.isnan(y)
    assert (np.abs(y[drawn]) <= 1 + 1e-9).all()
    known = np.interp(x[drawn], np.arange(len(heights)), np.nan_to_num(heights, nan=0.0))
    beside_nan = [any(math.isnan(heights[i]) for i in {math.floor(v), math.ceil(v)}) for v in x[drawn]]
    assert np.abs(known - y[drawn])[~np.array(beside_nan, bool)] == pytest.approx(0, abs=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_stairs_keep_each_value_until_the_next(values):
    x, y = stairs(np.arange(len(values)), values)
    assert x[0] == 0
    assert x[-1] == len(values) - 1
    for index, value in enumerate(values):
        assert value in y[x == index] or value == y[np.searchsorted(x, index, side="right") - 1]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_are_in_the_range_and_ascend(low, span, log):
    limits = padded(abs(low) + 1e-3, abs(low) + 1e-3 + span, log=True) if log else padded(low, low + span)
    scale = Scale(*limits, 10, 110, log)
    ticks = scale.ticks()
    values = [value for value, _ in ticks]
    assert scale.holds(values).all()
    assert sorted(set(values)) == values
    assert len(values) <= 12
    assert scale(limits) == pytest.approx([10, 110])


def test_what_is_near_is_within_six_times_the_median_distance_from_the_best():
    assert near([97, 96, 95, 10], higher=True) == 95
    assert near([1, 2, 3, INF, NAN, 400], higher=False) == 3
    assert math.isnan(near([NAN], higher=True))


@pytest.mark.parametrize("methods", [1, 2, 3, 7, 12, 20])
def test_names_in_a_critical_difference_diagram_never_overlap(methods):
    names = [f"method_{index}" for index in range(methods)]
    means = {name: 3 + 0.01 * index for index, name in enumerate(names)}  # all but equal
    svg = inline(critical_difference(means, [names], "t"), "t")
    boxes = [box for text, box, _ in texts(svg) if text.startswith("method")]
    assert len(boxes) == methods
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        for a0, b0, a1, b1 in boxes[:index]:
            assert x1 <= a0 or a1 <= x0 or y1 <= b0 + 1 or b1 <= y0 + 1


def test_bars_of_groups_that_meet_are_on_different_levels():
    bars = [(0.0, 10.0), (5.0, 20.0), (30.0, 40.0), (18.0, 35.0)]
    assert _levels(bars) == [0, 1, 0, 2]


def test_what_cannot_be_drawn_is_refused_with_its_reason():
    with pytest.raises(ValueError, match="values must have shape"):
        heat_map([[1.0]], ["a"], ["b", "c"], "t")
    with pytest.raises(ValueError, match="mean_ranks must be finite, got nan of sgd"):
        critical_difference({"sgd": NAN}, [], "t")
    with pytest.raises(ValueError, match="groups must be of methods in mean_ranks, got adam"):
        critical_difference({"sgd": 1.0}, [["adam", "sgd"]], "t")
    with pytest.raises(ValueError, match="sgd must have a score a seed"):
        seed_scatter([1.0], {"sgd": [1.0, 2.0]}, DRAWN, "t")
    with pytest.raises(ValueError, match="lr must have a value a score"):
        slices([Searched("lr", [1.0])], [1.0, 2.0], "t")
    with pytest.raises(ValueError, match="curves must be at least one"):
        band([], 0.0)


ODD = [[], [0.5], [NAN, NAN], [INF, 1.0], [-INF, -INF], [0.0, 0.0], [1e-300, 1e300], [-5.0, NAN, 5.0]]


@pytest.mark.parametrize("values", ODD, ids=str)
def test_odd_values_are_drawn_without_a_warning_and_without_nan(values):
    one = {"adam": values} if values else {}
    n = len(values)
    searched = [Searched("lr", values, True), Searched("momentum", values), Searched("schedule", ["a"] * n)]
    bands = {"adam": band([values], INF)} if values else {}
    ascending = Steps(
        sorted(v for v in values if not math.isnan(v)), np.linspace(0, 1, n - sum(map(math.isnan, values)))
    )
    scan = {"adam": Scan([10.0**-i for i in range(n, 0, -1)], values, values, values, [], 1e-2, (1e-2, 1e-1))}
    odd = [
        *(learning_curves(bands, DRAWN, "t", log=log, thin={"adam": [values]}) for log in (False, True)),
        best_so_far({"adam": [values]} if values else {}, DRAWN, "t"),
        expected_best(bands, DRAWN, "t"),
        *(reached({"adam": ascending}, DRAWN, "t", log=log) for log in (False, True)),
        performance_profile({"adam": ascending}, DRAWN, "t"),
        differences([Difference("a", v, v - 1, v + 1, "better", 0.5) for v in values], "t"),
        intervals({n: Interval(v, v, v) for n, v in zip(NAMES, values, strict=False)}, DRAWN, "t"),
        seed_scores(one, DRAWN, "t"),
        gaps({n: (v, 1.0) for n, v in zip(NAMES, values, strict=False)}, DRAWN, "t"),
        costs(dict(zip(NAMES, values, strict=False)), DRAWN, "t"),
        *(heat_map(np.array([values]), ["r"], NAMES[:n], "t", diverging=d) for d in (False, True)),
        rank_distribution(one, DRAWN, "t"),
        critical_difference({}, [], "t"),
        slices(searched, values, "t"),
        parallel_coordinates(searched, values, "t"),
        landscape(searched[0], searched[2], values, "t"),
        lr_scan(scan, DRAWN, "t"),
        seed_scatter(values, one, DRAWN, "t"),
    ]
    for figure in odd:
        svg = inline(figure, "odd")
        ElementTree.fromstring(svg)
        assert not re.search(r"\b(nan|inf)\b", svg)


def test_text_is_shown_as_it_is():
    drawn = styles([Plain("$x$ <b>&漢")])
    svg = inline(costs({"$x$ <b>&漢": 1.0}, drawn, '$a_1$ & "b"'), '"<script>"')
    assert "$x$ &lt;b&gt;&amp;漢" in svg
    assert "$a_1$ &amp;" in svg
    assert "<script>" not in svg


def test_a_pdf_is_vector_has_no_date_and_may_leave_its_title_out():
    figure = critical_difference({"adam": 1.2, "sgd": 1.8}, [["adam", "sgd"]], "Mean ranks")
    svg = inline(figure, "t")
    whole, cut = pdf(figure), pdf(figure, titles=False)
    heights = [float(re.search(rb"/MediaBox \[ 0 0 360 ([\d.]+)", page)[1]) for page in (whole, cut)]
    assert whole.startswith(b"%PDF")
    assert pdf(figure) == whole
    assert not re.search(rb"Date|Subtype /Image|Type3", whole)
    assert heights[0] - heights[1] == pytest.approx(18)
    assert inline(figure, "t") == svg  # the figure is as it was
