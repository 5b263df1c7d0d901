"""The charts of the report: matplotlib figures from plain data, shown as inline SVG or printed as PDF.

Every chart is a function that returns a `Figure`, made without pyplot, from mappings of method name to numbers; a
chart that draws methods takes `drawn`, the `styles` of all methods of the race, so that a method looks the same
everywhere. `inline(figure, title)` is its SVG element in the page's CSS variables, `pdf(figure)` its vector PDF in
the colours of the light page. Scores are drawn better when higher. NaN means that there is no value and is never
drawn; an infinite value, and a trial that diverged, are marked at the edge of the axes.

    svg = inline(learning_curves(bands, styles(result.methods), "Iris: train loss", log=True), "Iris: train loss")
"""

from thalweg.race.charts.curves import Band, band, best_so_far, expected_best, learning_curves
from thalweg.race.charts.heat import heat_map
from thalweg.race.charts.ranks import critical_difference, rank_distribution
from thalweg.race.charts.rows import Difference, Interval, costs, differences, gaps, intervals, seed_scores
from thalweg.race.charts.scatter import landscape, seed_scatter
from thalweg.race.charts.steps import Steps, performance_profile, reached
from thalweg.race.charts.style import DARK, LIGHT, Style, styles
from thalweg.race.charts.svg import inline, pdf
from thalweg.race.charts.tuning import Scan, Searched, lr_scan, parallel_coordinates, slices

__all__ = [
    "DARK",
    "LIGHT",
    "Band",
    "Difference",
    "Interval",
    "Scan",
    "Searched",
    "Steps",
    "Style",
    "band",
    "best_so_far",
    "costs",
    "critical_difference",
    "differences",
    "expected_best",
    "gaps",
    "heat_map",
    "inline",
    "intervals",
    "landscape",
    "learning_curves",
    "lr_scan",
    "parallel_coordinates",
    "pdf",
    "performance_profile",
    "rank_distribution",
    "reached",
    "seed_scatter",
    "seed_scores",
    "slices",
    "styles",
]
