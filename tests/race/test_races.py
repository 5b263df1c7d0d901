"""A race as a whole."""

from dataclasses import replace

import pytest
import torch
from race.small import PROTOCOL, TRIALS, comparable, line, plain_method, small_race

from thalweg.race import OtherRace, engine, jobs, load, method_named, race, races, with_ablations
from thalweg.race.arrangement import Arrangement
from thalweg.race.races import Entrants, method_at
from thalweg.race.trial import STACKED
from thalweg.tasks import DataMissing

SPACE = method_named("ades").space
NAMES = ["sgd", "adam", "gravity", "gravity_ema_noise", "gravity_ema"]


# What takes part


def test_naming_a_method_adds_its_plain_forms():
    assert with_ablations(["gravity", "adam", "gravity"]) == ["gravity", "adam", "gravity_ema_noise", "gravity_ema"]
    named = Entrants.named("iris", ["gravity", "gravity-ema", plain_method()])
    assert [method.name for method in named.methods] == ["gravity", "gravity_ema", "plain", "gravity_ema_noise"]
    named = Entrants.named("iris", [method_named("ades"), "sgd"])
    assert [method.name for method in named.methods] == ["ades", "sgd", "ades_heavy_ball"]


def test_names_stand_one_by_one_in_lists_or_between_commas():
    one = Entrants.named("iris, wine", "sgd,torch.optim:Adam")
    other = Entrants.named(["iris", "wine"], (name for name in ("sgd", "torch.optim:Adam")))
    assert [task.name for task in one.tasks] == [task.name for task in other.tasks] == ["iris", "wine"]
    assert [method.name for method in one.methods] == [method.name for method in other.methods] == ["sgd", "Adam"]
    references = {"task iris": "iris", "task wine": "wine", "method sgd": "sgd", "method Adam": "torch.optim:Adam"}
    assert one.references == references


def test_what_came_from_a_program_has_no_reference():
    assert Entrants.named(line(), plain_method()).references == {"task line": "", "method plain": ""}


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (("irsi", "sgd"), {}, r"irsi.*iris"),
        (("iris", "agd"), {}, r"agd.*did you mean"),
        (("iris", "nowhere:Opt"), {}, "nowhere"),
        (("iris,iris", "sgd"), {}, "tasks must hold at least one, each once, got .*iris.*iris"),
        (("iris", "sgd,sgd"), {}, "methods must hold at least one, each once, got .*sgd.*sgd"),
        (([], "sgd"), {}, r"tasks must hold at least one, each once, got \[\]"),
        (("iris", ""), {}, r"methods must hold at least one, each once, got \[\]"),
        (("iris", torch.optim.SGD), {}, r"methods must be names or Methods, got <class 'torch.optim.sgd.SGD'>"),
        ((3, "sgd"), {}, "tasks must be names or Tasks, got 3"),
        (("iris", "sgd"), {"seeds": -1}, "seeds must be a whole number >= 0, got -1"),
        (("iris", "sgd"), {"seeds": 2.5}, "seeds must be a whole number >= 0, got 2.5"),
        (("iris", "sgd"), {"budget": 0}, "budget must be a whole number >= 1, got 0"),
        (("iris", "sgd"), {"studies": 0}, "studies must be a whole number >= 1, got 0"),
        (("iris", "sgd"), {"repeats": -1}, "repeats must be a whole number >= 0, got -1"),
        (("iris", "sgd"), {"seed": "0"}, "seed must be a whole number >= 0, got '0'"),
        (("iris", "sgd"), {"workers": 0}, "workers must be a whole number >= 1, got 0"),
        (("iris", "sgd"), {"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        (("iris", "sgd"), {"margin": -0.1}, "margin must be >= 0"),
        (("iris", "sgd"), {"margin": float("nan")}, "margin must be >= 0"),
        (("iris", "sgd"), {"sampler": "qmx"}, "sampler must be one of qmc, .*, got 'qmx'"),
        (("iris", "sgd"), {"baseline": "adam"}, r"baseline must be one of the methods \(sgd\), got 'adam'"),
        (("iris", "sgd"), {"spaces": {"adam": "space.toml"}}, "spaces must be of methods in the race, got 'adam'"),
        (("iris", "sgd"), {"spaces": {"sgd": "nowhere.toml"}}, "nowhere.toml"),
        (("iris", "sgd"), {"device": "gpu"}, "device must be like cpu, cuda or cuda:1, got 'gpu'"),
        (("iris", "sgd"), {"engine": 3}, "engine must be None, the address of a Dask scheduler .*, got 3"),
        (("iris", replace(plain_method(), space=SPACE)), {}, "the search space of plain does not fit"),
        ((line(train=(torch.ones(9, 3), torch.zeros(9).long())), "sgd"), {}, "task line: .* class"),
    ],
)
def test_what_cannot_be_raced_is_refused_and_nothing_is_written(tmp_path, arguments, changes, said):
    with pytest.raises(ValueError, match=said):
        race(*arguments, store=tmp_path / "store", **changes)
    assert not (tmp_path / "store").exists()


def test_data_that_are_not_there_are_said_to_be_missing(tmp_path):
    with pytest.raises(DataMissing):
        race("mnist", "sgd", data_dir=tmp_path, store=tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()


def test_the_baseline_is_adamw_adam_sgd_or_the_first():
    methods = {name: method_at(name) for name in ("gravity", "sgd", "adam", "adamw")}
    assert races.baseline_of(None, list(methods.values())) == "adamw"
    assert races.baseline_of(None, [methods["sgd"], methods["adam"]]) == "adam"
    assert races.baseline_of(None, [methods["gravity"]]) == "gravity"
    assert races.baseline_of("gravity", list(methods.values())) == "gravity"


# What it comes to


def test_every_place_has_its_studies_and_seeds(small_result):
    places = {(task, method) for task in ("iris", "wine") for method in NAMES}
    assert small_result.records.keys() == small_result.studies.keys() == places
    for place in places:
        assert [record.rep for record in small_result.records[place]] == list(range(8))
        assert [len(study.draws) for study in small_result.studies[place]] == [3, 3, 3]
    assert small_result.trials == 10 * (3 * (3 + 3 * 2) + 8)
    assert small_result.protocol.baseline == "adam"


def test_nothing_but_its_own_stream_depends_on_the_method(small_result):
    """Data, initial weights and batch order are the same for all methods, and others for each seed."""
    for task in ("iris", "wine"):
        finals = [[record.pairing for record in small_result.records[task, name]] for name in NAMES]
        assert all(pairings == finals[0] for pairings in finals)
        tuning = [
            [[[r.pairing for r in d.records[:1]] for d in study.draws] for study in small_result.studies[task, name]]
            for name in NAMES
        ]
        assert all(pairings == tuning[0] for pairings in tuning)
        distinct = {*finals[0], *(pairing for study in tuning[0] for draw in study for pairing in draw)}
        assert len(distinct) == 8 + 3
        assert all(len(set(hashes)) == 8 + 3 for hashes in zip(*distinct, strict=True))


def test_tuning_trials_know_nothing_of_a_test_part(small_result):
    for place, studies in small_result.studies.items():
        tuning = [record for study in studies for draw in study.draws for record in draw.records]
        assert {record.test_metric for record in tuning} == {record.test_metric_best for record in tuning} == {None}
        assert all(record.test_metric is not None for record in small_result.records[place])
        assert {record.role for record in tuning} == {"tuning"}


def test_what_is_written_is_what_was_found(small_result):
    assert load(small_result.store) == small_result


def test_results_do_not_depend_on_what_else_is_raced(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "measure", lambda task, device: Arrangement(STACKED, 1e-5, 1e-3, 8, 256))
    smaller = {"budget": 2, "studies": 1, "repeats": 0}
    alone = small_race(tmp_path / "alone", methods=["sgd"], **smaller)
    tasks = [line(name="other", epochs=1), line()]
    together = small_race(tmp_path / "together", tasks, ["heavy_ball", "sgd"], **smaller)
    (records,), (studies,) = alone.records.values(), alone.studies.values()
    assert [r.result_hash for r in records] == [r.result_hash for r in together.records["line", "sgd"]]
    draws, others = (s[0].draws for s in (studies, together.studies["line", "sgd"]))
    assert [d.hyperparameters for d in draws] == [d.hyperparameters for d in others]


def test_the_master_seed_decides_everything(tmp_path, unmeasured):
    first, same, other = (small_race(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1)))
    assert comparable(first) == comparable(same)
    hashes = [{record.pairing for records in r.records.values() for record in records} for r in (first, other)]
    assert not hashes[0] & hashes[1]


def test_it_leaves_torch_as_it_was(tmp_path, unmeasured):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    small_race(tmp_path, methods=[plain_method(), "sgd"], seeds=1, budget=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_without_a_store_it_has_a_folder_of_its_own(tmp_path, monkeypatch, unmeasured):
    monkeypatch.chdir(tmp_path)
    first = small_race(None, seeds=1, budget=1)
    second = small_race(None, seeds=2, budget=1)
    assert sorted(path.name for path in (tmp_path / "race-store").iterdir()) == sorted(
        r.manifest["spec_hash"][:8] for r in (first, second)
    )
    assert first.store == f"race-store/{first.manifest['spec_hash'][:8]}"


# Going on


def test_the_same_race_again_runs_nothing_and_says_the_same(tmp_path, monkeypatch, unmeasured, trained):
    first = small_race(tmp_path)
    assert (first.found, len(trained)) == (0, TRIALS)
    monkeypatch.setattr(engine, "executor", None)  # it needs none
    second = small_race(tmp_path)
    assert (second.found, len(trained)) == (TRIALS, TRIALS)
    assert replace(second, found=0) == first


def test_more_seeds_methods_and_tasks_keep_the_trials_that_are_there(tmp_path, unmeasured, trained):
    methods = [plain_method(), plain_method("momentum", momentum=0.9)]
    first = small_race(tmp_path / "grown", methods=methods[:1], seeds=2)
    for more in ({"seeds": 4}, {"methods": methods[::-1]}, {"task": [line(name="other", epochs=1), line()]}):
        arguments = {"methods": methods[:1] if "seeds" in more else methods} | more
        before, trained[:] = set(trained), []
        result = small_race(tmp_path / "grown", **arguments, baseline="plain")
        assert trained
        assert not before & set(trained)
        assert result.trials == result.found + len(trained)
        trained.extend(before)
        assert replace(load(tmp_path / "grown"), found=result.found) == result
    assert result.records["line", "plain"][:2] == first.records["line", "plain"]
    whole = small_race(tmp_path / "whole", line(), methods, baseline="plain")
    for place in whole.records:
        assert comparable(result)[0][place] == comparable(whole)[0][place]
        assert comparable(result)[1][place] == comparable(whole)[1][place]


def test_a_race_with_other_settings_is_refused_and_what_is_there_is_kept(tmp_path, unmeasured):
    first = small_race(tmp_path)
    for change in ({"budget": 4}, {"seeds": 3}, {"studies": 1}, {"seed": 1}, {"methods": plain_method(lr=0.2)}):
        with pytest.raises(OtherRace, match="holds another race"):
            small_race(tmp_path, **change)
    assert replace(load(tmp_path), found=0) == first


@pytest.mark.parametrize(("sampler", "budget"), [("qmc", 2), ("tpe", 13), ("gp", 7)])
def test_a_race_that_stops_after_any_job_goes_on_as_if_it_had_not(tmp_path, unmeasured, trained, sampler, budget):
    """Also where what is tried next depends on what was found."""
    changes = {"sampler": sampler, "budget": budget, "studies": 1, "methods": plain_method(momentum=0.5)}
    jobs = []
    whole = small_race(tmp_path / "whole", **changes, on_progress=lambda progress: jobs.extend(progress.records[:1]))
    assert len(jobs) >= 3

    for stop in range(1, len(jobs) + 1):
        seen = []

        def stopping(progress, seen=seen, stop=stop):
            seen.extend(progress.records[:1])
            if len(seen) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            small_race(tmp_path / str(stop), on_progress=stopping, **changes)
        there = {path.stem for path in (tmp_path / str(stop)).rglob("trials/*/*.json")}
        trained.clear()
        resumed = small_race(tmp_path / str(stop), **changes)
        assert there
        assert not there & set(trained)
        assert comparable(resumed) == comparable(whole)


def test_progress_tells_of_every_trial_once(tmp_path, unmeasured):
    told = []
    result = small_race(tmp_path, [line(), line(name="other")], on_progress=told.append)
    for name in ("line", "other"):
        of_task = [progress for progress in told if progress.task == name]
        assert [progress.trials for progress in of_task] == [TRIALS] * len(of_task)
        done = [progress.done for progress in of_task]
        assert done == sorted(done)
        assert done[-1] == TRIALS
        keys = [record.key for progress in of_task for record in progress.records]
        assert len(set(keys)) == len(keys) == TRIALS
        assert any(progress.arrangement for progress in of_task)
    assert result.trials == 2 * TRIALS


def test_equal_settings_count_as_often_as_they_are_asked_for(tmp_path, unmeasured):
    """A method with nothing to tune tries its default again and again: that is one trial."""
    told = []
    result = small_race(tmp_path, methods=replace(plain_method(), space=()), on_progress=told.append)
    assert told[-1].done == result.trials == TRIALS
    assert len(list((tmp_path / "trials").rglob("*.json"))) == 2 * 2 + PROTOCOL["seeds"]


def test_going_on_with_other_versions_is_noted(tmp_path, monkeypatch, unmeasured):
    def stop(progress):
        if progress.records:
            raise KeyboardInterrupt

    def elsewhere(command):
        return {**provenance(command), "versions": {"torch": "9"}}

    provenance = races.provenance
    with pytest.raises(KeyboardInterrupt):
        small_race(tmp_path, on_progress=stop)
    with monkeypatch.context() as patch:
        patch.setattr(races, "provenance", elsewhere)
        went_on = small_race(tmp_path).manifest["provenance"]
    assert went_on["versions"]["torch"] == torch.__version__
    assert [one["versions"] for one in went_on["resumed"]] == [{"torch": "9"}]
    (tmp_path / "cells" / "line" / "plain.json").unlink()
    monkeypatch.setattr(races, "provenance", lambda command: {**provenance(command), "versions": {"torch": "10"}})
    assert small_race(tmp_path).manifest["provenance"] == went_on  # for nothing was run
    longer = small_race(tmp_path, seeds=5).manifest["provenance"]
    assert longer["versions"] == {"torch": "10"}
    assert longer["before"] == [went_on]
