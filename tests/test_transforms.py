import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from cnncourse import data
from cnncourse.transforms import PCAColour, ten_crop, training

# The numbers of fb.resnet.torch for ImageNet, variances of pixels from 0 to 1; eigenvectors are columns.
VALUES = torch.tensor([0.2175, 0.0188, 0.0045])
VECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def correlated_images(n=250):
    rng = np.random.default_rng(0)
    mixing = np.array([[50, 10, 0], [45, 0, 8], [40, -12, 5]])
    pixels = 120 + rng.normal(size=(n, 6, 5, 3)) @ mixing.T
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)  # N x 3 x 6 x 5


def test_eigenvalues_and_eigenvectors_are_those_of_the_covariance_of_pixels_from_0_to_1():
    images = correlated_images()
    covariance = np.cov(images.permute(1, 0, 2, 3).flatten(1).numpy() / 255, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    for found, std in (PCAColour.of(images), 0.1), (PCAColour.of(images / 255, std=0.3), 0.3):
        assert found.std == std
        np.testing.assert_allclose(found.eigenvalues, values[::-1], rtol=1e-4)
        np.testing.assert_allclose((found.eigenvectors.numpy() * vectors[:, ::-1]).sum(0).__abs__(), 1, rtol=1e-5)


def test_images_that_are_drawn_when_indexed_serve_as_well():
    images = correlated_images()
    lazy = data.Lazy(list(range(len(images))), (3, 6, 5), lambda indices: images[indices])
    assert torch.equal(PCAColour.of(lazy).eigenvalues, PCAColour.of(images).eigenvalues)


def test_one_photograph_serves_as_well():
    image = correlated_images(1)
    assert torch.equal(PCAColour.of(image[0]).eigenvectors, PCAColour.of(image).eigenvectors)


def test_shifts_lie_along_the_eigenvectors_with_a_tenth_of_the_eigenvalue_as_deviation():
    torch.manual_seed(0)
    shifts = PCAColour(VALUES, VECTORS)(torch.zeros(40_000, 3, 1, 1)).flatten(1)  # N x 3
    along = shifts @ VECTORS
    torch.testing.assert_close(along.std(0), 0.1 * VALUES, rtol=0.02, atol=0)
    assert (along.mean(0).abs() < 0.02 * 0.1 * VALUES).all()
    assert (torch.corrcoef(along.T) - torch.eye(3)).abs().max() < 0.02
    assert 5.4 < 255 * along[:, 0].std() < 5.7  # grey levels


def test_each_image_has_one_shift_and_each_use_a_new_one():
    torch.manual_seed(0)
    colour, images = PCAColour(VALUES, VECTORS), torch.rand(4, 3, 5, 7)
    first, second = (colour(images) - images for _ in range(2))
    assert first.flatten(2).std(2).max() < 1e-6
    shifts = torch.cat([first, second])[:, :, 0, 0]
    assert (torch.cdist(shifts, shifts) + torch.eye(8)).min() > 1e-4


def test_equal_seeds_give_equal_shifts_for_one_image_and_for_a_batch():
    colour, image = PCAColour(VALUES, VECTORS), torch.rand(3, 4, 4)
    results = []
    for given in (image, image, image[None]):
        torch.manual_seed(3)
        results.append(colour(given))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2][0])
    assert not torch.equal(results[0], image)


def test_bytes_are_shifted_as_floats_are_rounded_and_never_wrap_round():
    colour = PCAColour(VALUES, VECTORS)
    images = torch.cat([torch.full((100, 3, 2, 2), level, dtype=torch.uint8) for level in (0, 100, 255)])
    torch.manual_seed(1)
    as_bytes = colour(images)
    torch.manual_seed(1)
    as_floats = 255 * colour(images / 255)
    assert as_bytes.dtype == torch.uint8
    torch.testing.assert_close(as_bytes.float(), as_floats.clamp(0, 255), atol=0.51, rtol=0)
    assert as_floats.min() < -1 and as_floats.max() > 256  # something had to be clipped


def test_training_gives_every_crop_and_its_mirror():
    image = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(3, 8, 8)
    crops = [image[:, y : y + 6, x : x + 6] for y in range(3) for x in range(3)]
    expected = {tuple(view.flatten().tolist()) for crop in crops for view in (crop, crop.flip(2))}
    torch.manual_seed(0)
    transform = training(6, 8)
    found = {tuple(transform(image).flatten().tolist()) for _ in range(500)}
    assert found == expected and len(found) == 18


def test_224_from_256_has_2178_views_where_the_paper_counts_2048():
    grid = torch.arange(256, dtype=torch.uint8)
    image = torch.stack([grid[:, None].expand(256, 256), grid.expand(256, 256), torch.zeros(256, 256).byte()])
    torch.manual_seed(0)
    transform = training(224, 256)
    corners = [(view[0, 0, 0].item(), view[1, 0].min().item(), bool(view[1, 0, 0] > view[1, 0, 1]))
               for view in (transform(image) for _ in range(600))]
    tops, lefts, mirrors = map(set, zip(*corners, strict=True))
    assert tops == lefts == set(range(33)) and mirrors == {False, True}
    assert len(tops) * len(lefts) * len(mirrors) == 2178 != 32 * 32 * 2 == 2048


@pytest.mark.parametrize("width, height", [(400, 300), (100, 120)])
def test_training_scales_photographs_so_that_no_crop_is_padded(width, height):
    photograph = Image.new("RGB", (width, height), "white")
    view = training()(photograph)
    assert view.shape == (3, 227, 227) and view.dtype == torch.uint8 and view.min() == 255


def test_training_crops_from_the_central_square_of_the_scaled_photograph():
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 512), torch.linspace(0, 1, 1024), indexing="ij")
    photograph = torch.stack([rows, columns, rows])
    for _ in range(5):
        view = training(256)(photograph)
        assert view[0].aminmax() == pytest.approx((0, 1), abs=0.01)
        assert view[1].aminmax() == pytest.approx((0.25, 0.75), abs=0.01)


def test_training_ends_with_the_colour():
    image = torch.full((3, 8, 8), 0.5)
    torch.manual_seed(0)
    plain, coloured = training(6, 8)(image), training(6, 8, PCAColour(VALUES, VECTORS))(image)
    assert torch.equal(plain, image[:, :6, :6])
    shift = coloured - plain
    assert shift.flatten(1).std(1).max() < 1e-6 and shift.abs().max() > 1e-4


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                         nn.Linear(4 * 4 * 4, 5))


def test_ten_crop_is_the_mean_softmax_of_four_corners_and_centre_and_their_mirrors():
    model, images = network().eval(), 3 * torch.randn(2, 3, 10, 12)
    places = [(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)]
    crops = [images[:, :, y : y + 6, x : x + 6] for y, x in places]
    expected = torch.stack([model(view).softmax(1) for crop in crops for view in (crop, crop.flip(3))]).mean(0)
    found = ten_crop(model, images, 6)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert not found.requires_grad


def test_ten_crop_evaluates_and_leaves_the_model_as_it_was():
    model, images = network().train(), torch.randn(2, 3, 8, 8)
    model[1].eval()  # a frozen layer stays frozen
    modes = [m.training for m in model.modules()]
    mean = model[1].running_mean.clone()
    assert torch.equal(ten_crop(model, images, 6), ten_crop(model, images, 6))  # dropout would differ
    assert [m.training for m in model.modules()] == modes and torch.equal(model[1].running_mean, mean)
    with pytest.raises(RuntimeError):
        ten_crop(model, images, 7)  # the linear layer does not fit
    assert [m.training for m in model.modules()] == modes


@pytest.mark.parametrize("call, words", [
    (lambda: ten_crop(network(), torch.zeros(1, 3, 200, 300)), "at least that large, not 200 x 300"),
    (lambda: training(300), "300 x 300 does not fit into 256 x 256"),
    (lambda: PCAColour(VALUES * 255**2, VECTORS), "at most 0.75"),
    (lambda: PCAColour([55.46, 4.794, 1.148], VECTORS), "not to 61.402"),
    (lambda: PCAColour.of(255 * torch.rand(9, 3, 8, 8)), "pixels divided by 255"),
    (lambda: PCAColour.of(torch.zeros(2, 1, 8, 8)), "RGB images .* not torch.float32 of 2 x 1 x 8 x 8"),
    (lambda: PCAColour(VALUES, VECTORS)(torch.zeros(3, 8, 8, dtype=torch.long)), "not torch.int64 of 3 x 8 x 8"),
    (lambda: v2.Compose([PCAColour(VALUES, VECTORS)])(Image.new("RGB", (8, 8))), "not Image: put v2.PILToTensor"),
])
def test_bad_input_is_refused_in_one_clear_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
