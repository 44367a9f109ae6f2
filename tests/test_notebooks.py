"""Each notebook: its rules, and its stored outputs against the execution by `make course`. Where that is not of this
code, a test executes the notebook that it asks for and no other."""

import ast
import json
import re
import symtable
import time
from collections import Counter
from copy import deepcopy
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat
import papermill
import pytest
from conftest import NOTEBOOKS, ROOT, real_data
from prose import python_of, unproven

from cnncourse.exercises import LESSONS
from cnncourse.instructor.editions import has
from cnncourse.recipes import PROFILES
from cnncourse.tools import execute

BUILD = ROOT / "build"
README = (ROOT / "README.md").read_text(encoding="utf-8")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code(path: Path) -> list:
    """Code cells without the one that papermill injects."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code" and not has(cell, "injected-parameters")]


def outputs(cell) -> list:
    """What a reader compares: printed text and results, without progress bars, figures and counters."""
    printed = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    shown = [{kind: content for kind, content in o.data.items() if not kind.startswith("image/")}
             for o in cell.outputs if o.output_type in ("execute_result", "display_data")]
    return [text for text in [printed, *shown] if text]  # a kernel may cut printed text anywhere


def left_in(folder: Path, path: Path) -> dict | None:
    """The result of a notebook that was executed into a folder, if the notebook and the package are still the same."""
    copy, report = folder / path.name, folder / "report.json"
    package = [file for kind in ("py", "js", "json") for file in (ROOT / "cnncourse").rglob(f"*.{kind}")]
    if copy.exists() and report.exists() and copy.stat().st_mtime >= max(file.stat().st_mtime for file in package):
        results = {result["notebook"]: result for result in json.loads(report.read_text())["results"]}
        if [cell.source for cell in code(copy)] == [cell.source for cell in code(path)]:
            return results.get(path.stem)


@cache
def executed(path: Path) -> tuple[dict, Path]:
    """What became of a notebook, and its executed copy."""
    for folder in (BUILD / "course", BUILD / "alone" / path.stem):
        if result := left_in(folder, path):
            break
    else:
        result = asdict(*execute.run([path], "tiny", 1, folder))
    return result, folder / path.name


def test_asking_for_one_notebook_executes_that_one_alone(tmp_path, monkeypatch):
    asked, result = [], execute.Result("02_lenet", "passed", 1.0, 1)
    monkeypatch.setattr("test_notebooks.BUILD", tmp_path)
    monkeypatch.setattr(execute, "run", lambda *given: asked.append(given) or [result])
    executed.__wrapped__(NOTEBOOKS[1])
    assert asked == [([NOTEBOOKS[1]], "tiny", 1, tmp_path / "alone" / "02_lenet")]


def test_seconds_and_memory_are_in_the_headers_and_under_the_ceilings():
    above = [path.read_text(encoding="utf-8").partition('"cell_type": "code"')[0] for path in NOTEBOOKS]
    headers = [*map(execute.MEASURED.search, above)]
    assert all(headers), [path.stem for path, found in zip(NOTEBOOKS, headers, strict=True) if not found]
    assert {found["cores"] for found in headers} == {"2"}
    seconds = [int(found["seconds"]) for found in headers]
    rows = re.findall(r"^\| (?:\d\d )?\|.+\| (\d+) \|(?: ([\d.]+) GB)? \| ([\d.]+) \|$", README, re.MULTILINE)
    laptop = PROFILES["laptop"].minutes
    assert list(laptop) == list(PROFILES["full"].minutes) == [path.stem[:2] for path in NOTEBOOKS]
    assert rows == [*((found["seconds"], found["gb"], f"{minutes:g}")
                      for found, minutes in zip(headers, laptop.values(), strict=True)),
                    (str(sum(seconds)), "", f"{sum(laptop.values()):.0f}")]
    assert max(seconds) <= 60 and sum(seconds) <= 540 and max(float(found["gb"]) for found in headers) <= 1.5


def test_the_nine_lessons_are_there_and_the_readme_maps_each_to_modules_that_it_imports():
    rows = re.findall(r"^\| .+\(notebooks/(\S+)\.ipynb\) \|(.+\(cnncourse/.+)", README, re.MULTILINE)
    assert [name for name, _ in rows] == [path.stem for path in NOTEBOOKS] == list(LESSONS)
    for path, (_, row) in zip(NOTEBOOKS, rows, strict=True):
        imports = "\n".join(line for line in code(path)[0].source.splitlines() if "cnncourse" in line)
        for module in re.findall(r"\(cnncourse/(\S+)\.py\)", row):
            assert (ROOT / "cnncourse" / f"{module}.py").exists()
            assert re.search(rf"\b{module.rpartition('/')[2]}\b", imports), (path.stem, module)


@each
def test_it_runs_from_a_fresh_kernel(path):
    result, _ = executed(path)
    assert result["status"] == "passed", f"cell {result['cell']}: {result['error']}"


@pytest.mark.soak
@each
def test_the_full_profile_runs_to_its_end_on_the_real_images(path, tmp_path):
    """Shortened: one epoch of some images, at full width."""
    real_data("mnist", "cifar10")
    result, = execute.run([path], "full", 1, tmp_path, parameters={"shortened": True})
    assert result.status == "passed", f"cell {result.cell}: {result.error}"


@each
def test_what_does_not_depend_on_the_machine_is_reproduced(path):
    pairs = list(zip(code(path), code(executed(path)[1]), strict=True))
    claims = [pair for pair in pairs if has(pair[0], "nbval-check-output")]
    assert len(claims) >= 5
    for old, new in claims:
        assert outputs(old), f"tagged, but no output is stored:\n{old.source}"
        assert outputs(new) == outputs(old), old.source


@each
def test_the_parameters_follow_the_imports_and_nothing_overwrites_them(path):
    imports, parameters, *later = code(path)
    assert "import" in imports.source
    assert has(parameters, "parameters") and parameters.source.startswith('profile = "tiny"')
    assert not assigned(parameters) & set().union(*map(assigned, later))
    # Where a lesson trains for hours, training can be shortened; the last takes your own photographs.
    other = {"08_debugging_clinic": set(), "09_your_own_images": {"folder"}}.get(path.stem, {"shortened"})
    assert set(papermill.inspect_notebook(path)) == assigned(parameters) == {"profile"} | other


def assigned(cell) -> set[str]:
    """The names that a cell gives a value, outside of functions and classes."""
    statements = [node for node in python_of(cell).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {node.id for statement in statements for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@each
def test_the_names_of_an_exercise_belong_to_the_student(path):
    """A reader who goes up again, or defines them in another cell, loses nothing."""
    theirs = {node.name for cell in code(path) if has(cell, "exercise") for node in python_of(cell).body
              if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    ours = [assigned(cell) | {node.name for node in python_of(cell).body
                              if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            for cell in code(path) if not has(cell, "exercise")]
    assert theirs and not theirs & set().union(*ours)


def taken_and_made(cell) -> tuple[set[str], set[str]]:
    """The names that a cell takes from above, in functions too, and those to which it gives a value."""
    taken, made = set(), set()

    def read(table: symtable.SymbolTable) -> set[str]:
        top = table.get_type() == "module"
        here = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
        return here.union(*map(read, table.get_children()))

    for statement in python_of(cell).body:
        table = symtable.symtable(ast.unparse(statement), "a cell", "exec")
        here = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
        inside = here if isinstance(statement, ast.For | ast.With | ast.FunctionDef | ast.ClassDef) else set()
        run_through = {name.id for part in ast.walk(statement) if isinstance(part, ast.comprehension)
                       for name in ast.walk(part.target) if isinstance(name, ast.Name)}  # the cell's own since 3.12
        taken |= read(table) - inside - run_through - made
        made |= here - run_through
    return taken, made


@each
def test_a_name_that_other_cells_read_gets_its_value_in_one_cell(path):
    """So that a cell does the same whenever it is run, and whichever other one was run again before."""
    cells = [taken_and_made(cell) for cell in code(path)]
    made_in = Counter(name for _, made in cells for name in made)
    for i, (taken, made) in enumerate(cells, 1):
        ambiguous = {name for name in taken - made if made_in[name] > 1}
        assert not ambiguous, f"code cell {i}"


@each
def test_any_cell_can_be_run_again_after_the_end(path):
    """From the last to the first, so that none leans on what one above it has just set again. Cells of over a second
    are left out: most of them train."""
    notebook = nbformat.read(path, as_version=4)
    first, cheap, broken = deepcopy(notebook.cells), [], []
    with execute.kernel(notebook, path.parent, 900, 1) as client:
        for i, cell in enumerate(first):
            begun = time.monotonic()
            client.execute_cell(cell, i)
            if cell.cell_type == "code" and time.monotonic() - begun < 1:
                cheap.append(i)
        for i in reversed(cheap):
            again = deepcopy(first[i])
            again.metadata.tags = ["raises-exception"]  # so that all of them are named
            client.execute_cell(again, i)
            problems = [f"{o.ename}: {o.evalue}" for o in again.outputs if o.output_type == "error"]
            if not problems and has(first[i], "nbval-check-output") and outputs(again) != outputs(first[i]):
                problems = [f"now {outputs(again)}, first {outputs(first[i])}"]
            broken += [f"cell {i}: {problem}\n{first[i].source}" for problem in problems]
    assert not broken, "\n\n".join(broken)


@each
def test_every_cell_is_short_and_stores_what_a_fresh_kernel_gave_as_the_reader_sees_it(path):
    """Printed text in one piece, and a progress bar as its last state: `make notebooks` stores it so."""
    for i, cell in enumerate(code(path), 1):
        assert len(cell.source.splitlines()) <= 20, f"code cell {i} is over 20 lines"
        assert cell.execution_count == i, f"code cell {i} was not run in order from a fresh kernel"
        assert all(output.output_type != "error" for output in cell.outputs), f"code cell {i} stores an error"
        names = [output.get("name") for output in cell.outputs]
        assert all(name is None or name != following for name, following in pairwise(names)), cell.source
        assert not any("\r" in output.get("text", "") for output in cell.outputs), cell.source


@each
def test_every_figure_and_drawing_says_in_words_what_it_shows_and_has_a_caption(path):
    for cell in code(path):
        book = cell.metadata.get("mystnb", {})
        for data in (output.get("data", {}) for output in cell.outputs):
            drawing = re.search(r"<svg.*?<desc>(.*?)</desc>|<svg|$", data.get("text/html", ""), re.S)
            if drawing[0] or "image/png" in data:
                words = (drawing[1] or "") if drawing[0] else book.get("image", {}).get("alt", "")
                assert len(words) > 20, f"no words:\n{cell.source}"
                assert book.get("figure", {}).get("caption"), f"no caption:\n{cell.source}"


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
    questions = [c.source for c in nbformat.read(path, as_version=4).cells if has(c, "question")]
    assert len(questions) >= 3
    for text in questions:
        answers = dict(re.findall(r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>", text, re.S))
        assert len(set(answers.values())) == text.count("<details>") >= 3, text
        verdicts = [re.match(r"\w+", answer)[0] for answer in answers.values()]
        assert sorted(verdicts) == ["No"] * (len(verdicts) - 1) + ["Right"], text


@each
def test_no_machine_path_is_stored_and_links_to_other_notebooks_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:/home/|/root/|/Users/|/tmp/|site-packages|[A-Z]:\\\\|[/\\]\.venv)[^\"\\ ]{0,60}", text)
    assert [link for link in re.findall(r"\]\(([^)#]+\.ipynb)", text) if not (path.parent / link).exists()] == []
