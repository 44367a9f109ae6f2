"""The page book/errata.md: each row is proven once, by a test of this folder, by one of another folder that says the
same, or in the lesson that it links to. What it says instead runs."""

import ast
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from prose import asserted, printed
from rows import BOOK, PAGE, PROVEN, ROWS, code, run, scope, starting

LINKS = dict(re.findall(r"^\[(.+?)\]: (.+)$", PAGE, re.MULTILINE))
TESTS = Path(__file__).parents[1]
BY_LESSON = {  # the beginnings of the rows that a linked lesson proves, and words of its proof
    "The division (n + 2p": "exact = (n + 2 * p - k) / s + 1",
    "A pooling gives the same": "ceil_mode={ceil_mode}: {out}",
    "`nn.Conv2d(n_in, n_out, 3, stride=2, padding": "'same' padding with stride 2",
    "A convolutional network takes": "its first convolution alone, with 9 x 300 pixels",
    "Pooling reduces the number": "def small_net(between, after)",
    "Pooling halves": "28 pixels, window 3, stride 1:",
    "Padding means the same": "padding=1, count_include_pad=False",
    "Twice the channels": "macs(2 * n_in, 2 * 128, 3) == 4 *",
    "More layers need fewer": "assert millions == [133, 133, 133, 134, 138, 144]",
    "A random fifth": "a split by groups",
    "`def forward` below": "written one level too deep",
    "A method that sets": "called by nobody",
    "A tab among": 'attempt(compile, text, "cell", "exec")',
    "Names that another": "a name is not defined",
    "`num_classes` is": "an argument that a function ignores",
    "100 outputs for ten": 'abs(wide["loss"] - math.log(100)) < 0.3',
    "The first weights take care": 'max(logits / first) < 1e-6',
    "A loss of 0.727": "looks as if it improves slowly",
    "ReLUs train six": "one network and one goal",
    "The sum of the batches' losses, divided by the number of batches": "sizes[0] / sizes[-1] == 8",
    "The best epoch": "Take 200 networks that know nothing",
    "Three networks, one seed": "three *training* losses",
    "6.7 % error": "averaging alone lowers the error",
    "GoogLeNet beat": "a tenth of a point",
    "LeNet-5 of the paper": "trace.parameters(mine) == 61_706",
    "AlexNet takes 224": "and fc6 gets {256",
    "`nn.LocalResponseNorm(5, alpha=1e-4": "against the printed formula",
    "AlexNet: 62 million": "sum(counted.values())",
    "torchvision's `alexnet`": "torch.allclose(later(picture), expected",
    "AlexNet's crops": "{positions**2 * 2}",
    "A 1x1 convolution extracts": "mix).item() == 2",
    "Two 3x3 convolutions are the same": "not torch.allclose(one, two_with_relu, atol=1)",
    "Deeper is better": "the error level off",
    "Inception v3": "map(str, v3.input_shape)",
    "The stem is ordinary": "not strictly necessary",
    "torchvision's `googlenet`": "trace.parameters(converted) == trace.parameters(theirs)",
    "Deep plain networks fail because they": "this is not overfitting",
    "Deep plain networks fail because the gradient": "receive by far the most",
    "The loss becomes": "the way in which the function is written",
    "A shortcut is a gate": "highway networks have gates",
    "Every shortcut has": "shortcut=resnet.projection_always",
    "`if a.size() is not": "a.size() is not b.size()",
    "Both convolutions of a block": "halved the map twice",
    '"The size of tensor a (16)': "Basic(n_in, n_out, stride, bare)",
}
BY_TEST = {  # the beginnings of the rows that another test proves, with its file
    "`nn.CrossEntropyLoss()(logits": ("test_keras", "test_the_loss_wants_logits_and_a_softmax_before_it_sets_a_floor"),
    "Local response normalisation looks":
        ("test_layers", "test_local_response_norm_is_the_formula_that_the_paper_prints"),
    "AlexNet's dropout stands": ("test_hyperparameters", "test_dropout_has_the_papers_place_and_rate"),
    "AlexNet's biases of 1": ("test_hyperparameters", "test_alexnet_starts_as_section_5_says"),
    "VGG has dropout": ("test_hyperparameters", "test_dropout_has_the_papers_place_and_rate"),
}


def test_every_row_is_proven_once():
    for path in Path(__file__).parent.glob("test_*.py"):
        importlib.import_module(path.stem)
    proofs = [*PROVEN, *BY_LESSON, *BY_TEST]
    for row in ROWS:
        assert len([start for start in proofs if row.often.startswith(start)]) == 1, row.often
    for start in proofs:
        assert len(starting(start)) == 1, start
    assert len({row.often for row in ROWS}) == len(ROWS) > 100  # the welcome says so


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.often[:40])
def test_what_to_write_instead_runs(row):
    assert row.often and row.why and row.instead
    for text in code(row.instead):
        run(text, scope())


def lessons(row):
    """The notebooks and pages behind the links of a row, where their sources are."""
    pages = [(BOOK / LINKS[label]).resolve() for label in re.findall(r"\[(.+?)\]", row.see)]
    return [BOOK.parent / "notebooks" / page.name if page.suffix == ".ipynb" else page for page in pages]


def test_every_row_links_to_a_lesson_or_a_page():
    assert all(lessons(row) and all(path.is_file() for path in lessons(row)) for row in ROWS)


@pytest.mark.parametrize("start", BY_LESSON)
def test_a_lesson_holds_the_proof_and_the_numbers(start):
    row, = starting(start)
    notebooks = [nbformat.read(path, as_version=4) for path in lessons(row) if path.suffix == ".ipynb"]
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    assert any(BY_LESSON[start] in " ".join(cell.source.split()) for cell in cells)
    ran = [cell for cell in cells if cell.cell_type == "code"]
    row.has_only(asserted(ran), printed(ran))


@pytest.mark.parametrize("start", BY_TEST)
def test_another_test_holds_the_proof_and_the_numbers(start):
    row, = starting(start)
    file, name = BY_TEST[start]
    source = (TESTS / f"{file}.py").read_text(encoding="utf-8")
    test, = (node for node in ast.parse(source).body if getattr(node, "name", "") == name)
    row.has_only(asserted([SimpleNamespace(source=ast.unparse(test))]))
