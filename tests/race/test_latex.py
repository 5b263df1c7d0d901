"""A race for a paper: tables that LaTeX can set, figures, and a bibliography in which every citation is found."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from race.made import made_result

from thalweg.race.latex import bibliography, escape, latex_files, latex_tables, write_latex
from thalweg.rules.gallery import GALLERY


@pytest.fixture(scope="module")
def result():
    return made_result(2, 3, 8, names=("adamw", "gravity", "gravity_ema"))


@pytest.fixture(scope="module")
def files(result):
    return latex_files(result)


def texts(files):
    return {name: content for name, content in files.items() if isinstance(content, str)}


def test_there_are_tables_figures_and_a_document_that_includes_them_all(files):
    assert {"results.tex", "verdicts.tex", "ablations.tex", "settings.tex", "methods.tex", "references.bib"} <= set(
        files
    )
    main = files["main.tex"]
    assert {f"{name}.tex" for name in re.findall(r"\\input\{(\w+)\}", main)} == {
        name for name in files if name.endswith(".tex") and name != "main.tex"
    }
    assert set(re.findall(r"\\includegraphics\{([^}]+)\}", main)) == {name for name in files if name.endswith(".pdf")}
    assert all(content.startswith(b"%PDF") for name, content in files.items() if name.endswith(".pdf"))


def test_every_citation_is_in_the_bibliography(files):
    cited = set(re.findall(r"\\cite\{([^}]+)\}", files["methods.tex"]))
    assert cited == set(re.findall(r"@misc\{([^,]+),", files["references.bib"]))


def test_groups_and_environments_are_balanced(files):
    for name, text in texts(files).items():
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}"), name
        assert sorted(re.findall(r"\\begin\{(\w+)\}", text)) == sorted(re.findall(r"\\end\{(\w+)\}", text)), name


def test_every_line_of_a_table_has_as_many_cells_as_columns(files):
    for name in ("results.tex", "verdicts.tex", "ablations.tex", "settings.tex", "methods.tex"):
        columns = len(re.search(r"\\begin\{(?:tabular|longtable)\}\{(l+)\}", files[name])[1])
        lines = [line for line in files[name].splitlines() if line.endswith(r" \\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {columns}, name


def test_what_latex_takes_for_commands_is_escaped():
    assert escape(r"a_b & 50% of {$x^2$} #1 ~ \n") == (
        r"a\_b \& 50\% of \{\$x\textasciicircum{}2\$\} \#1 \textasciitilde{} \textbackslash{}n"
    )
    assert escape("−1.5 ± 0.2") == r"$-$1.5 $\pm$ 0.2"


def test_a_source_in_plain_words_becomes_an_entry_and_a_shared_one_is_there_once(result):
    entry = GALLERY["adam"].source.bibtex()
    methods = [replace(m, source=s) for m, s in zip(result.methods, (entry, entry, "Doe & Co, 2020"), strict=True)]
    text = bibliography(methods)
    assert text.count("@misc{") == 2
    assert entry in text
    assert r"@misc{gravity_ema," in text
    assert r"note = {Doe \& Co, 2020}" in text


def test_the_same_records_give_the_same_files():
    assert latex_files(made_result(1, 2, 6)) == latex_files(made_result(1, 2, 6))


def test_a_long_table_runs_over_pages_and_a_broad_one_is_broken_into_blocks():
    made = latex_tables(made_result(12, 4, 6, draws=1).summary)
    assert r"\begin{longtable}" in made["settings.tex"]
    assert made["results.tex"].count(r"\begin{tabular}") == 3


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.parametrize("seeds", [8, 0])
def test_latex_sets_the_document(seeds, tmp_path):
    write_latex(made_result(2, 4, seeds), tmp_path / "paper")
    for command in (["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"], ["bibtex", "main"]):
        done = subprocess.run(command, cwd=tmp_path / "paper", capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
