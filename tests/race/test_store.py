"""The folder that keeps a race: nothing of it is lost, half or run twice."""

import dataclasses
import json
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from race.small import TRIALS, comparable, line, made_manifest, made_record, small_race

from thalweg.race import OtherRace, Store, StoreError, load
from thalweg.race import store as stores
from thalweg.race.record import Record
from thalweg.race.result import Draw, Protocol, Study
from thalweg.race.store import Unreadable, writable

PLACE = "iris", "adam"
MANIFEST = made_manifest()


class Killed(BaseException):
    """As if the process had been killed here."""


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def finished(folder, manifest=MANIFEST):
    """A store with a race of one draw and one final trial, as a race leaves it."""
    store = Store(folder)
    store.begin(manifest)
    tuning, final = made_record(key="tuning", role="tuning"), made_record(key="final")
    store.put([tuning, final])
    studies = (Study(0, (Draw(tuning.hyperparameters, (tuning,)),)),)
    for task in manifest.tasks:
        for method in manifest.methods:
            place = task.name, method.name
            store.put_cell(place, manifest.place_hash(*place), studies, [final])
    return store


# Records


def test_a_record_is_read_back_to_the_bit(tmp_path):
    record = made_record()
    assert Store(tmp_path / "new" / "folder").put([record]) == [record]
    assert Store(tmp_path / "new" / "folder").get("abc") == record
    assert files_in(tmp_path) == {"new/folder/trials/ab/abc.json"}


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made_record().test_metric = 1.0


def test_what_was_not_run_is_none(tmp_path):
    assert Store(tmp_path).get("abc") is None
    assert Store(tmp_path / "absent").get("abc") is None
    assert Store(tmp_path / "absent").records(["abc"]) == {}


def test_a_file_is_plain_json_that_anyone_can_read(tmp_path):
    Store(tmp_path).put([made_record()])
    fields = json.loads((tmp_path / "trials" / "ab" / "abc.json").read_text())
    assert fields["hyperparameters"] == {"lr": 0.1 + 0.2, "betas": [0.9, 0.999]}
    assert fields.keys() == {field.name for field in dataclasses.fields(Record)}


def test_a_number_that_is_not_finite_is_refused_and_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Store(tmp_path).put([made_record(), made_record(key="def", test_loss=float("nan"))])
    assert files_in(tmp_path) == set()


def test_of_two_that_ran_the_same_trial_both_go_on_with_what_the_first_wrote(tmp_path):
    first, second = made_record(seconds=1.0), made_record(seconds=2.0)
    assert Store(tmp_path).put([first]) == [first]
    assert Store(tmp_path).put([second, made_record(key="def")]) == [first, made_record(key="def")]
    assert Store(tmp_path).get("abc") == first


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 2}', '{"schema": 0}', "\x00", "3"])
def test_an_unreadable_record_is_an_error_that_names_the_file(tmp_path, text):
    path = Store(tmp_path).path("abc")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(Unreadable, match=r"abc\.json is not a readable record .* delete it"):
        Store(tmp_path).get("abc")


def test_a_record_under_the_name_of_another_trial_is_an_error(tmp_path):
    Store(tmp_path).put([made_record()])
    os.rename(Store(tmp_path).path("abc"), Store(tmp_path).path("abd"))
    with pytest.raises(Unreadable, match=r"abd\.json holds the record of another trial \(abc\)"):
        Store(tmp_path).get("abd")


def test_an_empty_file_which_a_power_failure_leaves_is_a_trial_that_was_not_run(tmp_path):
    Store(tmp_path).put([made_record()])
    os.truncate(Store(tmp_path).path("abc"), 0)
    assert Store(tmp_path).get("abc") is None
    Store(tmp_path).put([made_record()])
    assert Store(tmp_path).get("abc") == made_record()


# Jobs


def test_a_job_that_was_on_its_way_arrives_when_the_race_goes_on(tmp_path, monkeypatch):
    records = [made_record(key=f"{i:02d}") for i in range(5)]
    write, written = stores.write_once, []

    def write_three(path, text):
        if len(written) == 3:
            raise Killed
        result = write(path, text)
        written.append(path)
        return result

    Store(tmp_path).begin(MANIFEST)
    monkeypatch.setattr(stores, "write_once", write_three)
    with pytest.raises(Killed):
        Store(tmp_path).put(records)
    monkeypatch.undo()
    assert len(list((tmp_path / "trials").rglob("*.json"))) == 3
    Store(tmp_path).begin(MANIFEST)
    assert Store(tmp_path).records(record.key for record in records) == {record.key: record for record in records}
    assert not list((tmp_path / "arrived").iterdir())


def test_a_job_that_another_process_is_writing_is_seen_whole_or_not_at_all(tmp_path):
    jobs = [[made_record(key=f"{job:02d}{i:02d}") for i in range(20)] for job in range(30)]
    keys = [record.key for job in jobs for record in job]
    halves = []

    def look():
        while writer.is_alive():
            there = Store(tmp_path).records(keys)
            halves.extend(job for job in jobs if len({record.key in there for record in job}) == 2)

    writer = threading.Thread(target=lambda: [Store(tmp_path).put(job) for job in jobs])
    reader = threading.Thread(target=look)
    writer.start()
    reader.start()
    writer.join()
    reader.join()
    assert not halves
    assert len(Store(tmp_path).records(keys)) == len(keys)


def test_a_job_that_another_process_has_taken_in_meanwhile_is_no_error(tmp_path, monkeypatch):
    read = Path.read_text

    def read_as_it_vanishes(path, **options):
        if path.parent.name == "arrived":
            path.unlink()
        return read(path, **options)

    (tmp_path / "arrived").mkdir()
    (tmp_path / "arrived" / "job.json").write_text(json.dumps({"abc": made_record().to_json()}))
    monkeypatch.setattr(Path, "read_text", read_as_it_vanishes)
    assert Store(tmp_path).begin(MANIFEST) == MANIFEST


@pytest.mark.parametrize("text", ["{", "[]", '{"abc": 3}'])
def test_a_foreign_file_among_the_jobs_is_an_error_that_names_it(tmp_path, text):
    (tmp_path / "arrived").mkdir()
    (tmp_path / "arrived" / "job.json").write_text(text)
    with pytest.raises(Unreadable, match=r"job\.json is not a readable file of records"):
        Store(tmp_path).begin(MANIFEST)


# The race that a folder holds


def test_a_folder_is_one_races_and_says_what_another_would_change(tmp_path):
    Store(tmp_path).begin(MANIFEST)
    before = (tmp_path / "manifest.json").read_bytes()
    other = made_manifest(protocol=replace(MANIFEST.protocol, draws=9, sampler="tpe"))
    with pytest.raises(OtherRace, match=r"another race \(its draws is 1; its sampler is qmc\); give another store"):
        Store(tmp_path).begin(other)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_the_same_race_again_keeps_the_manifest_that_is_there(tmp_path):
    Store(tmp_path).begin(MANIFEST)
    later = made_manifest(provenance={"command": "later"})
    assert Store(tmp_path).begin(later) == MANIFEST


def test_a_longer_race_takes_the_folder_over(tmp_path):
    Store(tmp_path).begin(MANIFEST)
    more = made_manifest(protocol=replace(MANIFEST.protocol, seeds=9), provenance={"command": "more"})
    taken = Store(tmp_path).begin(more)
    assert taken.hash == more.hash == Store(tmp_path).manifest().hash
    assert taken.provenance == {"command": "more", "before": [MANIFEST.provenance]}
    with pytest.raises(OtherRace, match="it has 9 seeds, which are more"):
        Store(tmp_path).begin(MANIFEST)


def test_of_two_races_that_begin_at_once_in_one_folder_one_has_it(tmp_path, monkeypatch):
    other = made_manifest(protocol=replace(MANIFEST.protocol, master=1))
    monkeypatch.setattr(stores, "writable", lambda folder: Store(folder).put_manifest(other))
    with pytest.raises(OtherRace):
        Store(tmp_path).begin(MANIFEST)
    assert Store(tmp_path).manifest() == other


@pytest.mark.parametrize("text", ["{", "[1]", '{"name": "my web app"}', json.dumps(MANIFEST.as_dict() | {"schema": 1})])
def test_a_manifest_that_is_none_is_left_as_it_is(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Unreadable, match=r"manifest\.json is not a readable manifest .* give another store"):
        Store(tmp_path).begin(MANIFEST)
    assert files_in(tmp_path) == {"manifest.json"}
    assert (tmp_path / "manifest.json").read_text() == text


def test_a_store_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Unreadable, match=r"the store .* must be a folder, but .*file is a file"):
            Store(path).begin(MANIFEST)
    assert (tmp_path / "file").read_text() == "mine"


def test_choices_are_made_once(tmp_path):
    assert Store(tmp_path).choice("iris") is None
    assert Store(tmp_path).put_choice("iris", {"arrangement": "alone"}) == {"arrangement": "alone"}
    assert Store(tmp_path).put_choice("iris", {"arrangement": "stacked"}) == {"arrangement": "alone"}
    assert Store(tmp_path).choice("iris") == {"arrangement": "alone"}


# Cells, and a race read back


def test_a_cell_counts_for_the_race_that_it_was_made_for(tmp_path):
    store = finished(tmp_path)
    studies, finals = store.cell(PLACE, MANIFEST.place_hash(*PLACE))
    assert finals == (made_record(key="final"),)
    assert studies[0].chosen.hyperparameters == {"lr": 0.1 + 0.2, "betas": (0.9, 0.999)}
    longer = made_manifest(protocol=replace(MANIFEST.protocol, seeds=2))
    assert store.cell(PLACE, longer.place_hash(*PLACE)) is None
    assert store.cell(("wine", "adam"), "") is None


def test_names_that_a_disk_may_take_for_the_same_are_kept_apart(tmp_path):
    store = Store(tmp_path)
    for number, name in enumerate(["adam", "Adam", "a/d", "../adam", "é"]):
        store.put([made_record(key=str(number))])
        store.put_cell(("iris", name), name, (), [made_record(key=str(number))])
    for number, name in enumerate(["adam", "Adam", "a/d", "../adam", "é"]):
        assert store.cell(("iris", name), name) == ((), (made_record(key=str(number)),))
    cells = [path.name.lower() for path in (tmp_path / "cells" / "iris").iterdir()]
    assert len(set(cells)) == 5


def test_a_finished_race_is_read_from_its_folder_alone(tmp_path):
    finished(tmp_path)
    result = load(tmp_path)
    assert (result.tasks, result.methods) == (MANIFEST.tasks, MANIFEST.methods)
    assert result.protocol == Protocol(seeds=1, draws=1, studies=1, baseline="adam")
    assert result.records == {PLACE: (made_record(key="final"),)}
    assert result.manifest == MANIFEST.as_dict()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("cells/iris/adam.json", "is not finished: give its command again"),
        ("trials/fi/final.json", "is not finished: give its command again"),
        ("manifest.json", "is not the store of a race"),
    ],
)
def test_a_folder_that_is_no_finished_race_is_refused_in_words(tmp_path, missing, said):
    finished(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(Unreadable, match=said):
        load(tmp_path)


def test_a_race_that_was_extended_and_not_finished_is_not_taken_for_finished(tmp_path):
    finished(tmp_path)
    Store(tmp_path).begin(made_manifest(protocol=replace(MANIFEST.protocol, seeds=2), provenance={"command": "go on"}))
    with pytest.raises(Unreadable, match=r"is not finished: give its command again \(go on\)"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"place_hash": "HASH"}', '{"place_hash": "HASH", "studies": 3}'])
def test_a_damaged_cell_is_an_error_that_names_it(tmp_path, text):
    finished(tmp_path)
    (tmp_path / "cells" / "iris" / "adam.json").write_text(text.replace("HASH", MANIFEST.place_hash(*PLACE)))
    with pytest.raises(Unreadable, match=r"adam\.json is not a readable cell"):
        load(tmp_path)


def test_whether_a_folder_can_be_written_is_known_before(tmp_path):
    (tmp_path / "file").touch()
    assert writable(tmp_path / "not" / "yet") == ""
    assert "is a file" in writable(tmp_path / "file" / "below")


# Whole races


def test_a_race_killed_at_any_write_goes_on_and_comes_to_the_same(tmp_path, monkeypatch, unmeasured, trained):
    """At each of its writes in turn, before it or right after it."""
    smaller = {"seeds": 2, "budget": 2, "studies": 1}
    whole = comparable(small_race(tmp_path / "whole", **smaller))
    trials = len(trained)
    assert len(set(trained)) == trials == 6
    writes = 0

    def dying(write, at, after):
        def write_or_die(path, text):
            nonlocal writes
            if writes + 1 == at and not after:
                raise Killed
            result = write(path, text)
            writes += 1
            if writes == at:
                raise Killed
            return result

        return write_or_die

    at, killed = 0, True
    while killed:
        at += 1
        for after in (False, True):
            folder, writes, killed = tmp_path / f"{at}-{after}", 0, False
            with monkeypatch.context() as patch:
                patch.setattr(stores, "write_once", dying(stores.write_once, at, after))
                patch.setattr(stores, "write_atomically", dying(stores.write_atomically, at, after))
                try:
                    small_race(folder, **smaller)
                except Killed:
                    killed = True
            safe = [key for path in folder.rglob("arrived/*.json") for key in json.loads(path.read_text())]
            safe += [path.stem for path in folder.rglob("trials/*/*.json")]
            trained.clear()
            result = small_race(folder, **smaller)
            assert comparable(result) == whole
            assert not set(trained) & set(safe)
            assert len(trained) == trials - len(set(safe)) == trials - result.found
            assert not list((folder / "arrived").iterdir())
            shutil.rmtree(folder)
    assert at > trials + 5  # manifest, choice, three jobs and a cell are written too


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many KiB, or gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        options = f"size={size}k,remount" if os.path.ismount(folder) else f"size={size}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a tmpfs cannot be mounted here: {error}")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_a_race_clearly_and_it_goes_on_where_there_is_room(small_disk, tmp_path, unmeasured, trained):
    whole = comparable(small_race(tmp_path / "whole"))
    trained.clear()
    stops = 0
    for size in range(8, 400, 12):  # a file takes 4 KiB at least
        folder = small_disk(size) / "store"
        try:
            result = small_race(folder)
            break
        except StoreError as error:
            stops += "No space left on device; what is finished is safe, and the same command goes on" in str(error)
        for path in folder.rglob("*"):
            assert path.is_dir() or json.loads(path.read_text())
    assert stops > 5
    assert comparable(result) == whole
    assert not list((folder / "arrived").iterdir())


def test_a_finished_race_can_be_had_from_a_disk_that_is_read_only(small_disk, unmeasured, trained):
    folder = small_disk(1000)
    first = small_race(folder / "store")
    trained.clear()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    assert comparable(small_race(folder / "store")) == comparable(first) == comparable(load(folder / "store"))
    assert not trained
    with pytest.raises(StoreError, match=r"cannot write .*: Read-only file system"):
        small_race(folder / "store", seeds=5)
    with pytest.raises(Unreadable, match=r"cannot be written: .* is read-only; give another one"):
        small_race(folder / "other")


def test_without_its_manifest_a_store_still_has_its_trials_and_no_cell_of_another_race(tmp_path, unmeasured, trained):
    first = small_race(tmp_path)
    trained.clear()
    (tmp_path / "manifest.json").unlink()
    other = small_race(tmp_path, line(epochs=3))
    assert len(trained) == TRIALS
    assert comparable(other) != comparable(first)
    trained.clear()
    (tmp_path / "manifest.json").unlink()
    assert comparable(small_race(tmp_path)) == comparable(first)
    assert not trained
