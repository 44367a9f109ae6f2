"""The data sets that `load` gives, and the batches that are made of them. test_photographs has the lesson's folder."""

import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import real_data
from PIL import Image, ImageOps
from torch.nn.functional import avg_pool2d

from cnncourse import data
from cnncourse.datasets import checksums, downloads, folders


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def splits(images):
    return images.train, images.validation, images.test


def test_digits_are_scikit_learns_and_nobody_writes_on_two_sides():
    from sklearn.datasets import load_digits

    bunch, form = load_digits(), "0123456789" * 3  # with which the labels of each form begin
    torch.manual_seed(123)  # a training seed must not move the split
    np.random.seed(123)
    digits = data.load("digits")
    assert digits.image_shape == (1, 8, 8) and digits.train.images.dtype == torch.uint8
    mixed = np.random.RandomState(0).permutation(1157)
    for split, indices in zip(splits(digits), (mixed, np.arange(1157, 1415), np.arange(1415, 1797)), strict=True):
        assert np.array_equal(split.labels, bunch.target[indices])
        assert np.array_equal(split.images[:, 0], (bunch.images[indices] * 255 / 16).round())
    for start in (0, 1157, 1415):
        assert "".join(map(str, bunch.target[start:])).startswith(form)
    assert set(digits.train.labels[:64].tolist()) == set(range(10))  # the first few hold all classes


def test_the_nearest_image_of_the_same_class_lies_in_the_same_form():
    """Which is why a random split is too kind: each test image would find its own hand among those for training."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = torch.from_numpy(bunch.data), torch.from_numpy(bunch.target)
    starts = [0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667, 1797]
    distances = torch.cdist(images, images) + 1e9 * ((labels[:, None] != labels) | torch.eye(1797, dtype=torch.bool))
    forms = torch.stack([part.min(1).values for part in distances.split(np.diff(starts).tolist(), 1)], 1)
    means = torch.stack([part.mean(0) for part in forms.split(np.diff(starts).tolist())])  # form x form in which
    own = means.diagonal()
    assert own.max() < 20.3
    assert (means + 1e9 * torch.eye(14)).min() > 22.6


def test_the_photographs_are_scikit_learns():
    from sklearn.datasets import load_sample_image

    for name in ("china.jpg", "flower.jpg"):
        assert np.array_equal(data.photograph(name), load_sample_image(name).transpose(2, 0, 1) / np.float32(255))


def test_size_and_channels_are_those_asked_for():
    digits = data.load("digits", size=32, channels=3)
    assert digits.image_shape == (3, 32, 32)
    assert torch.equal(digits.train.images[:, 0], digits.train.images[:, 2])
    shapes = data.load("shapes", channels=1, limit=100)
    assert shapes.image_shape == (1, 32, 32) and len(shapes.train) == 100 and len(shapes.test) == 1000


def test_fewer_images_are_the_first_of_each_set(digits):
    few = digits.first(5)
    assert [len(split) for split in splits(few)] == [5, 5, 5]
    assert torch.equal(few.test.images, digits.test.images[:5]) and few.mean is digits.mean


def no_image_is_in_two_sets(images):
    sets = [set(split.images.items) for split in splits(images)]
    return len(set.union(*sets)) == sum(map(len, splits(images)))


def test_large_shapes_are_drawn_only_when_asked_for_and_none_is_in_two_sets():
    shapes = data.load("shapes", size=128)
    assert isinstance(shapes.test.images, data.Lazy) and no_image_is_in_two_sets(shapes)
    images, labels = next(iter(shapes.batches("train", 4)))
    assert images.shape == (4, 3, 128, 128) and labels.shape == (4,)


def test_statistics_are_those_of_the_pixels_and_need_little_memory():
    images = torch.randint(0, 200, (20, 3, 9, 7), dtype=torch.uint8)
    pixels = images.transpose(0, 1).flatten(1).double() / 255
    for found, expected in zip(data.statistics(images), (pixels.mean(1), pixels.std(1)), strict=True):
        assert torch.equal(found, expected.float())
    code = ("import torch; from cnncourse.data import statistics; from cnncourse.loop.devices import peak_memory\n"
            "images = torch.randint(0, 255, (3000, 3, 100, 100), dtype=torch.uint8); before = peak_memory()\n"
            "statistics(images); print((peak_memory() - before) / images.nbytes)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4  # as doubles they would take 8 times the images' memory or more


@pytest.mark.parametrize("call, words", [
    (lambda d: data.load("cifar11"), "no data set 'cifar11': did you mean cifar10"),
    (lambda d: data.load("digits", channels=2), "1 channel .* or 3 .*, not 2"),
    (lambda d: data.load("digits", size=0), "at least 1 pixel"),
    (lambda d: data.load("digits", channels="3"), "1 channel .* or 3 .*, not '3'"),
    (lambda d: data.load("digits", size="32"), "size is a number of pixels, at least 1 pixel, not '32'"),
    (lambda d: data.load("digits", size=(32, 32)), r"at least 1 pixel, not \(32, 32\)"),
    (lambda d: data.load("digits", limit="5"), "number of images, not '5'"),
    (lambda d: data.load("digits", limit=-1), "number of images, not -1"),
    (lambda d: d.first(2.5), "number of images, not 2.5"),
    (lambda d: data.load(None), "name of a data set is a text, such as 'digits', not None"),
    (lambda d: data.load(Path("photos")), r"not .*Path\('photos'\): data.load\('folder', root=...\) takes photographs"),
    (lambda d: data.load("folder"), "existing directory"),
    (lambda d: data.load("folder", root=d), "existing directory .* as root, not Data"),
    (lambda d: data.take_stock(None), "existing directory .* as root, not None"),
    (lambda d: data.take_stock(".", (64, 64)), r"shape is \(channels, height, width\), .* not \(64, 64\)"),
    (lambda d: data.take_stock(".", 64), "shape is .* not 64"),
    (lambda d: data.take_stock(".", (64, 64, 3)), r"shape is .* not \(64, 64, 3\)"),
    (lambda d: data.decode(["a.jpg"], (64, 64)), r"shape is .* not \(64, 64\)"),
    (lambda d: data.decode("a.jpg", (3, 8, 8)), r"a list of files, not 'a.jpg': give \[path\]"),
    (lambda d: data.decode(Path("a.jpg"), (3, 8, 8)), "a list of files"),
    (lambda d: data.statistics(d.test.images / 255), "images are uint8, .* not float32 from 0 to 1: scale them"),
    (lambda d: data.statistics(d.test.images.numpy()), "images are a dense tensor .*, not ndarray: torch.from_numpy"),
    (lambda d: data.statistics(d.test.images[0]), r"N x C x H x W, not 1 x 8 x 8: .*images\[None\] makes a set"),
    (lambda d: data.statistics(d.test.images[:0]), "at least one image"),
    (lambda d: d.batches("train", 2000), "batch of 2000 is larger than the 1157 training images"),
    (lambda d: d.batches("train", 0), "at least one image"),
    (lambda d: d.batches("train", 8, "rotate"), "no augmentation 'rotate'"),
    (lambda d: replace(d, augment=None), "no augmentation 'None': choose from none, flip"),
    (lambda d: replace(d, classes=("a", "b", *10 * "a")), "two classes are called 'a'"),
    (lambda d: data.load("mnist", root=["a"]), "a folder is given by its path, not as a list"),
    (lambda d: d.batches("tests", 8), "no split 'tests': did you mean test"),
    (lambda d: d.batches("train", 32, share=(0, 3)), "batch of 32 cannot be shared equally by 3 processes"),
    (lambda d: data.Batches(d.train, 8, torch.zeros(3), torch.ones(3)), "of 3 channels but the images have 1"),
])
def test_bad_input_is_refused_in_one_clear_sentence(call, words, digits):
    with pytest.raises(ValueError, match=words):
        call(digits)


GREY, LABELS = torch.arange(64 * 64).reshape(64, 1, 8, 8).byte(), torch.arange(64) % 10


@pytest.mark.parametrize("images, labels, words", [
    (GREY / 255, LABELS, "images are uint8, with values from 0 to 255, not float32 from 0 to 1: scale them"),
    (GREY.long(), LABELS, "uint8, with values from 0 to 255, not int64: scale them"),
    (GREY.numpy(), LABELS, "a dense tensor that has numbers, not ndarray: torch.from_numpy makes one"),
    (GREY.to_sparse(), LABELS, "a dense tensor that has numbers, not torch.sparse_coo"),
    (GREY, LABELS.tolist(), "labels are a tensor, not list"),
    (GREY[:, 0], LABELS, "N x C x H x W, not 64 x 8 x 8: images.:, None. adds the one channel"),
    (GREY.expand(-1, 3, -1, -1).permute(0, 2, 3, 1), LABELS, "64 x 8 x 8 x 3 has its channels last: give images.perm"),
    (GREY[0].expand(3, 8, 8), LABELS[:1], "N x C x H x W, not 3 x 8 x 8: .*images.None. makes a set of one image"),
    (GREY.expand(-1, 3, -1, -1).permute(2, 3, 1, 0), LABELS, "8 x 8 x 3 x 64 has its channels third and its images la"),
    (GREY, LABELS[:63], "there are 64 images but 63 labels"),
    (GREY, LABELS.float(), "labels are an int64 tensor .* not float32 of the shape .64,.: give labels.flatten"),
    (GREY, LABELS[:, None], "of the shape .64, 1.: give labels.flatten"),
    (GREY, torch.nn.functional.one_hot(LABELS), "of the shape .64, 10.: labels.argmax.1. makes numbers"),
])
def test_images_and_labels_of_ones_own_are_checked(images, labels, words):
    with pytest.raises(ValueError, match=words):
        data.Split(images, labels)


@pytest.mark.parametrize("others, words", [
    ({"mean": torch.tensor([127.5])}, r"mean is that of pixels from 0 to 1, and cannot be \[127.5\]"),
    ({"std": torch.tensor([0.0])}, r"std is that of pixels from 0 to 1, and cannot be \[0.0\]"),
    ({"std": torch.tensor([torch.nan])}, r"std .* cannot be \[nan\]"),
    ({"mean": torch.tensor(0.5)}, "mean is a tensor of 1 numbers, one a channel, not 0.5"),
    ({"mean": torch.tensor([0.5], requires_grad=True)}, r"mean requires gradients, .*: give mean\.detach\(\)"),
    ({"std": (0.5,)}, r"std is a tensor of 1 numbers, one a channel, not \(0.5,\)"),
    ({"train": data.Split(GREY, LABELS + 1)}, "label 10 of the train images of 'own' is none of its 10 classes"),
    ({"test": data.Split(GREY, LABELS - 1)}, "label -1 of the test images"),
    ({"validation": data.Split(GREY[:0], LABELS[:0])}, "'own' has no validation images"),
    ({"test": data.Split(GREY[..., :7], LABELS)}, "the test images of 'own' are 1 x 8 x 7, but those for training 1"),
    ({"train": data.Split(GREY // 255, LABELS)}, "of the training images of 'own' go from 0 to 1, not to 255: scale"),
    ({"train": (GREY, LABELS)}, "train is a data.Split.images, labels., not tuple"),
    ({"classes": 10}, "classes are the names of the classes, a tuple of texts, not 10"),
    ({"classes": ()}, r"classes are the names of the classes, a tuple of texts, not \(\)"),
])
def test_data_of_ones_own_that_do_not_fit_together_are_refused(others, words):
    own = data.Split(GREY, LABELS)
    whole = data.Data("own", own, own, own, tuple("0123456789"), *data.statistics(GREY))
    with pytest.raises(ValueError, match=words):
        replace(whole, **others)


def test_a_digest_tells_images_labels_and_their_order_and_lets_a_folder_move(digits, tmp_path):
    train = digits.train
    order = torch.arange(len(train)).flip(0)
    others = [data.Split(train.images.flip(3), train.labels), data.Split(train.images, 9 - train.labels),
              data.Split(train.images[order], train.labels[order])]
    found = [digits.digest(), *(replace(digits, train=other).digest() for other in others)]
    assert len(set(found)) == 4 and data.load("digits").digest() == found[0]
    here, there, renamed = (
        data.Split(data.Lazy([tmp_path / folder / name], (1, 8, 8), None), train.labels[:1])
        for folder, name in (("a/cat", "1.jpg"), ("b/cat", "1.jpg"), ("a/cat", "2.jpg")))
    first, moved, other = (replace(digits, test=test).digest() for test in (here, there, renamed))
    assert first == moved != other


# Batches

def test_batches_are_normalised_by_the_training_images(digits):
    images = torch.cat([x for x, _ in digits.batches("train", 89)])
    assert abs(images.mean()) < 1e-5 and abs(images.std() - 1) < 1e-4


def test_equal_seeds_give_equal_batches_and_epochs_differ(digits):
    first, second = (digits.batches("train", 64, "crop", seed=3) for _ in range(2))
    for (a, x), (b, y) in zip(first, second, strict=True):
        assert torch.equal(a, b) and torch.equal(x, y)
    later = next(iter(first))
    assert not torch.equal(later[1], next(iter(digits.batches("train", 64, "crop", seed=3)))[1])
    second.epoch = 1  # a resumed training goes on with the second epoch
    assert torch.equal(next(iter(second))[0], later[0])


@pytest.mark.parametrize("name, mirrored", [("crop_flip", True), ("crop", False), ("own", False)], ids=str)
def test_augmentation_is_drawn_for_each_image_and_every_crop_is_a_window(name, mirrored, digits):
    """Digits are not mirrored: a mirrored 3 is no digit."""
    name = digits.augment if name == "own" else name
    gradient = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1) + 1
    split = data.Split(gradient, torch.zeros(200, dtype=torch.long))
    batches = data.Batches(split, 200, torch.zeros(1), torch.ones(1), name)
    out = next(iter(batches))[0].mul(255).round()
    padded = torch.nn.functional.pad(gradient[0, 0].float(), (1,) * 4)
    windows = {tuple(w.flatten().tolist()) for dy in range(3) for dx in range(3)
               for w in (padded[dy : dy + 8, dx : dx + 8], padded[dy : dy + 8, dx : dx + 8].flip(1))[: 1 + mirrored]}
    found = {tuple(image.flatten().tolist()) for image in out}
    assert found == windows and len(found) == (18 if mirrored else 9)


def test_training_leaves_out_a_last_batch_that_is_not_full_and_evaluation_keeps_it_and_the_order(digits):
    training, evaluation = data.load("digits", limit=130).batches("train", 64), list(digits.batches("test", 128))
    assert [len(y) for _, y in training] == [64, 64] and len(training) == 2
    assert [len(y) for _, y in evaluation] == [128, 128, 126]
    assert torch.equal(torch.cat([y for _, y in evaluation]), digits.test.labels)


def test_processes_take_their_own_parts_of_the_same_batches(digits):
    whole, *parts = (list(digits.batches("train", 64, "crop_flip", seed=1, share=share))
                     for share in ((0, 1), (0, 2), (1, 2)))
    for (x, y), (first, a), (second, b) in zip(whole, *parts, strict=True):
        assert torch.equal(x[0::2], first) and torch.equal(x[1::2], second)
        assert torch.equal(y[0::2], a) and torch.equal(y[1::2], b)


# Sets that are downloaded

@pytest.fixture(params=checksums.MD5)
def downloaded(request, tmp_path, monkeypatch):
    """(name, files) of a set whose files are there, with nothing in them but their names, as in those of the other
    sets, and no way to get others. test_downloads has the ways."""
    monkeypatch.setitem(downloads.ADDRESSES, request.param, ["http://localhost:x"])
    names = list(checksums.MD5[request.param])
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(pickle.dumps(name))  # as CIFAR's are
    for of_set, files in checksums.MD5.items():
        monkeypatch.setitem(checksums.MD5, of_set, {file: checksums.digest(pickle.dumps(file)) for file in files})
    return request.param, [tmp_path / name for name in names]


def test_an_absent_data_set_says_how_to_get_it(downloaded, tmp_path):
    """Also where only one file is missing."""
    name, files = downloaded
    for missing in (files[-1:], files):
        for file in missing:
            file.unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError, match=rf"data get {name} --from PLACE.*'digits' or 'shapes'"):
            data.load(name, root=tmp_path)


@pytest.mark.parametrize("content, fault", [
    (b"", "is damaged"), (b" <!DOCTYPE html><title>Log in", "is a web page"),
    (b"\0\0\x08\x03\0\0\xea\x60", "is damaged"), ("first", "is {first} under another name"),
    ("other", "is {other} under another name")], ids=["empty", "a web page", "cut short", "swapped", "of another set"])
def test_a_damaged_file_is_named_before_it_is_read_and_kept(downloaded, content, fault, tmp_path):
    """Also where the set cannot be read at all, and where the file is a whole one of the same or of another set, from
    which a network would learn without a word."""
    name, files = downloaded
    known = {"first": files[0].relative_to(tmp_path).as_posix(),
             "other": next(file for other, held in checksums.MD5.items() if other != name for file in held)}
    content, fault = pickle.dumps(known[content]) if content in known else content, fault.format(**known)
    files[-1].write_bytes(content)
    for damaged in (files[-1:], [files[1], files[-1]]):
        damaged[0].write_bytes(content)
        with pytest.raises(ValueError) as error:
            data.load(name, root=tmp_path)
        faults = [f"{file} {fault}" for file in damaged]
        assert str(error.value).startswith(f"{' and '.join(faults)}: put the right files in their place with ")
        assert str(error.value).endswith(f'cnncourse data get {name} --root "{tmp_path}"')
    assert files[-1].read_bytes() == content


def test_the_checksums_and_addresses_are_those_that_torchvision_knows():
    """Of the sets of handwriting and clothes it knows those of the packed files alone."""
    from torchvision import datasets

    for cls in (datasets.CIFAR10, datasets.CIFAR100):
        theirs = dict([*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])])
        name, ((packed, (md5, _)),) = cls.__name__.lower(), checksums.PACKED[cls.__name__.lower()].items()
        assert checksums.MD5[name] == {f"{cls.base_folder}/{file}": md5 for file, md5 in theirs.items()}
        assert (packed, md5) == (cls.filename, cls.tgz_md5)
        assert cls.url in [f"{address}/{packed}" for address in downloads.ADDRESSES[name]]
    for name, cls in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        theirs = {f"{cls.__name__}/raw/{file}": md5 for file, md5 in cls.resources}
        assert {file: md5 for file, (md5, _) in checksums.PACKED[name].items()} == theirs
        assert list(checksums.MD5[name]) == [file.removesuffix(".gz") for file in theirs]
        assert f"{downloads.ADDRESSES[name][0]}/" in cls.mirrors  # their order changes with the version


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_images_keep_their_labels_and_are_split_by_class_with_none_in_two_sets(name, tmp_path, monkeypatch):
    """A stand-in for CIFAR, whose pixels hold the label and the number of the image."""
    key, files = "fine_labels" if name == "cifar100" else "labels", checksums.MD5[name]
    *parts, test, meta = files
    numbers, pickles = np.arange(5000 * len(parts) + 6000 * (len(parts) == 1)), {}
    for file, of_file in zip([*parts, test], [*np.split(numbers, len(parts)), np.arange(100)], strict=True):
        images = np.zeros((len(of_file), 3, 32, 32), np.uint8)
        images[:, 2, 0, 3] = of_file % 2
        images[:, 0, 1, 1], images[:, 0, 1, 2] = of_file // 256, of_file % 256
        pickles[file] = {"data": images.reshape(-1, 3072), key: (of_file % 2).tolist()}
    pickles[meta] = {key.removesuffix("s") + "_names": ["even", "odd"]}
    for file, content in pickles.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(pickle.dumps(content))
    monkeypatch.setitem(checksums.MD5, name, {
        file: checksums.digest((tmp_path / file).read_bytes()) for file in pickles})
    images = data.load(name, root=tmp_path)
    assert images.classes == ("even", "odd") and len(images.test) == 100
    for split in splits(images):
        assert torch.equal(split.images[:, 2, 0, 3].long(), split.labels) and split.labels.float().mean() == 0.5
    train, validation = (set((256 * split.images[:, 0, 1, 1].long() + split.images[:, 0, 1, 2]).tolist())
                         for split in (images.train, images.validation))
    assert len(validation) == 5000 and train | validation == set(numbers.tolist()) and not train & validation


@pytest.fixture
def real(request):
    """(name, root) of a real data set, where it is."""
    return request.param, real_data(request.param)


@pytest.mark.parametrize("real", checksums.MD5, indirect=True)
def test_real_sets_are_as_torchvision_reads_them(real):
    from torchvision import datasets

    name, root = real
    cls = {cls.__name__.lower(): cls for cls in (datasets.MNIST, datasets.CIFAR10, datasets.CIFAR100)}.get(
        name, datasets.FashionMNIST)
    theirs, test = cls(root, train=True), cls(root, train=False)
    ours = data.load(name, root=root)
    assert ours.classes == tuple(theirs.classes)
    assert np.array_equal(ours.test.images.permute(0, 2, 3, 1).squeeze(3), test.data)
    assert ours.test.labels.tolist() == torch.as_tensor(test.targets).tolist()
    held, kept = (set(map(bytes, split.images.permute(0, 2, 3, 1).numpy())) for split in (ours.validation, ours.train))
    assert held | kept == set(map(bytes, np.asarray(theirs.data)))


@pytest.mark.parametrize("real, shape, mean", [
    ("mnist", (1, 28, 28), [0.1307]), ("fashion_mnist", (1, 28, 28), [0.286]),
    ("cifar10", (3, 32, 32), [0.4914, 0.4822, 0.4465])], indirect=["real"])
def test_real_sets_have_their_published_statistics(real, shape, mean):
    images = data.load(real[0], root=real[1])
    assert images.image_shape == shape and len(images.test) == 10_000 and len(images.validation) == 5000
    assert np.allclose(images.mean, mean, atol=2e-3)


NEAR_COPIES = (Path(__file__).parents[1] / "book" / "records.py").read_text(encoding="utf-8").partition("COPIES = ")[2]


@pytest.mark.parametrize("name, side", [("digits", 1), ("shapes", 4)])
def test_the_books_table_of_near_copies_is_what_a_search_finds(name, side):
    """Means of squares of pixels differ by no more than the pixels do: only pairs whose means are near are compared."""
    images = data.load(name)
    train = images.train.images[:].float()
    for part, split in (("test", images.test), ("validation", images.validation)):
        row = f"| {name}, {part} | {len(split):,} |"
        for searched in (split.images[:].float(), split.images[:].float().flip(3)):
            means, others = (avg_pool2d(x, side).flatten(1) for x in (searched, train))
            i, j = (torch.cdist(means, others, p=1) <= 15.01 * means.shape[1]).nonzero().T
            apart = (searched[i] - train[j]).abs().mean((1, 2, 3))
            row += " " + ", ".join(str(len(i[apart <= levels].unique())) for levels in (0, 5, 10, 15)) + " |"
        assert f"\n{row}\n" in NEAR_COPIES


@pytest.mark.parametrize("real", ["cifar10"], indirect=True)
def test_the_nearest_images_of_cifar10_are_mirrored_and_those_that_the_book_names(real):
    images = data.load(real[0], root=real[1])
    named = re.findall(r"(\d{4}) of (?:training image )?(\d{5})", NEAR_COPIES)
    test, train = map(list, zip(*(map(int, pair) for pair in named), strict=True))
    for kind, apart in (("mirrored", images.test.images[test].flip(3)), ("as it is", images.test.images[test])):
        levels = (apart.float() - images.train.images[train]).abs().mean((1, 2, 3))
        assert len(levels) == 5 and (levels.max() < 5 if kind == "mirrored" else levels.min() > 15)


# Folders

def photographs(root, classes=("cat", "dog"), n=10):
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(np.full((30, 40, 3), 50 * k + i, np.uint8)).save(root / name / f"{i}.jpg")


def test_a_folder_of_photographs_is_decoded_when_indexed(tmp_path):
    photographs(tmp_path)
    folder = data.load("folder", size=24, root=tmp_path)
    assert folder.classes == ("cat", "dog") and folder.image_shape == (3, 24, 24)
    assert [len(split) for split in splits(folder)] == [14, 3, 3]
    images, labels = next(iter(folder.batches("train", 14)))
    assert images.shape == (14, 3, 24, 24) and set(labels.tolist()) == {0, 1}
    assert ((images.mean((1, 2, 3)) > 0) == (labels == 1)).all()  # dogs are brighter


def test_batches_are_the_same_for_any_number_of_workers(tmp_path, monkeypatch):
    """And for any number of pictures that stay in memory: all, some, none."""
    photographs(tmp_path)
    found = []
    for kept, workers in ((20, 0), (20, 2), (6, 0), (6, 2), (0, 0), (0, 2)):
        monkeypatch.setattr(folders, "KEPT", kept * 3 * 24 * 24 + 1)
        folder = data.load("folder", size=24, root=tmp_path)
        assert len(folder.train.images.kept) == kept
        batches = [*folder.batches("train", 4, "crop_flip", seed=1, workers=workers), *folder.batches("test", 2)]
        found.append((folder.mean, folder.std, *(x for batch in batches for x in batch)))
    assert len(found[0]) == 2 + 2 * 5
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other, strict=True))


def test_a_picture_in_memory_is_decoded_once_and_the_others_whenever_they_are_needed(tmp_path, monkeypatch):
    photographs(tmp_path)
    look, seen = folders.look, []
    monkeypatch.setattr(folders, "look", lambda path, shape: seen.append(path) or look(path, shape))
    for bound, decoded in ((folders.KEPT, 20), (5 * 3 * 24 * 24, 20 + 15)):
        seen.clear()
        monkeypatch.setattr(folders, "KEPT", bound)
        stock = folders.take_stock(tmp_path, (3, 24, 24))
        assert torch.equal(stock.images[:], stock.images.first(30)[:]) and stock.images.kept.nbytes <= bound
        assert len(set(seen)) == 20 and len(seen) == decoded + (decoded - 20)
    from_stock, loaded = quiet(stock), quiet(tmp_path, 24)
    assert torch.equal(from_stock.train.images[:], loaded.train.images[:]) and from_stock.train.labels.sum() == 7
    with pytest.raises(ValueError, match="have their size and channels already"):
        data.load("folder", size=32, root=stock)
    few = stock.images.part(torch.tensor([2, 19]))  # one of them is in memory
    assert torch.equal(few[:], data.decode(few.items, (3, 24, 24)))


@pytest.mark.parametrize("suffix, size, most",
                         [("png", 64, 1e-3), ("tif", 64, 1e-3), ("jpg", 64, 0.8), ("jpg", 32, 0.8), ("jpg", 224, 0.2)])
def test_pixels_are_those_of_torchvisions_resize_and_crop(suffix, size, most, tmp_path):
    """To less than one grey level on average where the JPEG decoder leaves out fine detail; also of turned pictures."""
    from torchvision.transforms import v2

    theirs = v2.Compose([v2.Resize(size), v2.CenterCrop(size), v2.PILToTensor()])
    exif = Image.Exif()
    for i, (name, side, turn) in enumerate((("china", 333, 1), ("flower", 301, 6), ("china", 427, 3))):
        exif[folders.ORIENTATION] = turn
        picture = Image.open(data.of_sklearn(f"images/{name}.jpg")).crop((0, 0, 500, side))
        picture.save(tmp_path / f"{i}.{suffix}", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(tmp_path / f"{i}.{suffix}"))
        found = data.decode([tmp_path / f"{i}.{suffix}"], (3, size, size))[0]
        assert (found.float() - theirs(upright)).abs().mean() <= most


@pytest.mark.parametrize("names, counts, test", [
    (("train", "val"), [16, 4, 12], "val"), (("train", "test"), [16, 4, 12], "test"),
    (("Training", "valid", "TEST"), [20, 12, 12], "TEST"), (("train", "dev", "testing"), [20, 12, 12], "testing"),
    (("train",), [14, 3, 3], "train")], ids=str)
def test_a_folder_that_is_divided_keeps_its_parts(names, counts, test, tmp_path):
    """The last part is for the test, also where the whole lies a folder deeper."""
    for name, n in zip(names, (10, 6, 6), strict=False):
        photographs(tmp_path / "deeper" / name, n=n)
    (tmp_path / "__MACOSX").mkdir()
    folder = quiet(tmp_path, 24, channels=1)
    assert [len(split) for split in splits(folder)] == counts and folder.image_shape == (1, 24, 24)
    assert folder.classes == ("cat", "dog") and no_image_is_in_two_sets(folder)
    assert {path.parts[-3] for path in folder.test.images.items} == {test}
    assert len(folder.first(10).train.labels.unique()) == 2  # mixed


@pytest.mark.parametrize("names, parts", [
    (("training_set", "test_set"), "train test"), (("seg_train/seg_train", "seg_test/seg_test"), "train test"),
    (("train_data", "valid_data"), "train validation"), (("X_train", "X_test"), "train test"),
    (("Train2017", "val2017"), "train validation"), (("trainset", "testset"), "train test"),
    (("training", "validation", "evaluation"), "train validation test"),
    (("trainval", "test"), "train test"), (("train", "train_old"), "train")], ids=str)
def test_the_names_of_parts_that_people_use_are_understood(names, parts, tmp_path):
    for name in names:
        photographs(tmp_path / name, n=6)
    (tmp_path / "seg_pred").mkdir()
    shutil.copy(tmp_path / names[0] / "cat" / "0.jpg", tmp_path / "seg_pred")
    stock = data.take_stock(tmp_path)
    assert stock.classes == ["cat", "dog"] and list(dict.fromkeys(stock.parts)) == parts.split()
    beside = [*names[len(parts.split()):], "seg_pred"]
    assert [note.split(" ")[0] for note in stock.notes if "left aside" in note] == sorted(beside)


def test_classes_of_trains_are_classes(tmp_path):
    photographs(tmp_path, ("steam_train", "training_shoe"))
    assert data.take_stock(tmp_path).classes == ["steam_train", "training_shoe"]


def test_pictures_of_no_class_in_train_are_left_aside(tmp_path):
    for name in ("train", "test"):
        photographs(tmp_path / name, n=20)
    shutil.copy(tmp_path / "train" / "cat" / "0.jpg", tmp_path / "train" / "loose.jpg")
    assert told(tmp_path)[0] == "train: loose.jpg in no class directory: left aside"


def test_parts_whose_names_are_not_understood_are_named(tmp_path):
    for name in ("test", "tr"):
        photographs(tmp_path / name, n=20)
    assert told(tmp_path)[0] == ("test, tr are taken for the classes, and each of them holds cat, dog: if these are "
                                 "the classes, name the folders train, val and test")


def test_parts_below_the_classes_are_understood(tmp_path):
    for kind in ("cat", "dog"):
        photographs(tmp_path / kind, ("train", "Test"), n=6)
    stock = data.take_stock(tmp_path)
    assert stock.classes == ["cat", "dog"] and no_image_is_in_two_sets(quiet(stock))
    assert {(path.parts[-2], part) for path, part in zip(stock.paths, stock.parts, strict=True)} == {
        ("train", "train"), ("Test", "test")}


def quiet(root, size=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.load("folder", size=size, root=root, **options)


def told(root):
    """What is said about a folder."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load("folder", size=8, root=root)
    assert {Path(warning.filename) for warning in caught} <= {Path(data.__file__), Path(__file__)}
    return [str(warning.message) for warning in caught]


def test_what_is_no_class_is_left_aside_and_named_and_folders_of_a_class_are_read(tmp_path):
    photographs(tmp_path, n=20)
    photographs(tmp_path / "cat", ("garden", ".ipynb_checkpoints"), n=3)
    photographs(tmp_path, ("__MACOSX", ".git", ".ipynb_checkpoints"), n=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    for name in ("notes/read.txt", "notes/LICENSE", "README", "cat/Thumbs.db", "cat/._0.jpg"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "dog" / "1.jpg").rename(tmp_path / "dog" / "without extension")
    (tmp_path / "dog" / "2.jpg").rename(tmp_path / "dog" / "2.JPG")
    (tmp_path / "dog" / "0.jpg").rename(tmp_path / "loose.jpg")
    assert told(tmp_path) == ["empty, notes without a picture: left aside",
                              "loose.jpg in no class directory: left aside",
                              "the same picture lies twice in a class, cat/0.jpg and cat/garden/0.jpg, cat/1.jpg and "
                              "cat/garden/1.jpg, cat/2.jpg and cat/garden/2.jpg: where one of them is held out, its "
                              "answer is known before the test, so leave one",
                              "fewer than 20 pictures of dog (19): an accuracy on the few held out is only a hint"]
    assert data.take_stock(tmp_path).labels.tolist() == 23 * [0] + 19 * [1]


def test_one_picture_in_two_classes_and_twice_in_one_is_named(tmp_path):
    photographs(tmp_path, n=20)
    (tmp_path / "dog" / "again.jpg").write_bytes((tmp_path / "cat" / "3.jpg").read_bytes())
    (tmp_path / "cat" / "again.jpg").write_bytes((tmp_path / "cat" / "3.jpg").read_bytes())
    assert told(tmp_path) == ["the same picture lies in two classes, cat/3.jpg and dog/again.jpg: leave it where it "
                              "belongs", "the same picture lies twice in a class, cat/3.jpg and cat/again.jpg: where "
                              "one of them is held out, its answer is known before the test, so leave one"]


def test_an_archive_that_is_not_unpacked_is_named(tmp_path):
    for name in ("cat.zip", "dog.tar.gz"):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ValueError, match="none .cat.zip, dog.tar.gz left aside: unpack what belongs to the pictures.;"):
        data.take_stock(tmp_path)


def test_a_class_that_is_written_otherwise_in_another_part_is_named(tmp_path):
    photographs(tmp_path / "train", ("Cat", "Dog"))
    photographs(tmp_path / "val", ("cat", "dog"))
    with pytest.raises(ValueError, match="class Cat of .* has no validation pictures: cat is another name, so write"):
        data.take_stock(tmp_path)


def test_a_picture_whose_exif_data_are_damaged_is_used_and_named(tmp_path):
    photographs(tmp_path, n=20)
    damaged = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"  # ends within the first of five fields
    for name in ("3", "4"):
        Image.new("RGB", (40, 30), (9, 9, 60 * int(name))).save(tmp_path / "dog" / f"{name}.jpg", exif=damaged)
    assert told(tmp_path) == [
        "dog/3.jpg, dog/4.jpg are used as far as Pillow can read: Corrupt EXIF data"]
    assert not data.take_stock(tmp_path).skipped


@pytest.mark.parametrize("suffix", ["", ".jpg_large"])
def test_a_class_may_hold_pictures_with_no_or_an_unknown_suffix_alone(suffix, tmp_path):
    photographs(tmp_path)
    for path in (tmp_path / "dog").iterdir():
        path.rename(path.with_suffix(suffix))
    assert data.take_stock(tmp_path).labels.sum() == 10


def test_one_picture_in_two_parts_is_named(tmp_path):
    photographs(tmp_path / "train", n=20)
    photographs(tmp_path / "test", n=2)
    for i in range(2):  # the others are equal
        Image.new("L", (30, 40), 200 + i).save(tmp_path / "test" / "dog" / f"{i}.jpg")
    assert told(tmp_path) == ["the same picture lies in two parts, train/cat/0.jpg and test/cat/0.jpg, train/cat/1.jpg "
                              "and test/cat/1.jpg: its answer is known before the test, leave it in one"]


def test_five_images_of_a_class_give_every_set_some(tmp_path):
    photographs(tmp_path, classes=("four", "of", "the", "least"), n=5)
    photographs(tmp_path, classes=("many",), n=46)
    folder, again = (data.load("folder", size=8, root=tmp_path) for _ in range(2))
    counts = [split.labels.bincount().tolist() for split in splits(folder)]
    assert counts == [[3, 3, 33, 3, 3], [1, 1, 7, 1, 1], [1, 1, 6, 1, 1]]  # classes in the order of the alphabet
    assert again.train.images.items == folder.train.images.items and no_image_is_in_two_sets(folder)


def test_photographs_are_turned_as_their_exif_data_says(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255  # the top is white; orientation 6 turns it to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    image = data.decode([tmp_path / "turned.jpg"], (3, 32, 32))[0]
    assert image[0, :, 20:].min() > 200 and image[0, :, :12].max() < 50


def test_every_kind_of_picture_keeps_its_brightness(tmp_path):
    """A scan of 16 bits or of floats turns neither white nor black, and what is transparent is white."""
    grey = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    grey[0, 0] = 255
    rgb = Image.fromarray(np.dstack([grey] * 3))
    black = np.dstack([np.zeros_like(grey)] * 3 + [255 - grey])  # a drawing in black, more or less transparent
    palette = rgb.convert("P")
    palette.info["transparency"] = bytes(256)
    wide = grey.astype(np.float32)
    kinds = {"grey.png": grey, "deep.png": grey.astype(np.uint16) * 257, "camera.png": grey.astype(np.uint16) * 16,
             "drawing.png": black, "drawing.tif": black[..., 2:], "long.tif": grey.astype(np.int32) * 257,
             "longer.tif": grey.astype(np.int32) * 2**23, "one.tif": wide / 255, "bytes.tif": wide,
             "signed.tif": wide / 100 - 1, "holes.tif": np.where(grey == 7, np.nan, wide / 255)}
    pictures = {name: Image.fromarray(pixels) for name, pixels in kinds.items()}
    pictures |= {"print.jpg": rgb.convert("CMYK"), "palette.png": rgb.convert("P")}
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        for channels in (1, 3):
            pixels = data.decode([tmp_path / name], (channels, 16, 16))[0]
            assert pixels.shape == (channels, 16, 16) and pixels.dtype == torch.uint8, name
            assert abs(pixels.float().mean() - grey.mean()) < 2, name
    palette.save(tmp_path / "clear.png")
    assert data.decode([tmp_path / "clear.png"], (3, 16, 16)).min() == 255


def png(colour_type, values):
    """A PNG of 30 x 20 equal pixels of 16 bits, which Pillow does not write."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + struct.pack(f">{len(values)}H", *values) * 30) * 20
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 16, colour_type, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("colour_type, bright, dark", [
    (2, (64000, 32000, 0), (4000, 2000, 0)), (6, (64000, 32000, 0, 65535), (4000, 2000, 0, 65535)),
    (6, (64000, 32000, 0, 65535), (4000, 2000, 0, 4095)), (4, (64000, 65535), (4000, 65535))],
    ids=["RGB", "RGBA", "RGBA, also of 12 bits", "grey and alpha"])
def test_colours_of_16_bits_that_use_12_are_refused_because_pillow_would_make_them_black(
        colour_type, bright, dark, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(colour_type, bright))
    expected = (250, 125, 0) if len(bright) > 2 else (250, 250, 250)
    assert data.decode([path], (3, 8, 8))[0, :, 4, 4].tolist() == list(expected)
    path.write_bytes(png(colour_type, dark))
    with pytest.raises(OSError, match="a.png cannot be read: its 16 bits a colour use the lower 12 alone"):
        data.decode([path], (3, 8, 8))


def test_a_black_drawing_of_16_bits_is_no_picture_of_12(tmp_path):
    (tmp_path / "a.png").write_bytes(png(6, (0, 0, 0, 32768)))
    assert data.decode([tmp_path / "a.png"], (1, 8, 8)).unique().tolist() == [127]


def test_decode_names_the_file_that_it_cannot_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(2, (0, 0, 0)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow raises nearly every kind; this is no OSError
    with pytest.raises(OSError, match="a.png cannot be read: more pixels than Pillow opens"):
        data.decode([tmp_path / "a.png"], (3, 8, 8))
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        data.decode([tmp_path / "nowhere.png"], (3, 8, 8))


def test_files_that_are_not_images_are_named_and_skipped(tmp_path):
    photographs(tmp_path, n=20)
    for name, content in {"notes.txt": b"not an image", ".DS_Store": b"x",
                          "bitmap.txt": b"P1 is the first photograph", "nothing.png": b"",
                          "a.heic": b"\0\0\0\x18ftypheic\0\0\0\0", "b.jpg": b"\0\0\0\x18ftypmif1"}.items():
        (tmp_path / "cat" / name).write_bytes(content)
    Image.effect_noise((99, 99), 50).save(tmp_path / "cat" / "cut (1).jpg")
    os.truncate(tmp_path / "cat" / "cut (1).jpg", 2000)
    (tmp_path / "cat" / "broken link.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")  # nothing ever comes out of it
    Image.new("1", (14000, 14000)).save(tmp_path / "cat" / "huge.png")
    lines = told(tmp_path)
    assert sum(map(len, splits(quiet(tmp_path)))) == 40 and all(line.startswith("cat/") for line in lines)
    reasons = dict(line.removeprefix("cat/").replace(" are ", " is ").split(" is skipped: ") for line in lines)
    assert {name: why.partition(",")[0] for name, why in reasons.items()} == {
        "a.heic, cat/b.jpg": "HEIC", "broken link.jpg": "No such file or directory",
        "cut (1).jpg": "image file is truncated",
        "huge.png": "more pixels than Pillow opens; save it smaller", "nothing.png": "an empty file",
        "notes.txt": "not a picture that Pillow knows", "bitmap.txt": "damaged"}


@pytest.mark.parametrize("prepare, ask, words", [
    (lambda root: None, "", "0 class directories with pictures: none; give a directory with at least two"),
    (lambda root: photographs(root, ("cat",)), "", "1 class directories with pictures: cat;"),
    (lambda root: photographs(root, ("cat",)), "cat", r"cat holds 0 .*\(0.jpg, .* and 5 more in no class directory"),
    (lambda root: photographs(root / "flowers"), "flower", "flower is no existing directory: did you mean flowers"),
    (lambda root: photographs(root), "cat/0.jpg", "0.jpg is a file: unpack it"),
    (lambda root: photographs(root, n=4), "", "class cat .* has 4 pictures to train with and needs 5"),
    (lambda root: [photographs(root / "train"), photographs(root / "val", ("cat",))], "",
     "class dog of .* has no validation pictures"),
    (lambda root: photographs(root, ("train", "test")), "", "divided into test, train, but there is no train with"),
    (lambda root: [photographs(root / name) for name in ("train_images", "train_masks", "test_images")], "",
     "train_images and train_masks are both for train, by their names: leave one of them"),
    (lambda root: [photographs(root / name) for name in ("train", "eval", "test")], "",
     "eval and test are both for test, by"),
    (lambda root: photographs(root, ("my_train", "my_test")), "", "divided into my_test, my_train, but there is no tr"),
    (lambda root: [photographs(root, ("cat",)), (root / "dog").mkdir(),
                   *((root / "dog" / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic") for i in range(9))], "",
     "class dog .* has 0 pictures .*; dog/0.heic, .* and 4 more are skipped: HEIC, .* save it as JPEG")])
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(prepare, ask, words, tmp_path):
    prepare(tmp_path)
    with pytest.raises(ValueError, match=words) as error:
        data.load("folder", root=tmp_path / ask)
    assert "\n" not in str(error.value)


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    photographs(tmp_path / "mine")
    assert quiet("~/mine").classes == ("cat", "dog")
