"""Questions in other classrooms: what the files for Moodle and of QTI say, read by programs of others, is what the
lessons and the exam say.

moodle_xml_parser knows multiple choice only; a numerical question is written alike, so its type is renamed for it. It
does not see tolerances, categories, points and figures. onyx2moodle reads a question of QTI, and neither how answers
are marked nor the manifest. What they do not see is read here with the standard library. No server was asked.
"""

import base64
import html
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import pytest
from conftest import NOTEBOOKS, command
from lxml import etree
from moodle_xml_parser.parser import parse_string
from onyx2moodle.parser import parse_item

from cnncourse.instructor import exam, quiz
from cnncourse.instructor.editions import has

SEEDS = range(1, 31)
NS = {"q": quiz.QTI, "cp": "http://www.imsglobal.org/xsd/imscp_v1p1"}
PIXEL = b"\x89PNG, as far as anybody looks"


@pytest.fixture(scope="module", params=["lessons", "exam"])
def items(request) -> list[quiz.Item]:
    if request.param == "exam":
        return quiz.of_exam(SEEDS)
    return [item for path in NOTEBOOKS for item in quiz.of_lesson(path)]


def plain(text: str) -> str:
    """HTML without what may be written in several ways: entities, spaces between tags."""
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", html.unescape(text)).strip()


def canonical(text: str) -> str:
    """HTML that is XML, in its one form, in a single <div>."""
    return ET.canonicalize(text if text.startswith("<div>") else f"<div>{text}</div>")


def said(item: quiz.Item, form: Callable) -> tuple:
    return form(item.text), [(form(answer.text), answer.right, form(answer.feedback)) for answer in item.answers]


def archive(content: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(content))


def test_every_question_of_the_lessons_and_every_number_of_the_exam_is_there(items):
    if items[0].numerical:
        wanted = [part.work[1] for seed in SEEDS for question in exam.drawn(seed) for part in question.parts
                  if not part.words]
        assert sorted(int(a.text) for item in items for a in item.answers if a.right) == sorted(wanted)
        assert len({(item.name, item.text) for item in items}) == len(items) == 30 * 41
    else:
        cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells
                 if has(cell, "question")]
        assert len(items) == len(cells) == 41
        for item, cell in zip(items, cells, strict=True):
            assert len(item.answers) == cell.source.count("<details>") >= 3
            assert cell.source.count("\nRight") == sum(answer.right for answer in item.answers) == 1


def test_moodles_file_is_read_by_another_program_with_the_same_text_key_and_feedback(items):
    name, content = quiz.moodle(items)
    read = parse_string(content.decode().replace('type="numerical"', 'type="multichoice"'))["multichoice"]
    assert name == "quiz.xml" and [question.name for question in read] == [html.unescape(i.name) for i in items]
    for question, item in zip(read, items, strict=True):
        found = [(plain(o.answer), o.score_fraction == 100, plain(o.feedback)) for o in question.options]
        assert (plain(question.text_pre_parse), found) == said(item, plain)
        assert {o.score_fraction for o in question.options} == {0, 100}


def test_moodle_gets_a_category_for_each_lesson_or_number_its_points_and_no_tolerance(items):
    found, category = [], None
    for question in ET.fromstring(quiz.moodle(items)[1]):
        if question.get("type") == "category":
            category = question.findtext("category/text")
        else:
            assert question.get("type") == ("numerical" if items[0].numerical else "multichoice")
            assert all(answer.findtext("tolerance", "0") == "0" for answer in question.iter("answer"))
            found.append((category, question.findtext("defaultgrade")))
    assert found == [(f"$course$/cnncourse/{item.group}", str(item.points)) for item in items]


def test_a_package_of_qti_is_read_by_another_program_with_the_same_text_key_and_feedback(items, tmp_path):
    archive(quiz.qti(items)[1]).extractall(tmp_path)
    for number, item in enumerate(items, 1):
        read = parse_item(tmp_path / f"question{number}.xml")
        key, = read.response_decls["RESPONSE"].correct_values
        interaction, = read.interactions
        names = [a.text for a in item.answers] if item.numerical else [c.identifier for c in interaction.choices]
        choices = names if item.numerical else [choice.html for choice in interaction.choices]
        found = [(canonical(choice), name == key, canonical(modal.html)) for choice, name, modal in
                 zip(choices, names, read.feedback, strict=True)]
        text = etree.tostring(read.body_xml[0], encoding="unicode").replace(f' xmlns="{quiz.QTI}"', "")
        assert (canonical(text), found) == said(item, canonical)
        assert interaction.kind == ("textEntry" if item.numerical else "choice") and read.title == item.name


def test_qti_gives_each_answer_its_points_and_its_own_feedback_and_others_nothing(items):
    package = archive(quiz.qti(items)[1])
    for number, item in enumerate(items[::7], 0):
        root = ET.fromstring(package.read(f"question{7 * number + 1}.xml"))
        modal = {m.get("identifier"): words(m) for m in root.iterfind("q:modalFeedback", NS)}
        given = [a.text for a in item.answers] if item.numerical else [
            choice.get("identifier") for choice in root.iter(f"{{{quiz.QTI}}}simpleChoice")]
        for response, answer in zip(given, item.answers, strict=True):
            score, told = processed(root, response)
            assert score == (item.points if answer.right else 0)
            assert [modal[name] for name in told] == [words(ET.fromstring(f"<div>{answer.feedback}</div>"))]
        assert processed(root, "-1") == (0, [])


def words(shown: ET.Element) -> str:
    return "".join(shown.itertext())


def processed(root: ET.Element, response: str) -> tuple[float, list[str]]:
    """What a program of QTI does: the first case whose value is the response says points and feedback."""
    score, told = 0, []
    for case in root.find("q:responseProcessing/q:responseCondition", NS):
        test = case.find("q:match", NS) if case.find("q:match", NS) is not None else case.find("q:equal", NS)
        if test.findtext("q:baseValue", namespaces=NS) == response:
            for outcome in case.iterfind("q:setOutcomeValue", NS):
                value = outcome.find(".//q:baseValue", NS).text
                if outcome.get("identifier") == "SCORE":
                    score = float(value)
                else:
                    told.append(value)
            break
    return score, told


def test_the_manifest_of_qti_names_every_file_and_the_test_every_question(items):
    package = archive(quiz.qti(items)[1])
    manifest, test = (ET.fromstring(package.read(name)) for name in ("imsmanifest.xml", "test.xml"))
    named = {file.get("href") for file in manifest.iterfind(".//cp:file", NS)}
    assert named | {"imsmanifest.xml"} == set(package.namelist())
    ids = {resource.get("identifier") for resource in manifest.iterfind(".//cp:resource", NS)}
    assert {needed.get("identifierref") for needed in manifest.iterfind(".//cp:dependency", NS)} < ids
    sections = test.findall(".//q:assessmentSection", NS)
    assert [section.get("title") for section in sections] == list(dict.fromkeys(item.group for item in items))
    assert [ref.get("href") for ref in test.iterfind(".//q:assessmentItemRef", NS)] == [
        f"question{number}.xml" for number in range(1, len(items) + 1)]
    selects = {selection.get("select") for selection in test.iterfind(".//q:selection", NS)}
    assert selects == ({"1"} if items[0].numerical else set())


def test_a_wrong_number_is_told_every_cause_that_leads_to_it():
    part = exam.Part("", 1, ("2*3", 6), {"added": ("2 + 7", 9), "squared": ("3*3", 9), "forgot": ("3", 3)})
    assert quiz.known(part) == [
        (6, True, "Right = `2*3`."),
        (9, False, "No: added (9 = `2 + 7`). Or: squared (9 = `3*3`)."),
        (3, False, "No: forgot (3).")]
    for item in quiz.of_exam([5]):
        assert len({answer.text for answer in item.answers}) == len(item.answers) > 1, item.name


def written(folder: Path, *cells: tuple[str, dict]) -> Path:
    """A notebook of questions, each with its attachments."""
    made = [nbformat.v4.new_markdown_cell(source, metadata={"tags": ["question"]}, attachments=attachments)
            for source, attachments in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / "01_own.ipynb")
    return folder / "01_own.ipynb"


QUESTION = """**Question.** What is $a < b$ in `a[0]`?

![A dot](attachment:dot.png) ![The same](dot.png)

| a | b |
|---|---|
| 1 | 2 |

```python
if a < b:
    print("yes")
```

<details><summary>A. $\\frac{1}{2}$</summary>

Right: see ![again](dot.png).

</details>
<details><summary>B. *No*</summary>

No: $$x & y$$ and <b>bold</b>

</details>"""


def test_mathematics_code_tables_and_figures_arrive_whole(tmp_path):
    (tmp_path / "dot.png").write_bytes(PIXEL)
    item, = quiz.of_lesson(written(tmp_path, (QUESTION, {"dot.png": {"image/png": base64.b64encode(PIXEL).decode()}})))
    question = ET.fromstring(quiz.moodle([item])[1])[1]
    text = question.findtext("questiontext/text")
    assert r"\(a &lt; b\)" in text and "<code>a[0]</code>" in text and "<td>2</td>" in text
    assert '<pre><code>if a &lt; b:\n    print(&quot;yes&quot;)\n</code></pre>' in text
    assert [a.findtext("text") for a in question.iter("answer")] == [r"<p>\(\frac{1}{2}\)</p>", "<p><em>No</em></p>"]
    assert "$$x &amp; y$$ and <b>bold</b>" in question.findall("answer")[1].findtext("feedback/text")
    for place in (question.find("questiontext"), question.find("answer/feedback")):
        file, = place.iter("file")
        assert base64.b64decode(file.text) == PIXEL and file.get("encoding") == "base64"
        assert f'src="@@PLUGINFILE@@/{file.get("name")}"' in place.findtext("text")
    package = archive(quiz.qti([item])[1])
    figure, = (name for name in package.namelist() if name.startswith("figures/"))
    assert package.read(figure) == PIXEL and package.read("question1.xml").decode().count(f'src="{figure}"') == 3
    assert figure in package.read("imsmanifest.xml").decode()
    assert '<pre><code>if a &lt; b:\n    print("yes")\n</code></pre>' in package.read("question1.xml").decode()


@pytest.mark.parametrize("kind", quiz.FORMATS)
def test_the_commands_write_one_file_into_a_new_folder(kind, tmp_path, capsys):
    assert command("export", "04", "--quiz", kind, "--out", tmp_path / "lesson") == 0
    assert command("exam", "--seeds", "3-4", "--quiz", kind, "--out", tmp_path / "exam") == 0
    name = {"moodle": "quiz.xml", "qti": "quiz.zip"}[kind]
    assert str(tmp_path / "lesson" / name) in capsys.readouterr().out
    for folder, items in (("lesson", quiz.of_lesson(NOTEBOOKS[3])), ("exam", quiz.of_exam([3, 4]))):
        assert [path.name for path in (tmp_path / folder).iterdir()] == [name]
        if kind == "moodle":
            assert (tmp_path / folder / name).read_bytes() == quiz.moodle(items)[1]


@pytest.mark.parametrize("words", [["export", "04"], ["exam", "--seeds", "1-2"]])
def test_an_unknown_format_is_one_sentence_and_nothing_is_written(words, tmp_path, capsys):
    assert command(*words, "--quiz", "moddle", "--out", tmp_path / "new") == 2
    assert capsys.readouterr().err == "cnncourse: there is no quiz format 'moddle': did you mean moodle?\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [["export", "04"], ["exam", "--seeds", "1-2"]])
def test_a_target_that_holds_other_files_is_kept_as_it_is(words, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    for target, there in ((tmp_path, "mine.txt"), (tmp_path / "mine.txt", "mine.txt")):
        assert command(*words, "--quiz", "moodle", "--out", target) == 2
        assert capsys.readouterr().err == (f"cnncourse: {target} holds {there}, which is kept: name a new or empty "
                                           "directory with --out\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("old, new, count", [("Right:", "No:", 0), ("No:", "Right:", 2)])
def test_a_question_without_one_right_choice_is_named_and_nothing_is_written(old, new, count, tmp_path, capsys):
    path = written(tmp_path, (QUESTION.replace("attachment:", "").replace(old, new), {}))
    assert command("export", path, "--quiz", "qti", "--out", tmp_path / "new") == 2
    assert capsys.readouterr().err == (
        f'cnncourse: {path}: a question needs one right choice, whose answer begins with "Right", and "What is $a < b$ '
        f'in `a[0]`? ![A dot](dot.png) ![The same](do..." has {count}: mend it in the notebook\n')
    assert not (tmp_path / "new").exists()


def test_html_that_is_not_closed_is_one_sentence_and_nothing_is_written(tmp_path, capsys):
    path = written(tmp_path, (QUESTION.replace("attachment:", "").replace("*No*", "one<br>two"), {}))
    assert command("export", path, "--quiz", "qti", "--out", tmp_path / "new") == 2
    assert "cnncourse: 01, question 1 holds HTML that QTI does not take (mismatched tag" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_seeds_are_a_range_and_belong_to_a_quiz(tmp_path, capsys):
    assert command("exam", "--seeds", "1-2", "--out", tmp_path / "new") == 2
    assert "--seeds are for a quiz: say --quiz moodle" in capsys.readouterr().err
    for text in ("3", "5-3", "a-b"):
        with pytest.raises(SystemExit):
            command("exam", "--seeds", text, "--quiz", "moodle", "--out", tmp_path / "new")
        assert f"such as 1-30 are expected, not '{text}'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
