"""The questions of the lessons, and those of the exam, as quizzes: Moodle XML, and QTI 2.1 for Canvas and others.

A question is read once, into an Item; a format is a function from items to the name and the bytes of one file.
"""

import base64
import hashlib
import html
import io
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from string import ascii_lowercase
from xml.etree import ElementTree as ET

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from .. import pick
from . import exam
from .editions import has, put_alone, require_empty

CHOICE = re.compile(r"<details><summary>(?:[A-Z]\. )?(.*?)</summary>(.*?)</details>", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/(\w+)[^;]*;base64,([^"]+)"')
QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"


@dataclass(frozen=True)
class Answer:
    """A choice, or a number that is known, and what is said to it; HTML."""

    text: str
    right: bool
    feedback: str


@dataclass(frozen=True)
class Item:
    """A question; `text` is HTML. Items of one group follow each other. Numerical ones are variants of one question, of
    which a student gets one."""

    name: str
    group: str
    text: str
    answers: tuple[Answer, ...]
    points: int = 1
    numerical: bool = False


class Renderer(IPythonRenderer):
    """For pages whose styles are not ours."""

    def inline_math(self, body: str) -> str:
        """Between the marks that Moodle and Canvas know, for a single $ is none of them."""
        return rf"\({html.escape(body)}\)"

    def inline_html(self, tag: str) -> str:
        """As it is written: nbconvert would close each tag where it begins."""
        return tag

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre><code>{html.escape(code)}</code></pre>\n"


def to_html(attachments: dict | None = None, folder: str = "") -> Callable[[str], str]:
    """A function from Markdown to HTML, in which images are data."""
    markdown = MarkdownWithMath(Renderer(escape=False, embed_images=True, exclude_anchor_links=True,
                                         attachments=attachments, path=folder))
    return lambda text: markdown.render(text.strip()).strip()


def of_lesson(path: Path) -> list[Item]:
    """The questions of a notebook. Raises ValueError where one has no right choice, or more than one."""
    items = []
    for cell in nbformat.read(path, as_version=4).cells:
        if has(cell, "question"):
            as_html = to_html(cell.get("attachments"), str(path.parent))
            asked = cell.source.partition("<details>")[0].strip().removeprefix("**Question.** ")
            answers = tuple(Answer(as_html(choice), said.strip().startswith("Right"), as_html(said))
                            for choice, said in CHOICE.findall(cell.source))
            if (right := sum(answer.right for answer in answers)) != 1:
                raise ValueError(f"{path}: a question needs one right choice, whose answer begins with \"Right\", and "
                                 f"\"{' '.join(asked[:60].split())}...\" has {right}: mend it in the notebook")
            items.append(Item(f"{path.stem[:2]}, question {len(items) + 1}", path.stem, as_html(asked), answers))
    return items


def of_exam(seeds: Iterable[int]) -> list[Item]:
    """Each number that an exam's sheet asks for, with the usual wrong ones; one group for all its variants.

    What asks for words is left out: no program can mark it.
    """
    items, as_html = [], to_html()
    for seed in seeds:
        asked = exam.drawn(seed)
        for number, question in enumerate(asked, 1):
            for letter, part in zip(ascii_lowercase, question.parts, strict=False):
                if not part.words:
                    group = f"{number:02}{letter} {question.title}"
                    text = as_html(f"{question.given}\n\n{part.ask or f'Find the number ({letter}).'}")
                    answers = tuple(Answer(str(value), right, as_html(said)) for value, right, said in known(part))
                    items.append(Item(f"{group}, sheet {exam.code(asked)}", group, text, answers, part.points, True))
    return sorted(items, key=lambda item: item.group)


def known(part: exam.Part) -> list[tuple[int, bool, str]]:
    """The right number, and each usual wrong one with all that lead to it: the number, whether it is right, and what
    is said to it, as Markdown."""
    formula, value = part.work
    found, causes = [(value, True, f"Right{exam.working(formula)}.")], {}
    for cause, (formula, value) in part.slips.items():
        causes.setdefault(value, []).append(f"{cause} ({value:,}{exam.working(formula)}).")
    return found + [(value, False, f"No: {' Or: '.join(told)}") for value, told in causes.items()]


def with_files(text: str, place: str) -> tuple[str, dict[str, str]]:
    """HTML whose images are files at `place`, and the files: base64 by name."""
    files = {}

    def outside(match: re.Match) -> str:
        kind, data = match.groups()
        name = f"{hashlib.sha256(data.encode()).hexdigest()[:12]}.{kind}"
        files[name] = data
        return f'src="{place}/{name}"'

    return EMBEDDED.sub(outside, text), files


def element(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, tag, attributes)
    made.text = text
    return made


def document(root: ET.Element) -> bytes:
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def moodle(items: list[Item]) -> tuple[str, bytes]:
    """A question bank: a category for each group, from which a quiz takes all questions or draws one."""
    quiz = ET.Element("quiz")

    def formatted(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
        made = element(parent, tag, format="html", **attributes)
        text, files = with_files(text, "@@PLUGINFILE@@")
        element(made, "text", text)
        for name, data in files.items():
            element(made, "file", data, name=name, path="/", encoding="base64")
        return made

    for group, members in groupby(items, lambda item: item.group):
        category = element(element(quiz, "question", type="category"), "category")
        element(category, "text", f"$course$/cnncourse/{group}")
        for item in members:
            question = element(quiz, "question", type="numerical" if item.numerical else "multichoice")
            element(element(question, "name"), "text", item.name)
            formatted(question, "questiontext", item.text)
            element(question, "defaultgrade", str(item.points))
            if not item.numerical:
                element(question, "single", "true")
                element(question, "shuffleanswers", "true")
                element(question, "answernumbering", "abc")
            for answer in item.answers:
                made = formatted(question, "answer", answer.text, fraction="100" if answer.right else "0")
                if item.numerical:
                    element(made, "tolerance", "0")  # all numbers are whole
                formatted(made, "feedback", answer.feedback)
    ET.indent(quiz)
    return "quiz.xml", document(quiz)


def qti(items: list[Item]) -> tuple[str, bytes]:
    """A package of QTI 2.1: a file for each question, figures, a test with a section for each group, the manifest."""
    manifest = ET.Element("manifest", xmlns="http://www.imsglobal.org/xsd/imscp_v1p1", identifier="cnncourse")
    metadata = element(manifest, "metadata")
    element(metadata, "schema", "QTIv2.1 Package")
    element(metadata, "schemaversion", "1.0.0")
    element(manifest, "organizations")
    resources = element(manifest, "resources")
    test = ET.Element("assessmentTest", xmlns=QTI, identifier="cnncourse", title="cnncourse")
    part = element(test, "testPart", identifier="part", navigationMode="nonlinear", submissionMode="individual")
    package, numbers = io.BytesIO(), iter(range(1, len(items) + 1))
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, (group, members) in enumerate(groupby(items, lambda item: item.group), 1):
            section = element(part, "assessmentSection", identifier=f"section{place}", title=group, visible="true")
            for item in members:
                name = f"question{next(numbers)}"
                if item.numerical and not len(section):
                    element(section, "selection", select="1")
                element(section, "assessmentItemRef", identifier=name, href=f"{name}.xml")
                root, files = question_of_qti(item, name)
                archive.writestr(f"{name}.xml", document(root))
                resource = element(resources, "resource", identifier=f"resource_{name}", type="imsqti_item_xmlv2p1",
                                   href=f"{name}.xml")
                element(resource, "file", href=f"{name}.xml")
                for file, data in files.items():
                    element(resource, "file", href=f"figures/{file}")
                    if f"figures/{file}" not in archive.namelist():
                        archive.writestr(f"figures/{file}", base64.b64decode(data))
        whole = element(resources, "resource", identifier="resource_test", type="imsqti_test_xmlv2p1", href="test.xml")
        element(whole, "file", href="test.xml")
        for number in range(1, len(items) + 1):
            element(whole, "dependency", identifierref=f"resource_question{number}")
        archive.writestr("test.xml", document(test))
        archive.writestr("imsmanifest.xml", document(manifest))
    return "quiz.zip", package.getvalue()


def question_of_qti(item: Item, name: str) -> tuple[ET.Element, dict[str, str]]:
    """The element assessmentItem, and its figures: base64 by name. Raises ValueError for HTML that is no XML."""
    root = ET.Element("assessmentItem", xmlns=QTI, identifier=name, title=item.name, adaptive="false",
                      timeDependent="false")
    kind, ids = "float" if item.numerical else "identifier", [f"answer{i}" for i in range(len(item.answers))]
    values = [answer.text for answer in item.answers] if item.numerical else ids
    response = element(root, "responseDeclaration", identifier="RESPONSE", cardinality="single", baseType=kind)
    right = next(value for value, answer in zip(values, item.answers, strict=True) if answer.right)
    element(element(response, "correctResponse"), "value", right)
    score = element(root, "outcomeDeclaration", identifier="SCORE", cardinality="single", baseType="float",
                    normalMaximum=str(item.points))
    element(element(score, "defaultValue"), "value", "0")
    element(root, "outcomeDeclaration", identifier="FEEDBACK", cardinality="multiple", baseType="identifier")
    body, figures = element(root, "itemBody"), {}

    def flow(parent: ET.Element, text: str) -> None:
        text, files = with_files(text, "figures")
        figures.update(files)
        try:
            parent.append(ET.fromstring(f"<div>{text}</div>"))
        except ET.ParseError as error:
            raise ValueError(f"{item.name} holds HTML that QTI does not take ({error}): close every tag, and write a "
                             "sign itself in place of a name such as &nbsp;") from None

    flow(body, item.text)
    if item.numerical:
        element(element(body, "p"), "textEntryInteraction", responseIdentifier="RESPONSE", expectedLength="10")
    else:
        choices = element(body, "choiceInteraction", responseIdentifier="RESPONSE", shuffle="true", maxChoices="1")
        for value, answer in zip(ids, item.answers, strict=True):
            flow(element(choices, "simpleChoice", identifier=value), answer.text)
    condition = element(element(root, "responseProcessing"), "responseCondition")
    for number, (value, answer) in enumerate(zip(values, item.answers, strict=True)):
        case = element(condition, "responseElseIf" if number else "responseIf")
        test = element(case, "equal", toleranceMode="exact") if item.numerical else element(case, "match")
        element(test, "variable", identifier="RESPONSE")
        element(test, "baseValue", value, baseType=kind)
        if answer.right:
            element(element(case, "setOutcomeValue", identifier="SCORE"), "baseValue", str(item.points),
                    baseType="float")
        told = element(element(case, "setOutcomeValue", identifier="FEEDBACK"), "multiple")
        element(told, "variable", identifier="FEEDBACK")
        element(told, "baseValue", f"said{number}", baseType="identifier")
    for number, answer in enumerate(item.answers):
        flow(element(root, "modalFeedback", outcomeIdentifier="FEEDBACK", identifier=f"said{number}", showHide="show"),
             answer.feedback)
    return root, figures


FORMATS = {"moodle": moodle, "qti": qti}


def write(items: Iterable[Item], kind: str, folder: Path) -> Path:
    """Write the quiz into a new or empty folder; returns its path. Raises ValueError for a format that is none of
    FORMATS, and FileExistsError as `put_alone`; then nothing is written.
    """
    make = pick(FORMATS, kind, "quiz format")
    require_empty(folder)  # before seconds of work
    return put_alone(folder, *make(list(items)))
