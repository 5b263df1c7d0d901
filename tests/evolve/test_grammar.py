"""Grammars: what a file in Backus-Naur form says, the paper's grammar, and the files that are refused."""

from __future__ import annotations

import math
import re
import time
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.evolve.grammar import MOST_IN_A_LINE, MOST_LETTERS, SHIPPED, Grammar, grammar_named, read_grammar

SMALL = """
# sums of x
<start> ::= w = w - <sum>
<sum> ::= x | (<sum> + <sum>)
    | <const>*<sum>
<const> ::= 0.5|0.1 | 2e-3
"""


def heights_by_iteration(grammar: Grammar) -> list[float]:
    """The heights as the least fixed point: from infinity down, until nothing changes."""
    heights = [math.inf] * len(grammar.productions)
    while True:
        new = [
            min(1 + max((heights[s] for s in production if isinstance(s, int)), default=0) for production in own)
            for own in grammar.productions
        ]
        if new == heights:
            return heights
        heights = new


def test_rules_are_read_in_the_order_of_the_file_with_comments_left_out_and_lines_continued():
    grammar = read_grammar(SMALL)
    assert grammar.non_terminals == ("start", "sum", "const")
    assert grammar.productions[1] == (("x",), ("(", 1, " + ", 1, ")"), (2, "*", 1))
    assert grammar.productions[2] == (("0.5",), ("0.1",), ("2e-3",))


def test_spaces_inside_a_production_are_kept_and_those_around_it_are_not():
    grammar = read_grammar("<a> ::=   lambda shape,  alpha: <b> , <b>  |  y \n<b> ::= 1")
    assert grammar.productions[0] == (("lambda shape,  alpha: ", 1, " , ", 1), ("y",))


def test_an_escaped_bar_separates_nothing():
    grammar = read_grammar(r"<op> ::= +|-|\eb_div_\eb")
    assert grammar.productions[0] == (("+",), ("-",), ("|_div_|",))


def test_signs_of_comparison_are_terminals():
    assert read_grammar("<op> ::= < | <= | > | >=").productions[0] == (("<",), ("<=",), (">",), (">=",))


def test_the_first_lines_of_a_grammar_of_autolr_are_read_as_it_means_them():
    text = (
        "<start> ::= alpha_func, grad_func = lambda shape,  alpha, grad: <alpha_expr>, "
        "lambda shape,  alpha: <grad_expr>\n"
        "<alpha_expr> ::= tf.math.divide_no_nan(<alpha_expr>, <alpha_expr>) | grad | grad\n"
        "<grad_expr> ::= tf.constant(<const>, shape=shape, dtype=tf.float32) | alpha \n"
        "<const> ::=  4.53978687e-05 | 5.55606489e-05\n\n"
    )
    grammar = read_grammar(text)
    assert grammar.productions[1] == (("tf.math.divide_no_nan(", 1, ", ", 1, ")"), ("grad",), ("grad",))
    assert grammar.productions[2] == (("tf.constant(", 3, ", shape=shape, dtype=tf.float32)"), ("alpha",))
    assert grammar.numbers == (None, None, None, (0, 1))


@pytest.mark.parametrize("name", SHIPPED)
def test_heights_are_the_least_fixed_point(name):
    grammar = grammar_named(name)
    assert list(grammar.heights) == heights_by_iteration(grammar)
    for own, shortest, height in zip(grammar.production_heights, grammar.shortest, grammar.heights, strict=True):
        assert [k for k, h in enumerate(own) if h == height] == list(shortest) != []


RIGHT_SIDES = st.lists(st.lists(st.integers(-2, 4), min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(st.lists(RIGHT_SIDES, min_size=5, max_size=5))
def test_a_grammar_is_refused_exactly_where_a_non_terminal_has_no_finite_height(rules):
    productions = tuple(tuple(tuple("t" if s < 0 else s for s in p) for p in own) for own in rules)
    expected = heights_by_iteration(Grammar(tuple("abcde"), productions))
    text = "\n".join(
        f"<{name}> ::= " + " | ".join("".join("t" if s < 0 else f"<{'abcde'[s]}>" for s in p) for p in own)
        for name, own in zip("abcde", rules, strict=True)
    )
    if math.inf in expected:
        with pytest.raises(ValueError, match="never ends"):
            read_grammar(text)
    else:
        assert list(read_grammar(text).heights) == expected


def test_the_papers_grammar_has_twenty_non_terminals_and_its_biases():
    grammar = grammar_named("paper")
    counts = dict(zip(grammar.non_terminals, map(len, grammar.productions), strict=True))
    assert len(counts) == 20
    assert [counts[f"{name}_terminal"] for name in ("x", "y", "z", "weight")] == [4, 6, 8, 4]
    assert [counts[f"{name}_func"] for name in ("x", "y", "z", "weight")] == [10] * 4
    for name, times in (("x", 2), ("y", 3), ("z", 4), ("weight", 0)):
        assert grammar.productions[grammar.index(f"{name}_terminal")].count(("g",)) == times
        own = grammar.index(f"{name}_expr")
        assert grammar.productions[grammar.index(f"{name}_func")].count(("add(", own, ", ", own, ")")) == 2
    assert grammar.productions[grammar.index("z_expr")][1] == ("z",)


@pytest.mark.parametrize("name", ["x", "y", "z", "weight"])
def test_the_papers_constants_are_logistic_in_a_hundred_equal_places(name):
    grammar = grammar_named("paper")
    constants = [float(text) for (text,) in grammar.productions[grammar.index(f"{name}_const")]]
    exact = [1 / (1 + math.exp(10 - 20 * place / 99)) for place in range(100)]
    assert len(constants) == 100
    assert max(abs(c / e - 1) for c, e in zip(constants, exact, strict=True)) < 4.3e-9  # nine digits


def test_numbers_are_in_order_of_size():
    grammar = read_grammar("<a> ::= 0.5 | 2e-3 | 10 | -1\n<b> ::= 1 | x\n<c> ::= 7")
    assert grammar.numbers == ((3, 1, 0, 2), None, None)


def test_the_shipped_grammars_are_files_of_the_package():
    for name in SHIPPED:
        assert files("thalweg.evolve").joinpath("grammars", f"{name}.bnf").is_file()


def test_a_file_is_read_by_its_path(tmp_path):
    path = tmp_path / "own.bnf"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert grammar_named(path) == grammar_named(str(path)) == read_grammar(SMALL)


HOSTILE = {
    "nothing": ("", "no rules"),
    "comments": ("# <a> ::= b\n\n", "no rules"),
    "undefined": ("<a> ::= <b> | x", "line 1: <b> is not defined"),
    "twice": ("<a> ::= x\n<b> ::= y\n<a> ::= z", "line 3: <a> was defined on line 1"),
    "endless": ("<a> ::= <a> x", "<a> never ends"),
    "endless, indirectly": ("<a> ::= x | <b>\n<b> ::= <c>\n<c> ::= <b>", "<b> never ends"),
    "endless, not reached": ("<a> ::= x\n<b> ::= (<b>)", "line 2: <b> never ends"),
    "empty alternative": ("<a> ::= x | | y", "line 1: an empty alternative"),
    "empty rule": ("<a> ::=", "an empty alternative"),
    "prose": ("Dear reader,\n<a> ::= x", "line 1: 'Dear reader,' before the first rule"),
    "a rule without brackets": ("a ::= x", "is no rule"),
    "a program": ("import os\nos.system('true')", "before the first rule"),
    "a long line": (f"<a> ::= {'x | ' * MOST_IN_A_LINE}x", "line 1: .* letters; a line has at most"),
    "a long file": ("<a> ::= x\n" * (MOST_LETTERS // 8), "letters; a grammar has at most"),
    "zero bytes": ("<a> ::= x\0", "zero byte"),
    "many non-terminals": ("\n".join(f"<a{i}> ::= x" for i in range(2001)), "2001 non-terminals"),
    "many productions": ("\n".join(f"<a{i}> ::= {'x|' * 99}x" for i in range(21)), "2100 productions"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_text_that_is_no_grammar_is_refused_with_its_title_and_the_reason(text, message):
    with pytest.raises(ValueError, match=f"^my.bnf.*{message}"):
        read_grammar(text, "my.bnf")


def test_a_line_of_ten_megabytes_is_refused_without_being_read(tmp_path):
    path = tmp_path / "long.bnf"
    path.write_text("<a> ::= " + "<a> | " * 1_700_000 + "x")
    begun = time.process_time()
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*bytes; a grammar has at most 1000000"):
        grammar_named(path)
    assert time.process_time() - begun < 1


def test_what_is_no_file_of_text_is_refused(tmp_path):
    binary = tmp_path / "binary.bnf"
    binary.write_bytes(b"<a> ::= x | \xff\xfe\x00")
    cases = [(tmp_path, "that is a folder"), (tmp_path / "absent", "no such file"), (binary, "byte 12 is not UTF-8")]
    for path, message in [*cases, ("papyrus", "give 'paper' or 'rich', or the path"), ("a\0b", "no such file")]:
        with pytest.raises(ValueError, match=message):
            grammar_named(path)


def test_a_grammar_as_long_and_as_nested_as_may_be_is_read_quickly():
    """A chain of 2000 non-terminals, each used many times: sweeps over all rules would take minutes."""
    chain = [f"<a{i}> ::= {f'<a{i + 1}>' * 20}" for i in range(1999)] + ["<a1999> ::= x"]
    begun = time.process_time()
    grammar = read_grammar("\n".join(chain))
    assert grammar.heights[0] == 2000
    assert grammar.sizes[0] > 20**1998  # nothing that small can be said by it
    assert time.process_time() - begun < 5


def test_an_unknown_non_terminal_is_told_with_those_there_are():
    grammar = read_grammar(SMALL)
    assert grammar.index("<sum>") == grammar.index("sum") == 1
    with pytest.raises(ValueError, match="no non-terminal 'sums'; it has start, sum, const"):
        grammar.index("sums")


@pytest.mark.parametrize("name", SHIPPED)
def test_sizes_count_the_expansions_of_the_smallest_of_the_lowest_derivations(name):
    """Expanding every symbol by its smallest lowest production takes as many expansions as `sizes` says."""
    grammar = grammar_named(name)

    def expansions(n: int) -> int:
        best = min(grammar.shortest[n], key=lambda k: grammar.production_sizes[n][k])
        return 1 + sum(expansions(s) for s in grammar.productions[n][best] if isinstance(s, int))

    assert [expansions(n) for n in range(len(grammar.productions))] == list(grammar.sizes)
