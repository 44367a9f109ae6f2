"""Rows of the errata on images on their way to the network."""

import numpy as np
import torch
from rows import code, fails, proves, scope
from torch import nn

PHOTOGRAPH = torch.arange(400.0).expand(3, 300, 400)  # each column has its own number


@proves("`v2.Resize(256)`")
def test_one_number_is_the_shorter_side(row):
    assert row.wrong()(PHOTOGRAPH).shape == (3, 256, 341) and row.right()(PHOTOGRAPH).shape == (3, 256, 256)


@proves("`v2.RandomResizedCrop(224)`")
def test_a_resized_crop_scales_a_part_of_random_width(row):
    wrong, right = ({round((part.max() - part.min()).item()) for part in [make()(PHOTOGRAPH) for _ in range(5)]}
                    for make in (row.wrong, row.right))
    assert len(wrong) > 1 and right == {223}


@proves("`v2.CenterCrop(227)`")
def test_a_crop_of_a_file_as_it_is_loses_its_border_or_pads_it(row):
    crop, photograph, icon = row.wrong(), torch.ones(3, 300, 400), torch.ones(3, 100, 100)
    assert row.right()(icon).shape == (3, 227, 227) and (row.right()(icon) == 1).all()
    kept, black = crop(photograph).numel() / photograph.numel(), (crop(icon) == 0).float().mean().item()
    return [round(100 * kept, 1), round(100 * black, 1)]


@proves("`v2.Compose([v2.RandomCrop(32)")
def test_zeros_come_before_the_crop(row):
    image = torch.arange(1.0, 1025).view(1, 32, 32)
    for make, size, varies in ((row.wrong, 40, False), (row.right, 32, True)):
        views = torch.stack([make()(image) for _ in range(9)])
        assert views.shape[1:] == (1, size, size) and (len(views.unique(dim=0)) > 1) == varies


@proves("`v2.Normalize([0.0]")
def test_the_mean_and_deviation_to_give_are_those_of_the_data(row):
    train = torch.rand(50, 3, 8, 8)
    assert torch.equal(row.wrong()(train[:, :1]), train[:, :1])
    ready = row.right(x=train, train=train)
    torch.testing.assert_close(ready.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(ready.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


@proves("`v2.Normalize([0.5]")
def test_one_half_sets_the_range_and_not_the_mean(row):
    out = row.wrong()(torch.linspace(0, 1, 64).square().view(1, 8, 8))
    assert (out.min(), out.max()) == (-1, 1) and abs(out.mean()) > 0.2


@proves("`plt.imshow(picture[0])`")
def test_the_first_of_an_image_is_its_red_channel(row):
    picture = torch.rand(3, 8, 8)
    assert np.allclose(row.wrong(picture=picture).get_array(), picture[0])
    assert row.right(picture=picture).get_array().shape == (8, 8, 3)


@proves("`plt.title(label)`")
def test_a_label_is_a_number_and_no_name(row):
    label = torch.tensor(1)
    assert row.wrong(label=label).get_text() == "tensor(1)" and row.right(label=label).get_text() == "dog"


@proves("Grey images go")
def test_grey_images_are_refused_until_they_have_three_channels(row):
    first, grey = nn.Conv2d(3, 8, 3), torch.zeros(2, 1, 8, 8)
    fails(RuntimeError, "to have 3 channels, but got 1", first, grey)
    assert first(row.right(grey=grey)).shape[0] == 2


@proves("`nn.Conv2d(1, 8, 3)(digits)`")
def test_digits_without_a_channel_are_taken_for_channels(row):
    digits = torch.zeros(5, 28, 28)
    fails(RuntimeError, "to have 1 channels, but got 5 channels", row.wrong, digits=digits)
    assert row.right(digits=digits).shape == (5, 8, 26, 26)


@proves("`for data, label in loader`")
def test_a_loop_variable_outlives_its_loop(row):
    for loop, outlives in ((row.often.strip("`") + ": pass", True), (code(row.instead)[0], False)):
        kernel = scope() | {"data": torch.utils.data}
        exec(loop, kernel)
        assert (kernel["data"] is not torch.utils.data) == outlives
