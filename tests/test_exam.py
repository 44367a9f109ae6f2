"""The sheet of convolution arithmetic: its key says what PyTorch says, on every machine, and no question is empty."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from math import ceil, floor, prod
from random import Random

import pytest
import torch
import torch.nn.functional as F
from conftest import command
from torch import nn

from cnncourse.instructor import exam

SEEDS = range(200)
WHOLE, FLOORED, DILATED, POOLED, SEEN, COUNTED, GROUPED, COSTLY, DENSE, TABULATED, MISTAKEN, REFUSED = range(12)


def result(formula):
    """What a formula gives as it stands in the key, such as "floor((9 + 2*0 - 4) / 2) + 1"."""
    return int(eval(formula, {"floor": floor, "ceil": ceil}))


def layers(text):
    """The layers that stand in a text, as PyTorch makes them."""
    with torch.device("meta"):
        return [eval(code, {"nn": nn}) for code in re.findall(r"nn\.\w+\([^`()]*\)", text)]


def image(text):
    channels, height, width = map(int, re.search(r"(\d+) x (\d+) x (\d+)", text).groups())
    return torch.empty(1, channels, height, width, device="meta")


def parameters(layer, name=""):
    return sum(p.numel() for key, p in layer.named_parameters() if name in key)


def line(chain, n, middle=None):
    """How often each of n pixels in a row is seen by the outputs of a chain of layers, or by the middle one."""
    x = torch.zeros(1, 1, n, requires_grad=True)
    y = x
    for layer in chain:
        k, s = (v if isinstance(v, int) else v[-1] for v in (layer.kernel_size, layer.stride))
        y = F.conv1d(y, torch.ones(1, 1, k), stride=s)
    (y.sum() if middle is None else y[0, 0, middle]).backward()
    return x.grad[0, 0]


def whole(text, parts):
    out = layers(text)[0](image(text))
    return [out.shape[2], out.shape[1]]


def floored(text, parts):
    layer, = layers(text)
    n = int(re.search(r"(\d+) columns", text)[1])
    times = line([layer], n)
    return [layer(torch.empty(1, 1, n, n, device="meta")).shape[-1], times.nonzero().max().item() + 1,
            int((times == 0).sum())]


def dilated(text, parts):
    layer, x = layers(text)[0], image(text)
    rows = layer(x).shape[2]
    same = nn.Conv2d(8, 8, layer.kernel_size, dilation=layer.dilation, padding="same")
    return [x.shape[2] - rows + 1, rows, same._reversed_padding_repeated_twice[0], layers(parts[3])[0](x).shape[2]]


def pooled(text, parts):
    layer, x = layers(text)[0], image(text)
    up = nn.MaxPool2d(layer.kernel_size, layer.stride, ceil_mode=True)
    return [layer(x).shape[2], up(x).shape[2], layer(x).shape[1], parameters(layer)]


def seen(text, parts):
    chain, n = layers(text), 301
    nn.Sequential(*chain)(torch.empty(1, 3, n, n, device="meta"))  # they fit together
    fields = [line(part, n, middle) for part, middle in ((chain[:2], 20), (chain, 10), (chain, 11))]
    first, second = (field.nonzero().min().item() for field in fields[1:])
    return [int((fields[0] > 0).sum()), int((fields[1] > 0).sum()), second - first]


def counted(text, parts):
    layer, = layers(text)
    norm, = layers(parts[2])
    return [parameters(layer, "weight"), parameters(layer, "bias"), parameters(layer, "weight") + parameters(norm)]


def grouped(text, parts):
    layer, = layers(text)
    pair = layers(parts[2])
    assert nn.Sequential(*pair)(torch.empty(1, layer.in_channels, 9, 9, device="meta")).shape[1] == layer.out_channels
    return [layer.weight.shape[1], parameters(layer), sum(map(parameters, pair))]


def costly(text, parts):
    layer, x = layers(text)[0], image(text)
    macs = [prod(layer(y).shape) * layer.weight[0].numel() for y in (x, x.repeat(1, 1, 2, 2))]
    assert macs[1] % macs[0] == 0
    return [layer(x).numel(), macs[0], macs[1] // macs[0], 1]


def dense(text, parts):
    conv, units = layers(text)[0], int(re.search(r"(\d+) outputs", text)[1])
    assert conv(image(text)).shape[1] == units
    small, large = (nn.Linear(image(t).numel(), units, device="meta") for t in (text, parts[2]))
    return [parameters(small), parameters(conv), parameters(large)]


def tabulated(text, parts):
    chain = layers(text)[:5]
    *maps, flat = [nn.Sequential(*chain[:end])(image(text)) for end in range(1, 6)]
    one, two, three, four = (x.shape[2] for x in maps)
    counts = [parameters(layer) for layer in (chain[0], chain[2], nn.Linear(flat.shape[1], 10, device="meta"))]
    return [one, counts[0], two, three, counts[1], four, flat.shape[1], counts[2], sum(counts)]


def mistaken(text, parts):
    return [None, layers(text)[0](image(text)).shape[2]]


def refused(text, parts):
    net, x = layers(text), image(text)
    for number, layer in enumerate(net, 1):
        try:
            x = layer(x)
        except RuntimeError:
            return [number, x.shape[1], None]


BY_TORCH = (whole, floored, dilated, pooled, seen, counted, grouped, costly, dense, tabulated, mistaken, refused)


asked, pages = cache(exam.drawn), cache(exam.pages)


def all_parts():
    return [(seed, question, part) for seed in SEEDS for question in asked(seed) for part in question.parts]


def in_the_key(text):
    """The answers of each question, as the printed key has them."""
    return [re.findall(r"^- \(\w\) \*\*(.+?)\*\*", section, re.M) for section in text.split("\n## ")[1:]]


@pytest.mark.parametrize("kind", range(12), ids=[template.__name__ for template in exam.QUESTIONS])
def test_the_key_is_what_pytorch_says(kind):
    for seed in SEEDS:
        question, printed = asked(seed)[kind], in_the_key(pages(seed)[1])[kind]
        expected = BY_TORCH[kind](question.given, [part.ask for part in question.parts])
        assert len(expected) == len(printed) == len(question.parts)
        for found, right in zip(printed, expected, strict=True):
            assert right is None or found == f"{right:,}", (seed, question.given, printed, expected)


def test_the_key_mends_the_network_that_raises_and_names_the_mistake_that_was_made():
    lines, causes = set(), set()
    for seed in SEEDS:
        questions = asked(seed)
        text, (number, _, repair) = questions[REFUSED].given, questions[REFUSED].parts
        mended = layers(text)
        mended[int(number.answer) - 1], = layers(repair.words)
        assert nn.Sequential(*mended)(image(text)).shape == (1, 10), seed
        lines.add(number.answer)
        sentence, number = questions[MISTAKEN].parts
        wrong = questions[MISTAKEN].given.splitlines()[-1].strip()
        formula, claimed = wrong.split(" = ")
        assert result(formula) == int(claimed) != number.work[1]
        assert number.slips[sentence.words] == (formula, int(claimed))
        causes.add(re.sub(r"\d+", "n", sentence.words))
    assert lines == {"4", "7"} and len(causes) == 5


def test_a_usual_mistake_never_gives_the_right_number():
    for seed, question, part in all_parts():
        assert part.words or part.slips, f"{question.title} names no mistake"
        for cause, (_, value) in part.slips.items():
            assert 0 <= value != part.work[1], (seed, question.title, cause)


def test_where_several_causes_give_one_number_their_formulas_differ_and_the_key_says_so():
    shared = set()
    for seed in SEEDS:
        for number, question in enumerate(asked(seed), 1):
            for letter, part in zip("abcdefghi", question.parts, strict=False):
                formulas = {formula for formula, _ in part.slips.values()}
                assert len(formulas) == len(part.slips), (seed, question.title, part)
                if len({value for _, value in part.slips.values()}) < len(formulas):
                    shared.add(f"{number}({letter})")
    assert shared == {"1(a)", "2(a)", "11(b)"}
    assert "Where several causes give one number, the student's formula tells which." in " ".join(
        pages(0)[1].split())


def test_a_question_is_unfair_where_two_mistakes_are_written_alike():
    def question(**slips):
        return exam.Question("", "", (exam.Part("", 1, ("2*3", 6), slips),))

    assert exam.fair(question(one=("3*3", 9), another=("9", 9)))
    assert not exam.fair(question(one=("3*3", 9), another=("3*3", 9)))
    assert not exam.fair(question(gives_the_right_number=("3 + 3", 6)))


def test_a_cause_leads_to_its_number():
    for seed in SEEDS:
        chain = layers(asked(seed)[SEEN].given)
        k1, s1, k2 = chain[0].kernel_size[0], chain[0].stride[0], chain[1].kernel_size
        part = asked(seed)[SEEN].parts[0]
        cause, (_, added) = next(iter(part.slips.items()))
        assert added == k1 + k2 and ("stride" in cause) == (s1 == 2), seed
        assert part.work[1] == added - 1 or s1 == 2


def test_networks_that_flatten_get_a_batch():
    for _, question, _ in all_parts():  # nn.Flatten takes the channels of a lone image for the images of a batch
        assert "nn.Flatten" not in question.given or "batch" in question.given.split("\n")[0], question.given


def test_a_kernel_is_one_grid_for_a_pair_of_channels():
    for seed in SEEDS:
        text = " ".join("\n".join(pages(seed)).split())
        assert not re.search(r"kernels? (does|sees?|sums|still|has|have|belongs?)\b|one kernel", text), seed
    assert "How many input channels does one output channel see?" in text


def test_the_key_prints_every_formula_with_its_true_result():
    for seed in SEEDS:
        for part in (part for question in asked(seed) for part in question.parts if not part.words):
            for formula, value in (part.work, *part.slips.values()):
                assert result(formula) == value, (seed, formula)
        for value, formula in re.findall(r"(?:\*\*|  - )([\d,]+)(?:\*\*)? = `(.+?)`", pages(seed)[1]):
            assert result(formula) == int(value.replace(",", "")), (seed, formula)


def test_no_question_loses_its_point():
    for seed in SEEDS:
        given = [question.given for question in asked(seed)]
        x, conv = image(given[WHOLE]), layers(given[WHOLE])[0]
        assert (x.shape[2] + 2 * conv.padding[0] - conv.kernel_size[0]) % conv.stride[0] == 0 < conv.padding[0]
        slides, = layers(given[FLOORED])
        assert 1 < slides.stride[0] and asked(seed)[FLOORED].parts[2].work[1] > 0
        down, up = (part.work[1] for part in asked(seed)[POOLED].parts[:2])
        assert up == down + 1
        assert layers(given[DILATED])[0].dilation[0] > 1 and layers(given[GROUPED])[0].groups > 1
        assert any(one.stride in (2, (2, 2)) for one in layers(given[SEEN]))


def test_numbers_can_be_computed_by_hand():
    for seed, question, part in all_parts():
        assert 0 <= part.work[1] < 2_000_000, (seed, question.title, part.work)


def test_the_sheet_holds_no_answer():
    for seed in SEEDS:
        questions = asked(seed)
        blank = [replace(question, parts=tuple(replace(part, work=("", 0), slips={}, words="")
                                               for part in question.parts)) for question in questions]
        assert exam.sheet(blank) == exam.sheet(questions)
        assert "seed" not in pages(seed)[0]
    for seed, question, part in all_parts():
        text = " ".join([question.given, *(part.ask for part in question.parts)])
        answer = part.words.strip("`") or str(part.work[1])
        if len(answer) > 2:  # a small number may stand there by chance
            assert not re.search(rf"\b{re.escape(answer)}", text), (seed, question.title, part)


def test_twelve_questions_of_sixty_points_and_sheet_and_key_belong_together():
    codes = set()
    for seed in SEEDS:
        sheet, key = pages(seed)
        assert len(re.findall(r"^## \d+\.", sheet, re.M)) == len(re.findall(r"^## \d+\.", key, re.M)) == 12
        assert sum(question.points for question in asked(seed)) == 60
        assert "60 points" in sheet and "60 points" in key
        code = sheet.split("\n")[0].split()[-1]
        assert key.split("\n")[0].endswith(code) and f"--seed {seed}`" in key
        codes.add(code)
    assert len(codes) == len(SEEDS), "two seeds give the same sheet"


def test_numbers_are_drawn_by_the_one_method_that_python_keeps_the_same():
    class OnlyRandom(Random):
        def getrandbits(self, k):
            raise AssertionError("this method may change with the version of Python")

        randrange = randint = choice = choices = shuffle = sample = uniform = getrandbits

    assert exam.questions(OnlyRandom("convolution arithmetic 3")) == asked(3)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for hash_seed in ("0", "1"):
        done = subprocess.run([sys.executable, "-m", "cnncourse", "exam", "--seed", "3", "--out", tmp_path / hash_seed],
                              env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert str(tmp_path / hash_seed / "exam.md") in done.stdout and "key.md" in done.stdout
    for name in ("exam.md", "key.md"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert (tmp_path / "0" / "exam.md").read_text() == pages(3)[0]
    assert {path.name for path in (tmp_path / "0").iterdir()} == {"exam.md", "key.md"}


@pytest.mark.parametrize("name", ["exam.md", "key.md"])
def test_nothing_is_overwritten(name, tmp_path, capsys):
    (tmp_path / name).write_text("marked by hand")
    assert command("exam", "--seed", 1, "--out", tmp_path) == 2
    assert f"{name} is there already and is kept: name another directory" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "marked by hand"}


def test_bad_input_gets_one_sentence(tmp_path, capsys):
    (tmp_path / "notes").write_text("mine")
    assert command("exam", "--seed", 1, "--out", tmp_path / "notes") == 2
    assert capsys.readouterr().err == f"cnncourse: {tmp_path / 'notes'} is a file: name a directory with --out\n"
    for words, message in (([], "one of the arguments --seed --seeds is required"),
                           (["--seed", "x"], "argument --seed: invalid int value: 'x'")):
        with pytest.raises(SystemExit):
            command("exam", *words, "--out", tmp_path)
        assert message in capsys.readouterr().err
