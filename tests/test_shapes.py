"""What `shapes.draw` promises: reproducible images of ten classes, the same scene at every size."""

import numpy as np
import pytest

from cnncourse.datasets.shapes import SHAPES, draw

X, Y = np.meshgrid(np.linspace(-1, 1, 65), np.linspace(-1, 1, 65))


def test_an_image_depends_on_its_own_number_alone_and_is_the_same_each_time():
    thousand = draw(range(1000), 64)  # several chunks of each class
    chosen = [999, 7, 7, 123, 0]
    assert np.array_equal(draw(chosen, 64), thousand[chosen]) and draw([], 64).shape == (0, 3, 64, 64)


def test_the_drawing_is_pinned():
    means = draw(range(10), 32).mean(axis=(1, 2, 3))  # forgives the last bit of a platform's sine
    expected = [110.7, 112.1, 114.9, 117.2, 131.3, 91.5, 121.7, 98.8, 100.8, 138.0]
    np.testing.assert_allclose(means, expected, rtol=0, atol=0.5)


def test_ten_classes_have_ten_different_shapes_and_a_mirrored_one_stays_in_its_class():
    assert len(SHAPES) == len({(shape(X, Y) < 0).tobytes() for shape in SHAPES.values()}) == 10
    for name, shape in SHAPES.items():
        assert any(np.allclose(shape(X, Y), mirrored) for mirrored in (shape(X, -Y), shape(-X, Y))), name


@pytest.mark.parametrize("size", [16, 33, 227])
def test_every_size_gives_uint8_images_with_detail(size):
    images = draw(range(20), size)
    assert images.shape == (20, 3, size, size) and images.dtype == np.uint8
    assert (images.std(axis=(1, 2, 3)) > 10).all()


def test_the_scene_is_the_same_at_32_and_at_64():
    def coarse(size):  # means over an 8 x 8 grid, in which the noise nearly vanishes
        return draw(range(100), size).reshape(100, 3, 8, size // 8, 8, size // 8).mean(axis=(3, 5)).reshape(100, -1)

    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(coarse(32), coarse(64), strict=True)) > 0.9


@pytest.mark.parametrize("size", [15, 228, -32])
def test_a_size_out_of_range_is_named_in_a_clear_error(size):
    with pytest.raises(ValueError, match=f"size is {size}, expected .* from 16 to 227"):
        draw([0], size)
