"""The report of an evolution: a page that needs no network, and a few lines for the terminal."""

from thalweg.evolve.judgement.report.data import (
    Batch,
    Best,
    Compared,
    EvolutionReport,
    Finalist,
    FrontPoint,
    HurdleLoss,
    Response,
    Stage,
    best_of,
)
from thalweg.evolve.judgement.report.page import report_html, write_report
from thalweg.evolve.judgement.report.summary import text_summary

__all__ = [
    "Batch",
    "Best",
    "Compared",
    "EvolutionReport",
    "Finalist",
    "FrontPoint",
    "HurdleLoss",
    "Response",
    "Stage",
    "best_of",
    "report_html",
    "text_summary",
    "write_report",
]
