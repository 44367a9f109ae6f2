"""Ten shapes: a procedural RGB data set that stands in for CIFAR-10 where nothing can be downloaded."""

import numpy as np

SEED = 2012
SMALLEST, LARGEST = 16, 227
CHUNK_PIXELS = 2**17  # bounds the working memory whatever the image size
GRAIN = 18.0  # standard deviation of the noise, in grey levels


def half_plane(x, y, degrees, offset):
    """Distance beyond the line `offset` away from the origin whose normal points at `degrees`."""
    return x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees)) - offset


def box(x, y, half_width, half_height):
    return np.maximum(abs(x) - half_width, abs(y) - half_height)


def disc(x, y, radius=0.85):
    return np.hypot(x, y) - radius


def ring(x, y):
    return abs(disc(x, y, 0.7)) - 0.2


def square(x, y):
    return box(x, y, 0.74, 0.74)


def triangle(x, y):
    return np.maximum(half_plane(x, abs(y), 60, 0.48), -x - 0.48)


def cross(x, y):
    return np.minimum(box(x, y, 0.9, 0.28), box(x, y, 0.28, 0.9))


def star(x, y):
    # Five points are one point folded five times: the angle is measured from the nearest point's axis.
    angle = abs((np.arctan2(y, x) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    radius = np.hypot(x, y)
    return half_plane(radius * np.cos(angle), radius * np.sin(angle), 70, 0.34)


def heart(x, y):
    return np.minimum(half_plane(abs(x), abs(y), 45, 0.55), disc(abs(x) - 0.39, y - 0.39, 0.55))


def crescent(x, y):
    return np.maximum(disc(x, y, 0.9), -disc(x - 0.45, y, 0.7))


def arrow(x, y):
    head = np.maximum(half_plane(x, abs(y), 50, 0.6), -x)
    return np.minimum(head, box(x + 0.45, y, 0.5, 0.24))


def hourglass(x, y):
    return np.maximum(half_plane(abs(x), abs(y), 130, 0.06), abs(x) - 0.8)


SHAPES = (disc, ring, square, triangle, cross, star, heart, crescent, arrow, hourglass)
CLASSES = tuple(shape.__name__ for shape in SHAPES)


def paint(shape, uniforms, size):
    """Pictures of one `shape` without noise, N x 3 x size x size, from N x 18 uniforms in [0, 1)."""
    place, (scale, squash, angle, contrast), waves, middle, direction, tint = np.split(
        uniforms.T[:, :, None, None].astype(np.float32), [2, 6, 9, 12, 15]
    )
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size
    across, down = centre[None, None, :], centre[None, :, None]

    scale = 0.2 + 0.2 * scale
    left, top = scale + (1 - 2 * scale) * place
    cosine, sine = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    x = ((across - left) * cosine + (down - top) * sine) / scale
    y = ((down - top) * cosine - (across - left) * sine) / (scale * (1 - 0.25 * squash))
    inside = np.clip(0.5 - shape(x, y) * scale * size, 0, 1)

    horizontal, vertical, phase = waves
    wave = np.sin(2 * np.pi * (4 * (horizontal - 0.5) * across + 4 * (vertical - 0.5) * down + phase))
    middle = 85 + 85 * middle
    direction = direction - 0.5
    step = (35 + 40 * contrast) * direction / np.linalg.norm(direction, axis=0)
    tint = 60 * (tint - 0.5)
    return ((middle - step + tint * wave) * (1 - inside) + (middle + step) * inside).swapaxes(0, 1)


def draw(indices, size):
    """Images number `indices` as uint8 N x 3 x size x size in 0..255; number i is of class i % 10."""
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size is {size}, expected a number of pixels from {SMALLEST} to {LARGEST}")
    indices = np.asarray(indices, dtype=np.int64)
    images = np.empty((len(indices), 3, size, size), dtype=np.uint8)
    chunk = max(1, CHUNK_PIXELS // size**2)
    for kind, shape in enumerate(SHAPES):
        of_kind = np.flatnonzero(indices % 10 == kind)
        for rows in np.split(of_kind, range(chunk, len(of_kind), chunk)):
            generators = [np.random.default_rng([SEED, i]) for i in indices[rows]]
            uniforms = np.array([g.random(18) for g in generators])
            grain = np.array([g.standard_normal((3, size, size), dtype=np.float32) for g in generators])
            images[rows] = np.clip(paint(shape, uniforms, size) + GRAIN * grain, 0, 255)
    return images
