"""Tables IV, V and S5 to S9, measured at a small scale on the bundled iris in place of the paper's files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thalweg.reproduce.adaswarm import tables
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.paper import Options
from thalweg.tasks.bundled import iris

pytestmark = pytest.mark.slow

TINY = tables.Scale(("iris",), runs=3, seeds=3, draws=1, studies=1, repeats=0, epochs=0.05)


class Twin:
    """The bundled iris in the place of a file."""

    def __call__(self):
        return iris().train()

    def checksums(self):
        return {}

    def look(self):
        pass


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "find", lambda name, folder: replace(iris(), name=name, train=Twin()))
        folder = tmp_path_factory.mktemp("store")
        yield tables.run(Options(True, folder, workers=1), lambda line: None, TINY)


def test_every_claimed_cell_of_a_data_set_is_measured(records):
    own = tables.TABLES_PART.tables
    wanted = {claim.cell for claim in claims_of("adaswarm") if claim.table in own and claim.row == "iris"}
    ours = {one.cell for one in records.measured if one.table != "text" and one.column not in tables.PLAIN}
    assert wanted == ours
    assert all(records.of(cell).protocol and records.of(cell).fair for cell in wanted)


def test_the_claims_in_words_are_measured(records):
    words = {claim.row for claim in claims_of("adaswarm") if claim.table == "text"}
    assert {one.row for one in records.measured if one.table == "text"} < words


def test_without_a_look_at_the_labels_adaswarm_is_adam_on_the_distance_to_the_label(records):
    """The honest swarm finds the label to rounding: the race cannot tell the two apart, seed by seed."""
    for table in tables.TABLE_OF.values():
        swarm, plain = (
            records.of((table, "iris", name, "accuracy")).fair for name in ("adaswarm", "adam_label_distance")
        )
        assert swarm == pytest.approx(plain, abs=3.4)  # one flower of thirty
