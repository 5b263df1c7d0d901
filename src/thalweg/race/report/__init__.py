"""The report of a race: one HTML file that needs no network, made from the records alone."""

from thalweg.race.report.embedded import read_embedded
from thalweg.race.report.page import report_html, write_report

__all__ = ["read_embedded", "report_html", "write_report"]
