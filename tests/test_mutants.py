"""The mistakes of mutants.toml still apply: otherwise `make mutants` would test nothing."""

import pytest
from mutants import MUTANTS, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["mistake"])
def test_mistakes_change_exactly_one_place(mutant):
    assert (ROOT / "cnncourse" / mutant["file"]).read_text().count(mutant["was"]) == 1
    assert all((ROOT / "tests" / name).is_file() for name in mutant["tests"])


def test_there_are_over_thirty_mistakes():  # says the README
    assert len({mutant["mistake"] for mutant in MUTANTS}) == len(MUTANTS) > 30
