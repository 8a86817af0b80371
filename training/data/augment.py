"""Augmentation that cannot change a label: Keras layers on photos with their background's mask.

The layers take (n, H, W, 4): RGB in 0–255 and the background in 0–255 (255 where the studio
shows, 0 on the product; ``fashion_xai.data.masks``). Colour is a head: no hue shift, and
exposure only as far as a colour keeps its name.
"""

from __future__ import annotations

import io
import math

import keras
import numpy as np
from keras import ops
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from scipy.fft import dct

from fashion_xai.data.images import WHITE
from training.data.backgrounds import bank

KINDS = ("none", "light", "medium", "strong", "phone")


def build(
    kind: str, seed: int, backgrounds: float = 0.0, floors: np.ndarray | None = None
) -> keras.Sequential:
    """The layers between the packed photos and the network.

    Args:
        kind: ``"light"``: mirror, shift by up to 6 %, scale by up to 10 %; ``"strong"``: rotation,
            placement, exposure, sharpness, JPEG and erasing as well; ``"medium"``: the
            same on about half as many photos; ``"phone"``: medium, and what photos have that people
            take at home: quarter turns, perspective, shadows, the cast of a lamp, other things
            beside the product; ``"none"``.
        seed: of all random numbers.
        backgrounds: share of the photos whose studio background is replaced.
        floors: more backgrounds for the bank, uint8 (m, h, w, 3), as ``backgrounds.floors`` grows
            them.

    Returns:
        uint8 (n, H, W, 4) → float32 (n, H, W, 3); outside training only the mask is dropped.
    """
    if kind not in KINDS:
        raise ValueError(f"Expected one of {KINDS}. Received: {kind!r}")
    layers: list[keras.layers.Layer] = [ToFloat()]
    if kind == "light":
        layers += [RandomMirror(seed), RandomAffine(seed + 1, shift=0.06, scale=0.10)]
    elif kind != "none":
        placed = {"medium": 0.1, "strong": 0.2, "phone": 0.15}[kind]
        turned = 0.2 if kind == "phone" else 0.0
        affine = RandomAffine(seed + 1, 0.06, 0.12, rotation=12, placed=placed, turned=turned)
        layers += [RandomMirror(seed), affine]
    if kind == "phone":
        layers.append(RandomPerspective(seed + 7, share=0.25))
    clutter = 0.3 if kind == "phone" else 0.0
    layers.append(RandomBackground(seed + 2, backgrounds, floors, clutter))
    if kind == "phone":
        layers.append(RandomLight(seed + 8, share=0.3))
    if kind in ("medium", "phone"):
        layers += [
            RandomExposure(seed + 3, share=0.4),
            RandomSharpness(seed + 4, share=0.3),
            RandomJPEG(seed + 5, share=0.25),
            RandomErasing(seed + 6, share=0.15),
        ]
    elif kind == "strong":
        layers += [
            RandomExposure(seed + 3),
            RandomSharpness(seed + 4),
            RandomJPEG(seed + 5),
            RandomErasing(seed + 6),
        ]
    return keras.Sequential(layers, name="augment")


class Augmentation(keras.layers.Layer):
    """A layer that changes photos in training only, in float32 whatever the network computes in."""

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, photos, training=False):
        return self.change(photos) if training else photos

    def change(self, photos):
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        return input_shape

    def uniform(self, photos, low=0.0, high=1.0, channels=1):
        """One random number per photo (and channel), shape (n, 1, 1, channels)."""
        shape = (ops.shape(photos)[0], 1, 1, channels)
        return keras.random.uniform(shape, low, high, seed=self.seeds)

    def some(self, photos, share):
        """1.0 for a random share of the photos, else 0.0; shape (n, 1, 1, 1)."""
        return ops.cast(self.uniform(photos) < share, "float32")


class ToFloat(keras.layers.Layer):
    """uint8 photos, as they are packed, to float32."""

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)

    def call(self, photos):
        return ops.cast(photos, "float32")

    def compute_output_spec(self, photos):
        return keras.KerasTensor(photos.shape, "float32")


class RandomMirror(Augmentation):
    """Left and right swapped in half of the photos."""

    def change(self, photos):
        mirrored = self.some(photos, 0.5)
        return mirrored * ops.flip(photos, axis=2) + (1 - mirrored) * photos


class RandomAffine(Augmentation):
    """Shift, scale and rotate each photo in one resampling; white studio moves in.

    Args:
        shift: largest shift as a share of height and width.
        scale: largest relative change of size.
        rotation: largest angle in degrees.
        placed: share of photos that are shrunk to 45–100 % and put anywhere inside instead.
        turned: share of photos that lie on their side, to the left or to the right, shrunk so
            that they fit: what a letterboxed photo of a garment that lies across looks like.
    """

    def __init__(self, seed, shift, scale, rotation=0.0, placed=0.0, turned=0.0, **kwargs):
        super().__init__(seed, **kwargs)
        self.shift, self.scale, self.placed, self.turned = shift, scale, placed, turned
        self.rotation = math.radians(rotation)

    def change(self, photos):
        height, width = ops.shape(photos)[1:3]
        height, width = ops.cast(height, "float32"), ops.cast(width, "float32")

        def draw(low, high):
            return self.uniform(photos, low, high)[:, 0, 0, 0]

        placed = self.some(photos, self.placed)[:, 0, 0, 0]
        small = draw(0.45, 1.0)
        zoom = placed * small + (1 - placed) * draw(1 - self.scale, 1 + self.scale)
        reach = placed * (1 - small) / 2 + (1 - placed) * self.shift
        angle = draw(-self.rotation, self.rotation)
        if self.turned:
            turned = self.some(photos, self.turned)[:, 0, 0, 0]
            angle = angle + turned * ops.sign(draw(-1, 1)) * math.pi / 2
            zoom = zoom * (1 - turned * (1 - ops.minimum(width / height, height / width)))
        # Output (x, y) reads the input at a R(angle) about the centre, moved by (u, v).
        a, b = ops.cos(angle) / zoom, ops.sin(angle) / zoom
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        u = draw(-1, 1) * reach / zoom * width
        v = draw(-1, 1) * reach / zoom * height
        dx = centre_x - a * centre_x - b * centre_y + u
        dy = centre_y + b * centre_x - a * centre_y + v
        zero = ops.zeros_like(a)
        matrix = ops.stack([a, b, dx, -b, a, dy, zero, zero], axis=1)
        # White around the photo, and 255 in the mask: both mean studio.
        return ops.image.affine_transform(
            photos, matrix, interpolation="bilinear", fill_mode="constant", fill_value=WHITE
        )


class RandomPerspective(Augmentation):
    """Seen from a side: each corner of a share of the photos moves inwards by up to 12 %."""

    def __init__(self, seed, share=1.0, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share

    def change(self, photos):
        n, height, width = ops.shape(photos)[:3]
        inwards = np.array([[[1, 1], [-1, 1], [1, -1], [-1, -1]]], np.float32)
        side = ops.convert_to_tensor([width - 1, height - 1], "float32")
        start = ops.convert_to_tensor([[[0, 0], [1, 0], [0, 1], [1, 1]]], "float32") * side
        start = ops.tile(start, (n, 1, 1))
        moved = keras.random.uniform((n, 4, 2), 0, 0.12, seed=self.seeds)
        moved = moved * self.some(photos, self.share)[:, :, :, 0] * inwards * side
        return ops.image.perspective_transform(
            photos, start, start + moved, interpolation="bilinear", fill_value=WHITE
        )


class RandomBackground(Augmentation):
    """Set the product on another background, and drop the mask: 4 channels in, 3 out.

    Most come from a bank (:mod:`training.data.backgrounds`), mirrored, stretched and
    shifted; the others are enlarged, more or less blurred pieces of other photos of the batch.

    Args:
        share: of the photos whose background is replaced.
        floors: more backgrounds, uint8 (m, h, w, 3); with them half of the bank's are theirs.
        clutter: share of the new backgrounds on which a part of another product lies, at the
            photo's edge and behind the product.
    """

    BANK = 512
    """Sceneries, made once: 42 MB."""

    SIZE = (128, 96)
    """Pieces of other photos are cut at this size: a fifth of the cost, and rarely in focus."""

    def __init__(self, seed, share, floors=None, clutter=0.0, **kwargs):
        super().__init__(seed, **kwargs)
        self.share, self.clutter = share, clutter
        self.bank = bank(self.BANK, seed, floors) if share else None

    def call(self, photos, training=False):
        rgb, background = photos[..., :3], photos[..., 3:] / WHITE
        if not training or not self.share:
            return rgb
        # Stretched, so that the pale rim between product and studio goes with the studio.
        alpha = ops.minimum(1.6 * background, 1) * self.some(photos, self.share)
        behind = self.backgrounds(rgb)
        if self.clutter:
            behind = self.cluttered(behind, photos)
        return (1 - alpha) * rgb + alpha * behind

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)

    def backgrounds(self, rgb):
        """A background per photo, (n, H, W, 3) in 0–255."""
        borrowed = self.uniform(rgb) < 0.2
        return ops.clip(ops.where(borrowed, self.pieces(rgb), self.from_bank(rgb)), 0, WHITE)

    def cluttered(self, behind, photos):
        """The backgrounds, some with the product of another photo of the batch at an edge."""
        height, width = ops.shape(photos)[1:3]
        other = ops.roll(photos, 1, axis=0)
        told = ops.max(other[..., 3:], axis=(1, 2, 3), keepdims=True) > 0
        angle = self.uniform(photos, -math.pi, math.pi)[:, 0, 0, 0]
        far = self.uniform(photos, 0.5, 0.9)[:, 0, 0, 0]
        dx = far * ops.cos(angle) * ops.cast(width, "float32")
        dy = far * ops.sin(angle) * ops.cast(height, "float32")
        one, zero = ops.ones_like(far), ops.zeros_like(far)
        matrix = ops.stack([one, zero, dx, zero, one, dy, zero, zero], axis=1)
        moved = ops.image.affine_transform(
            other, matrix, interpolation="nearest", fill_mode="constant", fill_value=WHITE
        )
        chosen = self.some(photos, self.clutter) * ops.cast(told, "float32")
        alpha = chosen * (1 - ops.minimum(1.6 * moved[..., 3:] / WHITE, 1))
        return (1 - alpha) * behind + alpha * moved[..., :3]

    def from_bank(self, rgb):
        rows = keras.random.randint((ops.shape(rgb)[0],), 0, self.BANK, seed=self.seeds)
        chosen = ops.take(ops.convert_to_tensor(self.bank), rows, axis=0)
        return self.window(ops.cast(chosen, "float32"), 0.5, 1.0, ops.shape(rgb)[1:3])

    def pieces(self, rgb):
        small = ops.image.resize(ops.roll(rgb, 1, axis=0), self.SIZE, interpolation="bilinear")
        piece = self.window(small, 0.25, 0.6, ops.shape(rgb)[1:3])
        blur = self.uniform(rgb, 0.3, 1)
        piece = piece + blur * (soften(piece, (20, 15)) - piece)
        return piece * self.uniform(rgb, 0.4, 1.0, 3)

    def window(self, pictures, least, most, size):
        """Between ``least`` and ``most`` of each side, anywhere, half of them mirrored."""
        height, width = ops.shape(pictures)[1:3]
        zoom = self.uniform(pictures, least, most)[:, 0, 0, 0]
        dx = self.uniform(pictures)[:, 0, 0, 0] * (1 - zoom) * ops.cast(width, "float32")
        dy = self.uniform(pictures)[:, 0, 0, 0] * (1 - zoom) * ops.cast(height, "float32")
        zero = ops.zeros_like(zoom)
        matrix = ops.stack([zoom, zero, dx, zero, zoom, dy, zero, zero], axis=1)
        cut = ops.image.affine_transform(
            pictures, matrix, interpolation="bilinear", fill_mode="reflect"
        )
        cut = ops.where(self.uniform(pictures) < 0.5, ops.flip(cut, axis=2), cut)
        return ops.image.resize(cut, size, interpolation="bilinear")


class RandomExposure(Augmentation):
    """Gain ±20 %, contrast ±15 %, white balance ±3 %: a colour keeps its name."""

    def __init__(self, seed, share=1.0, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share

    def change(self, photos):
        chosen = self.some(photos, self.share)
        gain = self.uniform(photos, 0.8, 1.2) * self.uniform(photos, 0.97, 1.03, 3)
        contrast = self.uniform(photos, 0.85, 1.15)
        changed = ops.clip((photos * gain - 128) * contrast + 128, 0, WHITE)
        return photos + chosen * (changed - photos)


class RandomLight(Augmentation):
    """Light of a room on a share of the photos: soft shadows, the edge of a hard one, and a lamp's
    cast of ±3 % a channel: a colour keeps its name."""

    def __init__(self, seed, share=1.0, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share

    def change(self, photos):
        n, height, width = ops.shape(photos)[:3]
        soft = keras.random.uniform((n, 4, 3, 1), 0.6, 1.15, seed=self.seeds)
        soft = ops.image.resize(soft, (height, width), interpolation="bilinear")
        y = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1)) / height - 0.5
        x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1)) / width - 0.5
        angle = self.uniform(photos, -math.pi, math.pi)
        along = x * ops.cos(angle) + y * ops.sin(angle) - self.uniform(photos, -0.4, 0.4)
        edge = ops.sigmoid(along * self.uniform(photos, 8, 80))
        hard = 1 - self.some(photos, 0.4) * self.uniform(photos, 0.2, 0.5) * edge
        light = soft * hard * self.uniform(photos, 0.97, 1.03, 3)
        light = 1 + self.some(photos, self.share) * (light - 1)
        return ops.clip(photos * light, 0, WHITE)


class RandomSharpness(Augmentation):
    """Blur or sharpen a share of the photos: sources of 60×80 and of 1800×2400 shall look alike.

    The blur is that of a 60×80 photo enlarged, at any size of the network's input; a fifth of the
    chosen photos are out of focus instead, as if enlarged from 21×28.
    """

    def __init__(self, seed, share=0.5, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share

    def change(self, photos):
        chosen, kind = self.some(photos, self.share), self.uniform(photos)
        slight = self.uniform(photos, -1.0, 0.7) * (photos - soften(photos, (72, 54)))
        strong = self.uniform(photos, -1.0, -0.4) * (photos - soften(photos, (28, 21)))
        return ops.clip(photos + chosen * ops.where(kind < 0.2, strong, slight), 0, WHITE)


YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""RGB → brightness and two colour differences (ITU-T T.871)."""


def _steps_at_quality_50() -> tuple[np.ndarray, np.ndarray]:
    """Steps of the DCT of brightness and of colour, float32 (8, 8): ITU-T T.81, tables K.1 and K.2,
    as Pillow writes them into a file."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=50)
    file.seek(0)
    tables = JpegImageFile(file).quantization
    light, colour = (np.array(tables[i], np.float32).reshape(8, 8) for i in (0, 1))
    return light, colour


LUMINANCE, CHROMINANCE = _steps_at_quality_50()


class RandomJPEG(Augmentation):
    """A share of the photos as JPEG leaves them: ITU-T T.81, with the tables of its annex K.

    Brightness and colour are rounded in 8×8 blocks of the DCT, colour at half the size (4:2:0), at
    a quality drawn from 5 to 75 (libjpeg's scale). Half of these photos were as small as the
    catalogue's when that happened, so that a block covers a tenth of the height. What is new is
    the noise that this makes; the photo keeps its detail. Sides must be multiples of 16.

    Written in Keras' operations and not by Pillow: it comes after the background was replaced,
    inside the compiled step of either backend.
    """

    SMALL = (80, 64)
    """Of the catalogue's 60×80 photos: the nearest height and width that are multiples of 16."""

    def __init__(self, seed, share=0.5, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share
        self.basis = dct(np.eye(8), axis=0, norm="ortho").astype(np.float32)

    def change(self, photos):
        quality = self.uniform(photos, 5, 75)
        small = ops.image.resize(photos, self.SMALL, interpolation="bilinear", antialias=True)
        blocky = ops.image.resize(
            self.compressed(small, quality) - small,
            ops.shape(photos)[1:3],
            interpolation="bilinear",
        )
        fine = self.compressed(photos, quality) - photos
        noise = ops.where(self.uniform(photos) < 0.5, blocky, fine)
        return ops.clip(photos + self.some(photos, self.share) * noise, 0, WHITE)

    def compressed(self, photos, quality):
        """Photos (n, H, W, 3) in 0–255 through JPEG; quality 1–100, (n, 1, 1, 1)."""
        scale = ops.where(quality < 50, 50 / quality, 2 - quality / 50)
        light = photos @ YCC[:1].T
        colour = photos @ YCC[1:].T
        n, height, width = ops.shape(colour)[:3]
        pairs = ops.reshape(colour, (n, height // 2, 2, width // 2, 2, 2))
        colour = self.rounded(ops.mean(pairs, axis=(2, 4)), scale, CHROMINANCE)
        colour = ops.image.resize(colour, (height, width), interpolation="bilinear")
        light = self.rounded(light - 128, scale, LUMINANCE) + 128
        return ops.clip(ops.concatenate([light, colour], axis=-1) @ np.linalg.inv(YCC).T, 0, WHITE)

    def rounded(self, planes, scale, table):
        """Planes (n, h, w, c) with the DCT of each 8×8 block rounded to multiples of its table."""
        n, height, width, channels = ops.shape(planes)
        blocks = ops.reshape(planes, (n, height // 8, 8, width // 8, 8, channels))
        waves = ops.einsum("ij,nhjwkc,lk->nhiwlc", self.basis, blocks, self.basis)
        # As an image again, each block holding its coefficients: TensorFlow cannot broadcast
        # over alternating axes.
        waves = ops.reshape(waves, (n, height, width, channels))
        steps = ops.clip(
            ops.tile(table, (height // 8, width // 8))[None, ..., None] * scale, 1, 255
        )
        waves = ops.reshape(ops.round(waves / steps) * steps, ops.shape(blocks))
        planes = ops.einsum("ji,nhjwkc,kl->nhiwlc", self.basis, waves, self.basis)
        return ops.reshape(planes, (n, height, width, channels))


class RandomErasing(Augmentation):
    """A grey or coloured rectangle of 10–45 % of each side hides part of a share of the photos.

    Zhong et al. 2017, arXiv:1708.04896.
    """

    def __init__(self, seed, share=0.25, **kwargs):
        super().__init__(seed, **kwargs)
        self.share = share

    def change(self, photos):
        height, width = ops.shape(photos)[1:3]
        y = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1)) / height
        x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1)) / width
        inside = self.some(photos, self.share)
        for axis in (y, x):
            near = ops.abs(axis - self.uniform(photos)) < self.uniform(photos, 0.05, 0.225)
            inside = inside * ops.cast(near, "float32")
        return photos + inside * (self.uniform(photos, 0, WHITE, 3) - photos)


def soften(photos, size: tuple[int, int]):
    """Reduce photos to ``size`` and enlarge them again: what that size cannot hold goes."""
    small = ops.image.resize(photos, size, interpolation="bilinear", antialias=True)
    return ops.image.resize(small, ops.shape(photos)[1:3], interpolation="bilinear")
