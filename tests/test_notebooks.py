"""Each notebook: its rules, and its stored outputs against the one execution that `make course` left behind."""

import ast
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import papermill
import pytest
from prose import unproven

from cnncourse import expanded
from cnncourse.datasets import checksums
from cnncourse.exercises import LESSONS
from cnncourse.recipes import PROFILES
from cnncourse.tools.execute import MEASURED, run

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EXECUTED = ROOT / "build" / "course"
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code(path: Path) -> list:
    """Code cells without the one that papermill injects."""
    cells = nbformat.read(path, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and "injected-parameters" not in c.metadata.get("tags", [])]


def header(path: Path) -> str:
    """The text before the first code cell."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(c.source for c in cells[:[c.cell_type for c in cells].index("code")])


def tagged(cell) -> bool:
    return "nbval-check-output" in cell.metadata.get("tags", [])


def outputs(cell) -> list:
    """What a reader compares: printed text and results, without progress bars, figures and counters."""
    printed = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    shown = [{kind: content for kind, content in o.data.items() if not kind.startswith("image/")}
             for o in cell.outputs if o.output_type in ("execute_result", "display_data")]
    return [text for text in [printed, *shown] if text]  # a kernel may cut printed text anywhere


@pytest.fixture(scope="module")
def report() -> dict[str, dict]:
    """Results of the run by notebook. `make test` has executed them; plain pytest does so here, once for this code."""
    stored = [[c.source for c in code(p)] for p in NOTEBOOKS]
    left = [EXECUTED / p.name for p in NOTEBOOKS]
    package = [p for kind in ("py", "js", "json") for p in (ROOT / "cnncourse").rglob(f"*.{kind}")]
    made, changed = ([p.stat().st_mtime for p in paths if p.exists()] for paths in (left, package))
    if len(made) < len(left) or min(made) < max(changed) or [[c.source for c in code(p)] for p in left] != stored:
        subprocess.run([sys.executable, "-m", "cnncourse", "run", "--out", EXECUTED], cwd=ROOT)
    results = json.loads((EXECUTED / "report.json").read_text())["results"]
    return {result["notebook"]: result for result in results}


def test_the_nine_lessons_are_there():
    assert [p.stem for p in NOTEBOOKS] == list(LESSONS)


def test_seconds_and_memory_are_in_the_headers_and_under_the_ceilings():
    headers = [MEASURED.search(header(path)) for path in NOTEBOOKS]
    assert all(headers), [path.stem for path, found in zip(NOTEBOOKS, headers, strict=True) if not found]
    assert {found["cores"] for found in headers} == {"2"}
    seconds = [int(found["seconds"]) for found in headers]
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:\d\d )?\|.+\| (\d+) \|(?: ([\d.]+) GB)? \| ([\d.]+) \|$", table, re.MULTILINE)
    laptop = PROFILES["laptop"].minutes
    assert list(laptop) == list(PROFILES["full"].minutes) == [path.stem[:2] for path in NOTEBOOKS]
    assert rows == [*((found["seconds"], found["gb"], f"{minutes:g}")
                      for found, minutes in zip(headers, laptop.values(), strict=True)),
                    (str(sum(seconds)), "", f"{sum(laptop.values()):.0f}")]
    assert max(seconds) <= 60 and sum(seconds) <= 540 and max(float(found["gb"]) for found in headers) <= 1.5


@each
def test_it_runs_from_a_fresh_kernel(path, report):
    result = report[path.stem]
    assert result["status"] == "passed", f"cell {result['cell']}: {result['error']}"


@pytest.mark.soak
@each
def test_the_full_profile_runs_to_its_end_on_the_real_images(path, tmp_path):
    """Shortened: one epoch of some images, at full width."""
    root = expanded(os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse")
    absent = [name for name in ("mnist", "cifar10") if checksums.look(name, root)[0]]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not in $CNNCOURSE_DATA")
    result, = run([path], "full", 1, tmp_path, parameters={"shortened": True})
    assert result.status == "passed", f"cell {result.cell}: {result.error}"


@each
def test_what_does_not_depend_on_the_machine_is_reproduced(path, report):
    stored, executed = code(path), code(EXECUTED / path.name)
    assert sum(map(tagged, stored)) >= 5
    for i, (old, new) in enumerate(zip(stored, executed, strict=True), 1):
        if tagged(old):
            assert outputs(old), f"code cell {i} is tagged but stores no output"
            assert outputs(new) == outputs(old), f"code cell {i}:\n{old.source}"


@each
def test_the_parameters_cell_follows_the_imports(path):
    cells = code(path)
    assert "parameters" in cells[1].metadata.get("tags", []) and cells[1].source.startswith('profile = "tiny"')
    assert "import" in cells[0].source


@each
def test_no_cell_overwrites_a_parameter(path):
    parameters, *later = [assigned(cell) for cell in code(path)[1:]]
    assert "profile" in parameters and not parameters & set().union(*later)


def test_the_folder_of_your_own_photographs_is_a_parameter():
    assert set(papermill.inspect_notebook(NOTEBOOKS[8])) == {"profile", "folder"}


def test_a_lesson_that_trains_for_hours_can_be_shortened():
    for path in NOTEBOOKS[:7]:
        assert set(papermill.inspect_notebook(path)) == {"profile", "shortened"}


def assigned(cell) -> set[str]:
    """The names that a cell gives a value, outside of functions and classes."""
    lines = "\n".join(line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!")))
    statements = [node for node in ast.parse(lines).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {node.id for statement in statements for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@each
def test_printed_text_is_stored_as_the_reader_sees_it(path):
    """In one piece, and a progress bar as its last state: `make notebooks` stores it so."""
    for cell in code(path):
        names = [output.get("name") for output in cell.outputs]
        assert all(name is None or name != following for name, following in pairwise(names)), cell.source
        assert not any("\r" in output.text for output in cell.outputs if "text" in output), cell.source


@each
def test_every_cell_is_short_and_has_run_without_error(path):
    for i, cell in enumerate(code(path), 1):
        assert len(cell.source.splitlines()) <= 20, f"code cell {i} is over 20 lines"
        assert cell.execution_count == i, f"code cell {i} was not run in order from a fresh kernel"
        assert all(o.output_type != "error" for o in cell.outputs), f"code cell {i} stores an error"


@each
def test_every_figure_has_alt_text_and_a_caption(path):
    for i, cell in enumerate(code(path), 1):
        if any("image/png" in o.get("data", {}) for o in cell.outputs):
            mystnb = cell.metadata.get("mystnb", {})
            assert len(mystnb.get("image", {}).get("alt", "")) > 20, f"code cell {i}: alt text"
            assert mystnb.get("figure", {}).get("caption"), f"code cell {i}: caption"


@each
def test_every_drawing_of_a_network_says_in_words_what_it_shows_and_has_a_caption(path):
    for i, cell in enumerate(code(path), 1):
        drawings = [html for o in cell.outputs if "<svg" in (html := o.get("data", {}).get("text/html", ""))]
        for html in drawings:
            assert len(re.search(r"<desc>(.*?)</desc>|$", html)[1] or "") > 20, f"code cell {i}: description"
            assert cell.metadata.get("mystnb", {}).get("figure", {}).get("caption"), f"code cell {i}: caption"


@each
def test_every_number_in_the_text_is_computed_in_the_notebook(path):
    assert unproven(path) == []


@pytest.mark.parametrize("sentence, found", [
    ("It has 61,706 parameters and costs 6.0 % more.", []), ("62 M multiplications", []), ("Nearly 1.46 times.", []),
    ("It costs 7.0 % more.", ["7.0 %"]), ("7.0 times", ["7.0"]), ("61,760 parameters", ["61,760"]),
    ("It gained 7 points.", ["7 points"]), ("In 2012 it had 7 layers.", []), ("It took 3.5 seconds.", ["3.5 seconds"])])
def test_the_gate_for_numbers_tells_a_wrong_one_from_a_printed_one(tmp_path, sentence, found):
    new = nbformat.v4
    cell = new.new_code_cell("costs = 62_000_000\nassert costs == 62_000_000 and round(costs / 42_465_753, 2) == 1.46",
                             outputs=[new.new_output("stream", text="7 layers, 61,706 parameters, 6.0% more\n")])
    nbformat.write(new.new_notebook(cells=[cell, new.new_markdown_cell(sentence)]), tmp_path / "one.ipynb")
    assert [line.partition(" in: ")[0] for line in unproven(tmp_path / "one.ipynb")] == found


@each
def test_every_question_answers_each_choice_and_has_one_right_one(path):
    questions = [c.source for c in nbformat.read(path, as_version=4).cells if "question" in c.metadata.get("tags", [])]
    assert len(questions) >= 3
    for text in questions:
        answers = re.findall(r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>", text, re.S)
        assert text.startswith("**Question.**") and len(answers) == text.count("<details>") >= 3, text
        assert len({choice for choice, _ in answers}) == len({answer for _, answer in answers}) == len(answers), text
        verdicts = [re.match(r"(Right|No)[:,.] ", answer) for _, answer in answers]
        assert all(verdicts) and sum(v.group(1) == "Right" for v in verdicts) == 1, text


@each
def test_no_machine_path_is_stored(path):
    text = path.read_text()
    found = re.findall(r"(?:/home/|/root/|/Users/|/tmp/|site-packages|[A-Z]:\\\\)[^\"\\ ]{0,60}", text)
    assert not found and os.sep + ".venv" not in text


@each
def test_links_to_other_notebooks_lead_somewhere(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+\.ipynb)", cell.source):
                assert (path.parent / target).exists(), target
