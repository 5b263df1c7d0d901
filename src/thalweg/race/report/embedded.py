"""The race inside its report: the manifest, and each record's place, hash and score, so that it can be run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from thalweg.race.record import SCHEMA
from thalweg.race.result import RaceResult

ELEMENT = "thalweg-race"
COLUMNS = ("task", "method", "role", "study", "draw", "rep", "result_hash", "test_metric")


def embedded(result: RaceResult) -> str:
    """JSON that may stand inside of a script element; tasks and methods of records by their place in the lists."""
    tasks = [task.name for task in result.tasks]
    methods = [method.name for method in result.methods]
    content = {
        "schema": SCHEMA,
        "manifest": result.manifest,
        "tasks": tasks,
        "methods": methods,
        "columns": COLUMNS,
        "records": [[tasks.index(task), methods.index(method), *rest] for task, method, *rest in _rows(result)],
    }
    # A "<" could end the element, or open a comment that swallows its end.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def read_embedded(path: Path) -> dict[str, Any]:
    """The "manifest" and the "records" of the race that a report shows; each record is a dict of the COLUMNS.

    `study` and `draw` are places in the tuning, `draw` None for a final trial, whose study chose its setting.
    `test_metric` is None for a tuning trial. Raises ValueError, saying so, where the file is no report of a race or of
    another version; OSError where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no report of a race: it is not a text file") from error
    finder = _Finder()
    finder.feed(text)
    if not finder.found:
        raise ValueError(f"{path} is no report of a race: it has no element named {ELEMENT}")
    try:
        content = json.loads("".join(finder.found))
        if content["schema"] != SCHEMA:
            raise _OtherVersion(content["schema"])
        tasks, methods = content["tasks"], content["methods"]
        records = [
            dict(zip(content["columns"], (tasks[task], methods[method], *rest), strict=True))
            for task, method, *rest in content["records"]
        ]
        manifest = dict(content["manifest"])
    except _OtherVersion as error:
        raise ValueError(f"{path} was written by another version: its schema is {error}, not {SCHEMA}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is a damaged report: what it holds of its race cannot be read ({error})") from error
    return {"manifest": manifest, "records": records}


def listed(result: RaceResult) -> list[dict[str, Any]]:
    """The records of a race as `read_embedded` gives them."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in _rows(result)]


def _rows(result: RaceResult) -> Iterator[tuple[Any, ...]]:
    for (task, method), studies in result.studies.items():
        for study in studies:
            for number, draw in enumerate(study.draws):
                for r in draw.records:
                    yield task, method, r.role, study.index, number, r.rep, r.result_hash, None
        for r in result.records[task, method]:
            study_index = r.rep % len(studies) if studies else None
            yield task, method, r.role, study_index, None, r.rep, r.result_hash, r.test_metric


class _OtherVersion(Exception):
    """The schema that a report has."""


class _Finder(HTMLParser):
    """Finds the text of the one script element."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and dict(attrs).get("id") == ELEMENT

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
