"""The gallery: names, sources, states, ablations, and defaults as they were published."""

from __future__ import annotations

import inspect
import re

import pytest
import torch

from thalweg.rules.gallery import GALLERY, find

every_entry = pytest.mark.parametrize("entry", GALLERY.values(), ids=GALLERY)

# Written from the papers and torch's documentation. What a paper leaves open is from its authors' code, or torch's;
# the survey's momentum has neither.
PUBLISHED: dict[str, dict[str, object]] = {
    # torch.optim.SGD
    "sgd": {"lr": 1e-3},
    "heavy_ball": {"lr": 1e-3},
    "dampened_momentum": {"lr": 1e-3, "dampening": 0.0},
    "nesterov": {"lr": 1e-3},
    # Duchi et al. 2011 have no numbers; torch.optim.Adagrad
    "adagrad": {"lr": 1e-2, "lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
    # torch.optim.Adadelta
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    # torch.optim.RMSprop
    "rmsprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8},
    "rmsprop_centered": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8},
    "rmsprop_momentum": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8},
    "rmsprop_centered_momentum": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8},
    # Kingma and Ba 2015, Algorithms 1 and 2: Adam 0.001, Adamax 0.002
    "adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    "amsgrad": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    "adamax": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    # torch.optim.AdamW
    "adamw": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    # torch.optim.NAdam, RAdam, Rprop
    "nadam": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3},
    "radam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    "rprop": {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)},
    # Zhuang et al. 2020: Adam's, and the authors' first package
    "adabelief": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    # Zaheer et al. 2018, section 5: lr 0.01, eps 0.001; the first author's initial accumulator
    "yogi": {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-3, "initial_accumulator": 1e-6},
    # Chen et al. 2023 and google/automl: lr 1e-4, betas (0.9, 0.99), decay 0
    "lion": {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0},
    # Bernstein et al. 2018, section on ImageNet: momentum 0.9, lr 1e-4
    "signum": {"lr": 1e-4, "beta": 0.9},
    # Carvalho et al. 2022: Table 3's Sign, the evolved ADES, and equation 8
    "sign": {"lr": 9e-4},
    "ades": {"lr": 1.0, "betas": (0.9107829, 0.999061)},
    "ades_heavy_ball": {"lr": 1.0, "betas": (0.9107829, 0.999061)},
    "ades_eq8": {"lr": 1.0, "betas": (0.08922, 0.0891)},
    # Bahrami and Pouriyan Zadeh 2021: l = 0.1, alpha = 0.01, beta = 0.9
    "gravity": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_ema_noise": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_ema": {"lr": 0.1, "beta": 0.9},
    "gravity_std": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_range": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_zscore": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
}
GRAVITIES = {name for name in PUBLISHED if name.startswith("gravity")}

# Those that torch.optim has: our rule, torch's class, and torch's names where they differ from ours.
TORCH = {
    "adagrad": torch.optim.Adagrad, "adadelta": torch.optim.Adadelta, "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adamax": torch.optim.Adamax, "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam, "rprop": torch.optim.Rprop, "sgd": torch.optim.SGD,
}  # fmt: skip


def bibtex_fields(text: str) -> tuple[str, dict[str, str]]:
    """The key and the fields of one entry, each on a line of its own."""
    match = re.fullmatch(r"@misc\{([a-z0-9_]+),\n(.*),\n\}", text, re.DOTALL)
    assert match, text
    fields = {}
    for line in match[2].split(",\n"):
        field = re.fullmatch(r"  (\w+) = \{(.*)\}", line)
        assert field, line
        fields[field[1]] = field[2]
    return match[1], fields


@every_entry
def test_bibtex_is_well_formed(entry):
    key, fields = bibtex_fields(entry.source.bibtex())
    assert key == entry.source.key
    assert {"author", "title", "howpublished"} <= fields.keys() <= {"author", "title", "howpublished", "year", "url"}
    assert all(fields.values())
    for value in fields.values():
        depth = 0
        for character in value:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0
        assert not re.search(r"(?<!\\)[%#&$]", value)  # characters that BibTeX gives to TeX
    for author in fields["author"].split(" and "):
        assert re.fullmatch(r"[^,]+, [^,]+", author), author
    assert re.fullmatch(r"\{.+\}", fields["title"])  # braces keep the title's capitals
    assert re.fullmatch(r"(19|20)\d\d", fields.get("year", "2000"))
    assert re.fullmatch(r"https?://\S+", fields.get("url", "https://-"))


def test_one_source_has_one_key():
    sources = {entry.source for entry in GALLERY.values()}
    assert len({source.key for source in sources}) == len(sources)


@every_entry
def test_source_in_words_holds_authors_title_and_address(entry):
    text = str(entry.source)
    assert entry.source.authors in text
    assert entry.source.title in text
    assert text.endswith(entry.source.url)
    assert "None" not in text
    assert "()" not in text


def test_names_are_unique_lower_case_and_underscored():
    names = [entry.rule.name for entry in GALLERY.values()]
    assert list(GALLERY) == names
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)


def test_gallery_holds_what_it_promises():
    assert set(GALLERY) >= {*PUBLISHED, "ema_momentum"}
    assert GALLERY.keys() <= {*PUBLISHED, "ema_momentum"}, "a new rule needs its published defaults in this file"


@every_entry
def test_states_are_declared(entry):
    definition = entry.rule.definition()
    assert definition["state"] == entry.rule.states
    assert definition["state"] is not None


@every_entry
def test_title_is_a_line_without_a_stop(entry):
    assert 10 <= len(entry.title) <= 120
    assert "\n" not in entry.title
    assert not entry.title.endswith(".")


@every_entry
def test_ablations_are_rules_of_the_gallery_and_need_none_themselves(entry):
    assert set(entry.ablations) <= set(GALLERY)
    assert entry.rule.name not in entry.ablations
    for name in entry.ablations:
        assert GALLERY[name].ablations == ()
        assert not GALLERY[name].reference


def test_published_methods_name_the_plain_rules_that_they_reduce_to():
    for name in GRAVITIES - {"gravity_ema_noise", "gravity_ema"}:
        assert set(GALLERY[name].ablations) == {"gravity_ema_noise", "gravity_ema"}
    assert GALLERY["ades"].ablations == ("ades_heavy_ball",)
    assert GALLERY["sign"].ablations == ("signum",)


def test_equation_8_of_ades_is_the_only_reference_rule():
    assert [name for name, entry in GALLERY.items() if entry.reference] == ["ades_eq8"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_are_as_published(name):
    found = GALLERY[name].rule.hyperparameters
    assert {key: found[key] for key in PUBLISHED[name]} == PUBLISHED[name]
    unnamed = set(found) - PUBLISHED[name].keys() - {"weight_decay", "momentum"}
    assert not unnamed
    assert found["weight_decay"] == PUBLISHED[name].get("weight_decay", 0.0)


@pytest.mark.parametrize("name", TORCH)
def test_defaults_are_those_of_torch(name):
    found = GALLERY[name].rule.hyperparameters
    signature = inspect.signature(TORCH[name]).parameters
    shared = [key for key in found if key in signature]
    assert "lr" in shared
    for key in shared:
        assert found[key] == signature[key].default, key


@pytest.mark.parametrize("name", ["heavy_ball", "dampened_momentum", "nesterov", "rmsprop_momentum"])
def test_momentum_is_0_9_where_it_is_the_point_of_the_rule(name):
    assert GALLERY[name].rule.hyperparameters["momentum"] == 0.9


def test_decay_is_decoupled_by_default_where_the_source_says_so():
    """AdamW's and Lion's papers; Gravity's has no decay, and spec/gravity.md 2.4 gives it the decoupled one."""
    decoupled = {name for name, entry in GALLERY.items() if entry.rule.decay == "decoupled"}
    assert decoupled == {"adamw", "lion", *GRAVITIES}


def test_clock_begins_at_0_where_the_paper_says_so():
    from_0 = {name for name, entry in GALLERY.items() if entry.rule.first_step == 0}
    assert from_0 == GRAVITIES


@every_entry
def test_rule_is_found_by_its_name_with_underscores_or_hyphens(entry):
    assert find(entry.rule.name) is entry
    assert find(entry.rule.name.replace("_", "-")) is entry


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gravty", "gravity"), ("Adam", "adam"), ("heavy-bal", "heavy_ball"), ("rms_prop", "rmsprop"), ("lyon", "lion")],
)
def test_name_that_is_nearly_right_is_answered_with_the_nearest(name, meant):
    with pytest.raises(ValueError, match=rf"no rule is named '{name}'; did you mean .*\b{meant}\b") as caught:
        find(name)
    assert "`thalweg rules`" in str(caught.value)
    assert str(caught.value).count(",") <= 2


@pytest.mark.parametrize("name", ["", "zzzzzz", "../gravity"])
def test_name_that_is_nothing_like_any_is_answered_too(name):
    with pytest.raises(ValueError, match="no rule is named"):
        find(name)
