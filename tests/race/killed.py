"""Races that are killed at random moments, and two at once: run as a script, it says as JSON what came of them.

Each race runs in a fork of this process, where all is imported and compiled already, and which can be killed with no
loss. What each of them trains is noted in a file.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from race.small import comparable, small_race

from thalweg.race import jobs, load
from thalweg.race.trial import Job

SETTINGS = {"methods": "sgd", "seeds": 32, "budget": 16, "studies": 2, "repeats": 3}  # three jobs, each stacked


def run(store):
    return small_race(store, **SETTINGS)


def started(store, log):
    """The process that runs the race."""
    process = os.fork()
    if process:
        return process

    class Noted(Job):
        def run(self):
            records = super().run()
            with open(log, "a") as file:
                file.writelines(f"{record.key}\n" for record in records)
            return records

    status = 1
    try:
        jobs.Job = Noted
        run(store)
        status = 0
    finally:
        os._exit(status)


def noted(log):
    return log.read_text().split() if log.exists() else []


def safe(store):
    """The trials whose records the store has, in files of their own or in that of their job."""
    keys = {path.stem for path in store.glob("trials/*/*.json")}
    return keys.union(*(json.loads(path.read_text()) for path in store.glob("arrived/*.json")))


def files(store):
    """Every file with what would change if it were written anew."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in store.glob("trials/*/*.json")}


def half_files(store):
    """Files that cannot be read. What a killed process was writing has a name that nobody reads."""
    found = []
    for path in store.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(path.name)
    return found


def killed_until_it_ends(folder, whole, lasts, moments):
    """Runs a race and kills it at a random moment of the time that it takes, again and again, until one run ends."""
    store, log = folder / "store", folder / "log"
    folder.mkdir()
    shutil.copytree(whole / "choices", store / "choices")  # measured once
    found = {"kills": 0, "progress": [], "half": [], "again": [], "rewritten": []}
    ended = False
    while not ended:
        before, there = files(store), safe(store)
        log.unlink(missing_ok=True)
        process = started(store, log)
        time.sleep(moments.uniform(0, 0.6) * lasts)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        ended = not os.WIFSIGNALED(status)
        found["code"] = os.waitstatus_to_exitcode(status)
        found["kills"] += not ended
        found["half"] += half_files(store)
        found["again"] += sorted(there & set(noted(log)))
        found["rewritten"] += [path for path, state in before.items() if files(store)[path] != state]
        found["progress"].append(len(safe(store)))
    found["left"] = [path.name for path in [*store.rglob("*.part"), *store.glob("arrived/*")]]
    found["equal"] = comparable(load(store)) == comparable(load(whole))
    return found


def two_at_once(folder, whole):
    """Two processes that begin the same race in one folder at the same time, without a choice being there."""
    folder.mkdir()
    store, logs = folder / "store", [folder / "one", folder / "two"]
    processes = [started(store, log) for log in logs]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    return {
        "codes": codes,
        "both": len(set(noted(logs[0])) & set(noted(logs[1]))),
        "half": half_files(store),
        "left": [path.name for path in [*store.rglob("*.part"), *store.glob("arrived/*")]],
        "equal": comparable(load(store)) == comparable(load(whole)),
    }


def main(folder, seed):
    moments = random.Random(seed)
    whole = folder / "whole"
    trials = run(whole).trials
    shutil.copytree(whole / "choices", folder / "again" / "choices")
    start = time.monotonic()
    os.waitpid(started(folder / "again", folder / "log"), 0)
    lasts = time.monotonic() - start
    found = []
    while sum(one["kills"] for one in found) < 10:
        found.append(killed_until_it_ends(folder / str(len(found)), whole, lasts, moments))
    print(json.dumps({"trials": trials, "lasts": lasts, "killed": found, "two": two_at_once(folder / "two", whole)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
