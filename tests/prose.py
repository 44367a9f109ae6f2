"""Numbers in the text of a notebook, and whether the notebook computes them.

    python tests/prose.py notebooks/06_resnet.ipynb

lists those that nothing in the notebook vouches for.
"""

import ast
import re
import sys
from math import isclose
from pathlib import Path

import nbformat

# What makes a number a claim: a decimal point, a thousands separator, four digits or more, or one of these behind it.
SCALES = {"%": 0.01, "per cent": 0.01, "ms": 1e-3, "K": 1e3, "thousand": 1e3, "M": 1e6, "million": 1e6, "G": 1e9,
          "billion": 1e9, "KB": 1e3, "MB": 1e6, "GB": 1e9, "MiB": 2**20, "GiB": 2**30, "s": 1, "seconds": 1,
          "minutes": 60, "hours": 3600, "points": 0.01}
NUMBER = re.compile(r"(?<![\w.,^-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d])"
                    rf"(?:\s?({'|'.join(sorted(map(re.escape, SCALES), key=len, reverse=True))})(?![\w]))?")
PRINTED = re.compile(r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
                     r"(\s?(?:%|points|million|billion|thousand|[KMG]B?|[MG]iB)(?!\w))?")
SHARES = {"%": ("%",), "per cent": ("%",), "points": ("points", "%")}  # unit in the text → signs in an output
NO_CLAIM = re.compile(  # code, formula names, links, the places in a paper, and the length of an exercise
    r"```.*?```|`[^`]*`|\]\([^)]*\)|<[^>]*>|\\[a-zA-Z]+|"
    r"(?:[Ss]ections?|Tables?|Figures?|Equations?|Version|Python)\s+[\d.]+(?:\s*(?:and|to|,)\s*[\d.]+)*|"
    r"\*\d+ minutes, \w+\.\*", re.S)


def claims(text: str) -> list[tuple[str, float, int, str | None]]:
    """The numbers of a text that need a proof: as written, value, decimals, unit."""
    text = NO_CLAIM.sub(" ", text.replace("{,}", ",").replace("\\%", " %").replace("\\,", " "))
    found = []
    for match in NUMBER.finditer(text):
        digits, unit = match.groups()
        value = float(digits.replace(",", ""))
        year = digits.isdigit() and 1900 <= value <= 2035 and unit in (None, "s")  # 2012, the 1990s
        if not year and (unit or not digits.isdigit() or value >= 1000):
            found.append((match.group(), value, len(digits.partition(".")[2]), unit))
    return found


def printed(cells: list) -> set[tuple[float, int, str]]:
    """Every number that a code cell prints or shows: value, decimals, and a unit behind it."""
    found = set()
    for output in (output for cell in cells for output in cell.outputs):
        stream = output.output_type == "stream" and output.name == "stdout"
        text = output.text if stream else output.get("data", {}).get("text/plain", "")
        for digits, unit in PRINTED.findall(text):
            decimals = 99 if "e" in digits else len(digits.partition(".")[2])
            found.add((float(digits.replace(",", "")), decimals, unit.strip()))
    return found


def asserted(cells: list) -> set[float]:
    """Every number that a code cell asserts of something computed; so are those that literals give: 2 * 32 * 32."""
    literal = ast.BinOp | ast.UnaryOp | ast.Constant | ast.operator | ast.unaryop
    tests = [node.test for cell in cells for node in ast.walk(python_of(cell)) if isinstance(node, ast.Assert)]
    parts = [part for test in tests if any(isinstance(node, ast.Name) for node in ast.walk(test))
             for part in ast.walk(test) if isinstance(part, ast.expr)]
    values = [eval(ast.unparse(part)) for part in parts if all(isinstance(node, literal) for node in ast.walk(part))]
    return {float(value) for value in values if isinstance(value, int | float)}


def python_of(cell) -> ast.Module:
    """What a code cell says, without commands to the notebook."""
    lines = cell.source.splitlines()
    return ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))


def proven(value: float, places: int, unit: str | None, shown: set, known: set[float]) -> bool:
    """An assertion proves a number. So does one that is printed to as many places: a share if it is printed as one, and
    millions if they are printed as such (61 steps prove no 61 million).
    """
    scaled = value * SCALES.get(unit, 1)
    if any(isclose(v, k) for v in (value, scaled) for k in known):
        return True
    if unit in SHARES:
        return any(isclose(value, v) and digits >= places and share in SHARES[unit] or
                   isclose(scaled, v) and digits >= 2 for v, digits, share in shown)
    large = SCALES.get(unit, 1) >= 1000
    return any(isclose(value, v) and digits >= places and (scale or not large) or scaled != value and isclose(scaled, v)
               for v, digits, scale in shown)


def unproven(path: Path) -> list[str]:
    """Numbers in the text that nothing in the notebook vouches for, each with its surroundings.

    The header, which ends at the first code cell, has its own tests; references cite.
    """
    cells = nbformat.read(path, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code"]
    shown, known = printed(code), asserted(code)
    body = cells[[c.cell_type for c in cells].index("code"):]
    texts = [c.source for c in body if c.cell_type == "markdown" and not c.source.startswith("## References")]
    return [f"{number} in: {' '.join(line.split())}" for text in texts for line in text.split("\n\n")
            for number, *claim in claims(line) if not proven(*claim, shown, known)]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *unproven(Path(name)), sep="\n  ")
