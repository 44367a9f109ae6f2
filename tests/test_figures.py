"""The archive of figures: each as it stands in its lesson, with what a slide needs to say of it."""

import csv
import io
import zipfile
from xml.etree import ElementTree as ET

import nbformat
from conftest import NOTEBOOKS, command
from PIL import Image

from cnncourse.instructor import figures


def test_every_figure_of_the_lessons_is_a_picture_with_caption_alt_text_and_licence(tmp_path, capsys):
    assert command("export", "--figures", "--out", tmp_path / "new") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'figures.zip'}\n"
    with zipfile.ZipFile(tmp_path / "new" / "figures.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("figures.csv").decode("utf-8-sig"))))
        names = {row["file"]: row for row in rows}
        assert set(archive.namelist()) == {*names, "figures.csv", "LICENCE.txt"} and len(names) == len(rows)
        for name in names:
            content = archive.read(name)
            if name.endswith(".png"):
                assert min(Image.open(io.BytesIO(content)).size) > 100, name
            else:
                assert ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg", name
        assert "https://creativecommons.org/licenses/by/4.0/" in archive.read("LICENCE.txt").decode()
    wanted = {f"{path.stem}/{cell.metadata.mystnb.figure.name}": cell for path in NOTEBOOKS
              for cell in nbformat.read(path, as_version=4).cells if "figure" in cell.metadata.get("mystnb", {})}
    assert {name.rpartition(".")[0] for name in names} == set(wanted) and len(wanted) == 78
    for name, row in names.items():
        described = wanted[name.rpartition(".")[0]].metadata.mystnb
        assert row["caption"] == described.figure.caption and row["licence"].startswith("CC BY 4.0")
        assert len(row["alt text"]) > 40 and row["alt text"] == described.get("image", {}).get("alt", row["alt text"])


def test_figures_that_show_photographs_are_those_whose_lessons_the_licence_names():
    shown = [str(int(path.stem[:2])) for path in NOTEBOOKS if "data.photograph(" in path.read_text(encoding="utf-8")
             or "photographs.build" in path.read_text(encoding="utf-8")]
    assert f"Figures of lessons {', '.join(shown[:-1])} and {shown[-1]} show" in figures.LICENCE


def test_a_figure_without_output_or_a_target_that_holds_files_is_one_sentence(tmp_path, capsys):
    notebook = nbformat.read(NOTEBOOKS[3], as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(notebook, tmp_path / "04_vgg.ipynb")
    assert command("export", tmp_path / "04_vgg.ipynb", "--figures", "--out", tmp_path / "new") == 2
    assert "04_vgg.ipynb has no output for its figure fig-" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert command("export", "04", "--figures", "--out", tmp_path) == 2
    assert f"{tmp_path} holds 04_vgg.ipynb, which is kept" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["04_vgg.ipynb"]
