"""The archive keeps every score, holds whole batches or none, and refuses files that are not its own."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.random_rules import PROGRAMS, as_text

from thalweg.evolve.archive import Archive
from thalweg.evolve.candidate import Candidate
from thalweg.evolve.entry import definition_of, rule_from
from thalweg.rules import Rule, gallery

DESCENT = Rule("descent", "w = w - lr*g", lr=0.1)
MOMENTUM = Rule("momentum", "v = beta*v + g\nw = w - lr*v", lr=0.1, beta=0.9)


def candidate(rule: Rule = DESCENT) -> Candidate:
    return Candidate(rule, rule.canonical())


def numbered(number: int) -> Candidate:
    return candidate(Rule("numbered", f"w = w - {number + 1}*g"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive.sqlite"


# What it keeps


def test_what_was_added_is_found_by_canonical_form_by_behaviour_and_by_id():
    with Archive(":memory:") as archive:
        parent = archive.add(candidate(), born=0, keys=("a", "b"), operation="random")
        child = archive.add(
            candidate(MOMENTUM), born=3, keys=("a", "c"), parents=[parent.id], operation="mutation", fate="proxy"
        )
        for found in (archive.known(MOMENTUM.canonical()), archive.alike(("a", "c")), archive.entry(child.id)):
            assert found == child
        assert (child.rule, child.size, child.born, child.parents) == (MOMENTUM, candidate(MOMENTUM).size, 3, (1,))
        assert (child.keys, child.operation, child.fate) == (("a", "c"), "mutation", "proxy")
        assert list(archive.entries()) == [parent, child]


def test_candidates_are_alike_only_where_both_behaviours_are():
    with Archive(":memory:") as archive:
        archive.add(candidate(), born=0, keys=("a", "b"))
        archive.add(candidate(MOMENTUM), born=0)
        assert archive.alike(("a", "c")) is None
        assert archive.alike(("c", "b")) is None
        assert archive.alike(("", "")) is None


def test_an_alias_leads_to_the_candidate_that_does_the_same():
    with Archive(":memory:") as archive:
        entry = archive.add(candidate(), born=0)
        archive.alias("another form", entry)
        assert archive.known("another form") == entry
        with pytest.raises(ValueError, match="of no candidate yet"):
            archive.alias("another form", entry)


def test_a_canonical_form_has_one_entry():
    with Archive(":memory:") as archive:
        archive.add(candidate(), born=0)
        with pytest.raises(ValueError, match="candidate 1 has this canonical form already"):
            archive.add(candidate(), born=1)


def test_every_score_is_kept_in_order_and_a_failure_is_minus_infinity():
    with Archive(":memory:") as archive:
        entry = archive.add(candidate(), born=0)
        for seed, value in enumerate([0.9, math.nan, math.inf, 0.1 + 0.2]):
            archive.score(entry, "full", "digits", seed, value, examples=10)
        archive.score(entry.id, "proxy", "small", 0, 0.5, examples=2)
        entry = archive.entry(entry.id)
        assert entry.values("full") == (0.9, -math.inf, -math.inf, 0.1 + 0.2)
        assert (entry.seeds("full"), entry.seeds("full", "iris")) == ((0, 1, 2, 3), ())
        assert entry.examples == 42
        assert entry.mean("full") == -math.inf
        assert math.isnan(entry.mean("none"))


def test_a_score_of_one_stage_task_and_seed_is_given_once():
    with Archive(":memory:") as archive:
        entry = archive.add(candidate(), born=0)
        archive.score(entry, "full", "digits", 0, 0.5)
        archive.score(entry, "full", "digits", 1, 0.6)
        archive.score(entry, "full", "iris", 0, 0.7)
        with pytest.raises(ValueError, match="score of stage 'full', task 'digits' and seed 0 already"):
            archive.score(entry, "full", "digits", 0, 0.9)
        assert archive.entry(entry.id).values("full") == (0.5, 0.6, 0.7)


def test_ranking_is_by_mean_score_then_by_size_then_by_age():
    with Archive(":memory:") as archive:
        large, small, old, worse, lone = [
            archive.add(each, born=0)
            for each in (candidate(MOMENTUM), numbered(3), numbered(4), numbered(5), numbered(6))
        ]
        for entry, values in (
            (large, (0.75, 0.75)),
            (small, (0.5, 1.0)),
            (old, (1.0, 0.5)),
            (worse, (0.75, -math.inf)),
        ):
            for seed, value in enumerate(values):
                archive.score(entry, "full", "digits", seed, value)
        archive.score(lone, "full", "digits", 0, 0.99)
        ids = [entry.id for entry in archive.ranked("full", least_scores=2)]
        assert ids == [small.id, old.id, large.id, worse.id]
        assert [entry.id for entry in archive.ranked("full", most=1)] == [lone.id]


def test_counters_add_up():
    with Archive(":memory:") as archive:
        archive.count("generated", 128)
        archive.count("generated", 2)
        archive.count("hours", 0.25)
        assert archive.counters() == {"generated": 130, "hours": 0.25}


@settings(max_examples=100, deadline=None)
@given(PROGRAMS)
def test_a_rule_survives_its_definition_as_json(lines):
    rule = Rule("random", as_text(lines))
    assert rule_from(definition_of(rule)) == rule


def test_the_rules_of_the_gallery_survive_their_definitions_as_json():
    for entry in gallery.GALLERY.values():
        assert rule_from(definition_of(entry.rule)) == entry.rule


# Whole batches or none


def test_reopening_gives_the_last_commit_and_nothing_after_it(path):
    with Archive(path) as archive:
        entry = archive.add(candidate(), born=0, keys=("a", "b"))
        archive.score(entry, "full", "digits", 0, 0.1 + 0.2, examples=7)
        archive.commit('{"batch": 1}')
        committed = archive.dump()
        archive.add(candidate(MOMENTUM), born=1)
        archive.mark(entry, "refused")
        archive.count("generated")
        assert archive.dump() != committed
    with Archive(path) as archive:
        assert archive.dump() == committed
        assert archive.checkpoint == '{"batch": 1}'
        assert len(archive) == 1


WRITER = """
import sys
from thalweg.evolve.archive import Archive
from thalweg.evolve.candidate import Candidate
from thalweg.rules import Rule
archive = Archive(sys.argv[1])
for batch in range(len(archive) // 50, 10**6):
    for i in range(50):
        rule = Rule("numbered", f"w = w - {50 * batch + i + 1}*g")
        archive.score(archive.add(Candidate(rule, rule.canonical()), born=batch), "full", "t", 0, 1 / (1 + i))
        archive.count("generated")
    archive.commit(str(batch))
    print(batch, flush=True)
"""


def test_killed_at_any_moment_it_holds_whole_batches_with_their_checkpoint(path):
    said = -1
    for wait in (0.0, 0.015):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = int(process.stdout.readline())
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        lines = process.communicate()[0].splitlines()
        said = int(lines[-1]) if lines else said
        with Archive(path) as archive:
            batches = int(archive.checkpoint or -1) + 1
            assert batches in (said + 1, said + 2)  # a commit that was not told of yet counts
            assert len(archive) == archive.counters()["generated"] == 50 * batches
            assert sum(len(entry.scores) for entry in archive.entries()) == 50 * batches
            assert [entry.born for entry in archive.entries()] == [i // 50 for i in range(50 * batches)]


def test_equal_histories_give_equal_dumps_also_through_a_file_and_a_second_opening(path):
    def told(archive: Archive, batches: range) -> None:
        for batch in batches:
            entry = archive.add(numbered(batch), born=batch, keys=(str(batch), "b"))
            archive.score(entry, "full", "digits", batch, batch / 3)
            archive.count("generated", 3)
            archive.alias(f"another {batch}", entry)
            archive.commit(f"[{batch}]")

    with Archive(":memory:") as whole:
        told(whole, range(6))
        expected = whole.dump()
    with Archive(path) as archive:
        told(archive, range(4))
        archive.add(numbered(99), born=4)  # a batch that does not come to its end
    with Archive(path) as archive:
        told(archive, range(4, 6))
        assert archive.dump() == expected


FULL = """
import resource, signal, sys
from thalweg.evolve.archive import Archive
archive = Archive(sys.argv[1])
archive.commit("first")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, 2**17))
try:
    archive.commit("x" * 2**20)
except OSError as error:
    print(type(error).__name__, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_a_disk_that_takes_no_more_is_an_oserror_and_leaves_the_last_batch(path):
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["OSError", str(path)], done.stderr
    with Archive(path) as archive:
        assert archive.checkpoint == "first"


# Files that are not its own


def test_an_archive_that_is_open_in_another_process_is_refused(path):
    script = "import sys\nfrom thalweg.evolve.archive import Archive\n"
    script += "try: Archive(sys.argv[1])\nexcept ValueError as error: print(error)"
    with Archive(path) as archive:
        archive.commit("{}")
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == (
        f"archive {path} is open in another process; wait for it to end, or give another path"
    ), done.stderr
    Archive(path).close()


def made_by_sqlite(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_what_is_no_database_is_refused_and_left_as_it_was(path):
    for content in (b"not a database at all " * 100, b"SQLite format 3\0" + bytes(200), b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or no archive") as raised:
            Archive(path)
        assert str(path) in str(raised.value)
        assert path.read_bytes() == content


def test_an_empty_file_becomes_an_archive(path):
    path.touch()
    with Archive(path) as archive:
        assert len(archive) == 0


def test_a_database_of_another_program_is_refused(path):
    made_by_sqlite(path, "CREATE TABLE candidates (id INTEGER)")
    with pytest.raises(ValueError, match="is a database of another program; give another path"):
        Archive(path)


def test_an_archive_of_another_version_is_refused(path):
    Archive(path).close()
    made_by_sqlite(path, "PRAGMA user_version = 2")
    with pytest.raises(ValueError, match=r"is of version 2, and this thalweg reads 1"):
        Archive(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON scores BEGIN DELETE FROM scores; END",
        "CREATE VIEW v AS SELECT * FROM scores",
        "DROP TABLE counters",
        "ALTER TABLE scores ADD COLUMN more TEXT",
    ],
)
def test_an_archive_whose_tables_were_changed_is_refused(path, statement):
    Archive(path).close()
    made_by_sqlite(path, statement)
    with pytest.raises(ValueError, match="its tables are not those of an archive"):
        Archive(path)


def test_a_damaged_or_shortened_archive_is_refused(path):
    with Archive(path) as archive:
        for i in range(300):
            archive.add(numbered(i), born=0)
        archive.commit("{}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged or no archive"):
        Archive(path)
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    with pytest.raises(ValueError, match="is damaged or no archive"):
        Archive(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('UPDATE candidates SET definition = \'{"name": "x", "text": "w = import os"}\'', "holds no rule"),
        ('UPDATE candidates SET definition = \'{"self": 1, "name": "x", "text": "w = g"}\'', "holds no rule"),
        ("UPDATE candidates SET definition = '[1]'", "a definition must be an object"),
        (f"UPDATE candidates SET definition = '{'[' * 5000}'", "holds no rule"),
        ("UPDATE candidates SET definition = x'00'", "has a value of a wrong kind"),
        ("UPDATE candidates SET size = 'large'", "has a value of a wrong kind"),
        ("UPDATE candidates SET behaviour = NULL", "has a value of a wrong kind"),
        ("UPDATE candidates SET parents = '1 x'", "must be whole numbers"),
        ("UPDATE scores SET value = 'high'", "has a score of a wrong kind"),
        ("UPDATE scores SET value = 9e999", "has a score of a wrong kind"),
        ("UPDATE candidates SET fate = CAST(x'ff' AS TEXT)", "is damaged or no archive"),
    ],
)
def test_a_value_that_was_tampered_with_is_refused_when_it_is_read(path, change, message):
    with Archive(path) as archive:
        archive.score(archive.add(candidate(), born=0, keys=("a", "b")), "full", "digits", 0, 0.5)
        archive.commit("{}")
    made_by_sqlite(path, change)
    with Archive(path) as archive, pytest.raises(ValueError, match=message) as raised:
        _ = archive.entry(1).rule
    assert str(path) in str(raised.value)


def test_a_place_where_no_file_can_be_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "none" / "archive.sqlite"):
        with pytest.raises(ValueError, match="cannot be opened"):
            Archive(place)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.integers(0, 2**40)), max_size=5))
def test_finite_scores_come_back_to_the_last_bit(pairs):
    with Archive(":memory:") as archive:
        entry = archive.add(candidate(), born=0)
        for seed, (value, examples) in enumerate(pairs):
            archive.score(entry, "full", "digits", seed, value, examples)
        for (value, examples), score in zip(pairs, archive.entry(entry.id).scores, strict=True):
            assert score.value == (value if math.isfinite(value) else -math.inf)
            assert score.examples == examples
