"""The folder of photographs: what is in it, and that the loader takes it and real ones."""

import warnings
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import real_data
from PIL import Image, ImageOps
from torch.nn.functional import avg_pool2d

from cnncourse import data
from cnncourse.datasets import photographs


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return photographs.build(tmp_path_factory.mktemp("photographs") / "deep" / "folder")


@pytest.fixture(scope="module")
def loaded(built):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return data.load("folder", size=32, root=built), [str(w.message) for w in caught]


@pytest.fixture(scope="module")
def broken(built):
    found = []
    for path in jpegs(built):
        try:
            Image.open(path).load()
        except OSError:
            found.append(path)
    assert len(found) == 1
    return found[0]


def jpegs(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.jpg"))


def test_it_holds_over_two_hundred_small_jpegs_of_five_uneven_classes_and_nothing_else(built):
    assert sorted(p for p in built.rglob("*") if p.is_file()) == jpegs(built)
    assert all(Image.open(p).format == "JPEG" for p in jpegs(built))
    assert sum(p.stat().st_size for p in jpegs(built)) < 4e6
    counts = Counter(p.parent.name for p in jpegs(built))
    assert sorted(counts) == sorted(p.name for p in built.iterdir()) == ["flower", "leaves", "pagoda", "sky", "trees"]
    assert counts.total() >= 200 and max(counts.values()) > 2 * min(counts.values())


def test_equal_seeds_give_equal_files_and_others_others(built, tmp_path):
    def content(root):
        return {p.relative_to(root): p.read_bytes() for p in jpegs(root)}

    assert content(photographs.build(tmp_path / "again")) == content(built)
    assert content(photographs.build(tmp_path / "other", seed=1)) != content(built)


def test_sizes_proportions_and_modes_vary(built):
    opened = [Image.open(p) for p in jpegs(built)]
    sizes = [image.size for image in opened]
    assert len(set(sizes)) > 100 and max(map(max, sizes)) > 250
    assert sum(max(size) <= 12 for size in sizes) == photographs.TINY
    ratios = [width / height for width, height in sizes]
    assert min(ratios) < 0.8 and max(ratios) > 1.6
    assert sum(image.mode == "L" for image in opened) >= photographs.GREY


def test_pictures_are_stored_turned_as_their_exif_field_says(built, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "transpose", lambda image, _: image)  # the same folder with none turned
    plain = photographs.build(tmp_path / "plain")
    monkeypatch.undo()
    seen = Counter()
    for path in jpegs(built):
        if orientation := Image.open(path).getexif().get(photographs.ORIENTATION):
            seen[orientation] += 1
            shown = ImageOps.exif_transpose(Image.open(path))
            meant = Image.open(plain / path.relative_to(built))
            assert shown.size == meant.size
            assert abs(np.asarray(shown, float) - np.asarray(meant, float)).mean() < 6  # JPEG stores blocks
    assert set(seen) == {3, 6, 8} and seen.total() == photographs.TURNED


def test_copies_carry_another_places_number_and_a_random_split_would_part_them(built, broken):
    from sklearn.model_selection import train_test_split

    whole = [p for p in jpegs(built) if p != broken]
    thumbnails = avg_pool2d(data.decode(whole, (3, 128, 128)).float(), 8)
    newest = sorted(range(len(whole)), key=lambda i: whole[i].name)[-photographs.COPIES:]
    originals = []
    for i in newest:
        apart = (thumbnails - thumbnails[i]).abs().mean((1, 2, 3))
        apart[i] = torch.inf
        original = int(apart.argmin())
        assert apart[original] < 3 and whole[i].name[:4] != whole[original].name[:4]
        assert whole[i].parent == whole[original].parent
        originals.append(original)
    _, test = train_test_split(range(len(whole)), test_size=0.3, random_state=0)
    assert any((i in test) != (j in test) for i, j in zip(newest, originals, strict=True))


def test_one_file_is_cut_short_and_the_loader_names_it_and_reads_the_rest(built, broken, loaded):
    folder, messages = loaded
    assert len(messages) == 1 and broken.name in messages[0] and "truncated" in messages[0]
    assert folder.classes == ("flower", "leaves", "pagoda", "sky", "trees") and folder.image_shape == (3, 32, 32)
    assert sum(map(len, (folder.train, folder.validation, folder.test))) == len(jpegs(built)) - 1
    images, labels = next(iter(folder.batches("train", 32)))
    assert images.shape == (32, 3, 32, 32) and len(set(labels.tolist())) == 5


def test_colour_helps_and_does_not_decide(loaded):
    """A logistic regression on the mean colour: well above the largest class, well below perfect."""
    from sklearn.linear_model import LogisticRegression

    folder, _ = loaded
    train, test = ((s.images[:].float().mean((2, 3)) / 255).numpy() for s in (folder.train, folder.test))
    regression = LogisticRegression(C=100, max_iter=1000).fit(train, folder.train.labels)
    assert 0.4 < regression.score(test, folder.test.labels) < 0.9


def test_a_folder_that_exists_is_left_alone_and_a_crash_leaves_none(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="mine exists already and is left as it is: give a folder"):
        photographs.build(tmp_path / "mine")
    monkeypatch.setattr(Image.Image, "save", Mock(side_effect=OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        photographs.build(tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_the_loader_reads_real_photographs():
    root = real_data() / "flowers"
    if not root.is_dir():
        pytest.skip("there is no directory flowers in $CNNCOURSE_DATA (train/ and val/, one sub-directory a class)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no file is skipped
        warnings.filterwarnings("ignore", "fewer than 20 pictures")
        flowers = data.load("folder", size=64, root=root)
    assert flowers.classes == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert len(flowers.train) + len(flowers.validation) == len(jpegs(root / "train"))
    assert len(flowers.test) == len(jpegs(root / "val")) > 0
    images, labels = next(iter(flowers.batches("train", 32, "flip")))
    assert images.shape == (32, 3, 64, 64) and images.abs().mean() < 2 and len(set(labels.tolist())) == 5
