"""Files that appear whole or not at all."""

import os
import socket
import subprocess
import sys

import pytest

from thalweg.files import remove_abandoned, write_atomically, write_once


@pytest.mark.parametrize("write", [write_atomically, write_once])
def test_a_file_holds_what_was_written_and_nothing_is_left_beside_it(tmp_path, write):
    write(tmp_path / "text", "é\n")
    write(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa9\n"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bytes", "text"]
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o644


def test_writing_anew_replaces_the_whole_file_and_writing_once_keeps_the_first(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "a long first text")
    write_atomically(path, "short")
    assert path.read_text() == "short"
    before = path.stat()
    assert not write_once(path, "other")
    assert path.read_text() == "short"
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_which_a_power_failure_leaves_is_written(tmp_path):
    (tmp_path / "file").touch()
    assert write_once(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_on_a_disk_without_links_a_file_is_written_once_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert write_once(tmp_path / "file", "first")
    assert not write_once(tmp_path / "file", "second")
    assert (tmp_path / "file").read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("step", ["chmod", "replace"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_text("before")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "file", "after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_of_many_processes_that_write_a_file_once_one_wins(tmp_path):
    code = (
        "import sys; from pathlib import Path; from thalweg.files import write_once; "
        "print(sum(write_once(Path(f'{sys.argv[1]}/{i}'), sys.argv[2] * 5000) for i in range(200)))"
    )
    start = [sys.executable, "-c", code, str(tmp_path)]
    writers = [subprocess.Popen([*start, letter], stdout=subprocess.PIPE, text=True) for letter in "abc"]
    won = [int(writer.communicate()[0]) for writer in writers]
    assert sum(won) == 200
    texts = [(tmp_path / str(i)).read_text() for i in range(200)]
    assert all(text in ("a" * 5000, "b" * 5000, "c" * 5000) for text in texts)
    assert [sum(text[0] == letter for text in texts) for letter in "abc"] == won
    assert len(list(tmp_path.iterdir())) == 200


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    names = {
        "abandoned": f".{socket.gethostname()}-{gone.pid}-x.part",
        "of a living process": f".{socket.gethostname()}-{os.getpid()}-x.part",
        "of another machine": f".elsewhere-{gone.pid}-x.part",
        "of the user": "thesis.part",
    }
    for name in names.values():
        (folder / name).write_text("half")
    remove_abandoned(tmp_path)
    assert {path.name for path in folder.iterdir()} == set(names.values()) - {names["abandoned"]}
