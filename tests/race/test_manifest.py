"""The specification of a race, its hash, and with what it was run."""

import json
import subprocess
from dataclasses import replace

import pytest
from race.small import made_manifest

from thalweg.race import Choice, Float
from thalweg.race import manifest as manifests
from thalweg.race.manifest import Manifest, differences, extends, provenance
from thalweg.race.result import Protocol

BASE = made_manifest()
TASK, METHOD, PROTOCOL = BASE.tasks[0], BASE.methods[0], BASE.protocol
SCHEDULE = Choice("schedule", ("constant", "cosine"))
SAME = {
    "another time and command": made_manifest(provenance={"command": "thalweg race", "started": "later"}),
    "another title": made_manifest(tasks=(replace(TASK, title="Flowers"),), methods=(replace(METHOD, title="A"),)),
    "another way to name it": made_manifest(references={}, checksums={}),
}
OTHER = {
    "data, network or settings": made_manifest(tasks=(replace(TASK, fingerprint="0" * 64),)),
    "a name": made_manifest(tasks=(replace(TASK, name="wine"),)),
    "a definition": made_manifest(definitions={"adam": {"text": "w = w - 2*lr*g", "state": ["m"]}}),
    "a default": made_manifest(hyperparameters={"adam": {"lr": 0.3, "betas": (0.9, 0.999)}}),
    "a range": made_manifest(methods=(replace(METHOD, space=(Float("lr", 1e-3, 2.0),)),)),
    "a dimension": made_manifest(methods=(replace(METHOD, space=(*METHOD.space, SCHEDULE)),)),
    **{
        name: made_manifest(protocol=replace(PROTOCOL, **{name: value}))
        for name, value in {
            "seeds": 2, "draws": 2, "studies": 2, "repeats": 1, "sampler": "tpe", "master": 1, "baseline": "sgd",
            "margin": 0.1, "device": "cuda",
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("changed", SAME)
def test_the_hash_is_that_of_the_comparison_and_not_of_its_circumstances(changed):
    assert SAME[changed].hash == BASE.hash


@pytest.mark.parametrize("changed", OTHER)
def test_the_hash_changes_with_all_that_decides_the_comparison(changed):
    assert OTHER[changed].hash != BASE.hash


def test_every_setting_of_the_protocol_is_covered():
    assert set(Protocol.__dataclass_fields__) <= OTHER.keys()


def test_a_manifest_is_read_back_whole():
    again = Manifest.from_json(BASE.to_json())
    assert again == BASE
    assert again.hash == BASE.hash == json.loads(BASE.to_json())["spec_hash"]


def test_tuples_do_not_make_another_hash_of_what_was_read_back():
    made = made_manifest(definitions={"adam": {"text": "w = w - lr*g", "state": ("m",), "betas": (0.9, 0.999)}})
    assert Manifest.from_json(made.to_json()).hash == made.hash
    assert Manifest.from_json(made.to_json()).as_dict() == made.as_dict()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 2, "tasks": [], "methods": 3}'])
def test_other_texts_are_no_manifest(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Manifest.from_json(text)


def test_a_race_is_extended_by_tasks_methods_and_seeds_alone():
    more = made_manifest(
        tasks=(replace(TASK, name="wine"), TASK),
        methods=(replace(METHOD, name="sgd"), METHOD),
        definitions={**BASE.definitions, "sgd": {}},
        hyperparameters={**BASE.hyperparameters, "sgd": {}},
        protocol=replace(PROTOCOL, seeds=5),
    )
    assert extends(more, BASE)
    assert not extends(BASE, more)
    assert extends(BASE, BASE)
    assert {name for name, other in OTHER.items() if extends(other, BASE)} == {"seeds"}


def test_a_place_has_another_hash_with_what_concerns_it_alone():
    two = made_manifest(tasks=(TASK, replace(TASK, name="wine")))
    assert two.place_hash("iris", "adam") == BASE.place_hash("iris", "adam") != two.place_hash("wine", "adam")
    for name, other in OTHER.items():
        if name != "a name":
            assert other.place_hash("iris", "adam") != BASE.place_hash("iris", "adam"), name


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("a name", ["its tasks are iris"]),
        ("data, network or settings", ["the data, the network or the settings of iris are others"]),
        ("a range", ["the rule, the defaults or the search space of adam are others"]),
        ("draws", ["its draws is 1"]),
        ("margin", ["its margin is None"]),
    ],
)
def test_differences_are_said_in_words(changed, said):
    assert differences(OTHER[changed], BASE) == said
    assert differences(BASE, BASE) == []


def test_going_on_elsewhere_is_noted_once():
    elsewhere = {**BASE.provenance, "started": "later", "versions": {"torch": "3"}}
    noted = BASE.gone_on(elsewhere)
    assert noted.provenance["resumed"] == [elsewhere]
    assert noted.gone_on({**elsewhere, "started": "later still"}) is noted
    assert BASE.gone_on({**BASE.provenance, "started": "later", "command": "other"}) is BASE
    assert noted.hash == BASE.hash


def test_a_race_that_takes_over_another_says_with_what_that_was_run():
    more = made_manifest(protocol=replace(PROTOCOL, seeds=2), provenance={"command": "second"})
    most = made_manifest(protocol=replace(PROTOCOL, seeds=3), provenance={"command": "third"})
    taken = most.extending(more.extending(BASE))
    assert taken.command == "third"
    assert taken.provenance["before"] == [BASE.provenance, {"command": "second"}]


def test_provenance_has_versions_and_the_machine():
    found = provenance("thalweg race")
    assert found["command"] == "thalweg race"
    assert set(found["versions"]) == {"python", *manifests.PACKAGES}
    assert found["machine"]["cpus"] >= 1
    json.dumps(found)


def test_a_commit_is_dirty_by_what_differs_in_the_folder_of_the_code(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    code = tmp_path / "code"
    code.mkdir()
    (code / "one.py").write_text("1")
    assert manifests._git(code) == {"commit": None, "dirty": None}
    git("init", "-q")
    assert manifests._git(code) == {"commit": None, "dirty": None}  # installed in a folder that is somebody's project
    git("add", ".")
    git("commit", "-q", "-m", "one")
    (tmp_path / "notes.txt").write_text("beside the code")
    clean = manifests._git(code)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is None
    (code / "two.py").write_bytes(b"\xff")
    added = manifests._git(code)
    (code / "two.py").write_bytes(b"\xfe")
    changed = manifests._git(code)
    (code / "one.py").write_bytes(b"\xff")
    states = [state["dirty"] for state in (clean, added, changed, manifests._git(code))]
    assert len(set(states)) == 4
