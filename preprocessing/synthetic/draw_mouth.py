"""Drawing: a speaker's mouth in a given shape, as a picture 100 wide × 50 high.

A picture is built from layers with soft edges (skin, lips, the dark of the mouth, tongue, teeth), all
computed for the frames of a clip at once. Coordinates are pixels from the middle of the mouth, x to
the right, y down.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipkd.data.store import Frames
from preprocessing.synthetic.visemes import OPEN, PRESS, ROUND, TEETH, TONGUE, TUCK, WIDE

HEIGHT, WIDTH = 50, 100
Colour = tuple[float, float, float]
Field = NDArray[np.floating[Any]]  # (T, HEIGHT, WIDTH), or what broadcasts to it

SKIN_LIGHT, SKIN_DARK = np.array([226.0, 182.0, 160.0]), np.array([138.0, 92.0, 72.0])
LIPS_LIGHT, LIPS_DARK = np.array([190.0, 102.0, 102.0]), np.array([120.0, 62.0, 62.0])
CAVITY, TONGUE_COLOUR, TOOTH = (
    np.array([48.0, 18.0, 20.0]),
    np.array([176.0, 84.0, 88.0]),
    np.array([232.0, 226.0, 208.0]),
)
UPPER_SHARE = 0.32  # of an opening: the jaw does the rest


@dataclass(frozen=True)
class Speaker:
    """How somebody looks and talks; lengths in pixels, shares of 1 otherwise."""

    skin: Colour
    lips: Colour
    half_width: float
    upper_lip: float
    lower_lip: float
    bow: float  # depth of the cupid's bow
    smile: float  # how far the corners stand above the middle
    opening: float  # of the widest vowel
    offset: tuple[float, float]  # of the mouth from the middle of the picture
    tilt: float  # radians
    light: float  # brightness
    side_light: float  # change of brightness from the middle to the right edge
    light_drift: float
    pace: float  # mean frames per letter
    noise: float  # sigma, in grey levels
    skin_seed: int


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """A speaker at random, each trait from a range that a handful of speakers covers."""

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    tone, lip_tone = between(0, 1), between(0, 1)
    tint = rng.uniform(-8, 8, (2, 3))
    return Speaker(
        skin=_colour(SKIN_LIGHT + tone * (SKIN_DARK - SKIN_LIGHT) + tint[0]),
        lips=_colour(LIPS_LIGHT + (0.6 * tone + 0.4 * lip_tone) * (LIPS_DARK - LIPS_LIGHT) + tint[1]),
        half_width=between(31, 37),
        upper_lip=between(5.0, 6.5),
        lower_lip=between(6.5, 8.5),
        bow=between(0.1, 0.35),
        smile=between(-1.0, 2.0),
        opening=between(19, 24),
        offset=(between(-2, 2), between(-2, 1)),
        tilt=between(-0.05, 0.05),
        light=between(0.85, 1.12),
        side_light=between(-0.18, 0.18),
        light_drift=between(0.01, 0.05),
        pace=between(1.9, 2.2),
        noise=between(2, 5),
        skin_seed=int(rng.integers(2**31)),
    )


def _colour(value: NDArray[np.float64]) -> Colour:
    red, green, blue = (float(v) for v in value)
    return red, green, blue


def draw_mouth(shapes: NDArray[np.float64], speaker: Speaker, rng: np.random.Generator) -> Frames:
    """Pictures (T, 50, 100, 3) RGB of mouth shapes (T, 7); head, light and noise move with `rng`."""
    n = len(shapes)
    x, y = _coordinates(n, speaker, rng)
    opened, wide, rounded, teeth, tongue, tuck, press = (
        shapes[:, column, None, None].astype(np.float32) for column in (OPEN, WIDE, ROUND, TEETH, TONGUE, TUCK, PRESS)
    )
    # Contours: for each x the upper and lower edge of the lips (outer) and of the opening (inner).
    half = speaker.half_width * (1 + 0.15 * wide - 0.28 * rounded)
    gap = speaker.opening * opened
    within = np.clip(1 - (x / half) ** 2, 0, 1)
    bulge = np.clip(1 - (x / (0.9 * half)) ** 2, 1e-6, 1) ** (0.9 - 0.4 * rounded)
    seam = -speaker.smile * (x / half) ** 2
    upper_edge = seam - UPPER_SHARE * gap * bulge
    lower_edge = seam + (1 - UPPER_SHARE) * gap * bulge
    bow = 1 - speaker.bow * np.exp(-((x / (0.2 * half)) ** 2))
    upper_thickness = speaker.upper_lip * (1 - 0.4 * press + 0.3 * rounded) * bow * within**0.75
    lower_thickness = speaker.lower_lip * (1 - 0.45 * press - 0.7 * tuck + 0.25 * rounded) * within**0.6
    lip_top, lip_bottom = upper_edge - upper_thickness, lower_edge + lower_thickness
    between_corners = _cover(half - np.abs(x))
    lip = _cover(np.minimum(y - lip_top, lip_bottom - y)) * between_corners
    hole = _cover(np.minimum(y - upper_edge, lower_edge - y)) * _cover(0.95 * half - np.abs(x))

    picture = _skin(x, y, lip_top, lip_bottom, half, speaker)
    gloss = np.exp(-(((y - lower_edge - 0.45 * lower_thickness) / 1.8) ** 2) - (x / (0.5 * half)) ** 2)
    lip_shade = np.where(y < (upper_edge + lower_edge) / 2, 0.86, 1.0) + 0.22 * gloss
    picture = _over(picture, lip, np.array(speaker.lips), lip_shade)
    picture = _over(picture, hole, CAVITY)
    tongue_top = lower_edge - (0.25 + 0.65 * tongue) * gap * np.clip(1 - (x / (0.62 * half)) ** 2, 0, 1)
    picture = _over(picture, hole * _cover(y - tongue_top) * np.clip(2 * tongue + 0.1, 0, 1), TONGUE_COLOUR)
    arch = _cover((0.74 * half - np.abs(x)) / 2)
    picture = _over(picture, hole * arch * _cover(upper_edge + 6.0 * teeth - y) * np.clip(2 * teeth, 0, 1), TOOTH)
    lower_row = np.clip(teeth - 0.7, 0, 1) * (1 - tuck) * 10
    picture = _over(picture, hole * arch * _cover(y - lower_edge + lower_row) * np.clip(lower_row, 0, 1), TOOTH, 0.88)
    return _lit(picture, speaker, rng)


def _coordinates(n: int, speaker: Speaker, rng: np.random.Generator) -> tuple[Field, Field]:
    """x and y (T, H, W) from the middle of the mouth: where it sits in this clip, and a slow sway of the head."""
    place = np.array(speaker.offset) + rng.uniform(-1.5, 1.5, 2)
    centre = place + np.stack([_sway(n, 0.8, rng), _sway(n, 0.6, rng)], 1)
    angle = speaker.tilt + _sway(n, 0.015, rng)
    zoom = rng.uniform(0.96, 1.04)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    dx = columns - (WIDTH - 1) / 2 - centre[:, 0, None, None]
    dy = rows - (HEIGHT - 1) / 2 + 3 - centre[:, 1, None, None]  # +3: room for the jaw below
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return ((dx * cos + dy * sin) / zoom).astype(np.float32), ((dy * cos - dx * sin) / zoom).astype(np.float32)


def _sway(n: int, size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A slow movement (T,): two sines of random phase, periods of one to four seconds."""
    time = np.arange(n)
    waves = [np.sin(2 * np.pi * (time / rng.uniform(25, 100) + rng.uniform())) for _ in range(2)]
    return size * (waves[0] + waves[1]) / 2


def _cover(inside: Field) -> Field:
    """How much of a pixel an area covers, from the distance to its edge: 0 outside, 1 inside."""
    return np.clip(inside + 0.5, 0, 1)


def _over(picture: Field, cover: Field, colour: NDArray[np.float64], shade: Field | float = 1.0) -> Field:
    """`picture` (T, 3, H, W) with `colour` × `shade` laid over it where `cover` (T, H, W) says."""
    layer = _planes(colour) * (shade if isinstance(shade, float) else shade[:, None])
    mixed: Field = picture + cover[:, None] * (layer - picture)
    return mixed


def _planes(colour: NDArray[np.float64]) -> Field:
    """A colour (3,) as constant planes (3, 1, 1)."""
    return colour.astype(np.float32)[:, None, None]


def _skin(x: Field, y: Field, lip_top: Field, lip_bottom: Field, half: Field, speaker: Speaker) -> Field:
    """Skin (T, 3, H, W) with the groove under the nose, the shadow under the lip and uneven patches."""
    groove = 0.10 * np.exp(-((x / 4) ** 2)) * _cover((lip_top - y) / 4)
    rim = 0.06 * np.exp(-(((lip_top - y - 1.5) / 1.5) ** 2)) * (np.abs(x) < half)
    under = 0.20 * np.exp(-(((y - lip_bottom - 3.0) / 3.0) ** 2) - (x / (0.6 * half)) ** 2)
    corners = 0.18 * np.exp(-(((np.abs(x) - half - 0.5) / 2.5) ** 2) - ((y + speaker.smile) / 2.5) ** 2)
    shade = 1 - groove + rim - under - corners + _patches(speaker.skin_seed)
    skin: Field = shade.astype(np.float32)[:, None] * _planes(np.array(speaker.skin))
    return skin


def _patches(seed: int) -> Field:
    """Smooth unevenness of brightness (H, W) around 0, the same in all clips of a speaker."""
    patches: Field = np.random.default_rng(seed).normal(0, 0.05, (HEIGHT, WIDTH))
    for axis in (0, 1):
        patches = sum((np.roll(patches, shift, axis) for shift in range(-3, 4)), np.zeros_like(patches)) / 7
    return patches


def _lit(picture: Field, speaker: Speaker, rng: np.random.Generator) -> Frames:
    """Light that drifts, and the camera's noise; (T, 3, H, W) → (T, H, W, 3) uint8."""
    n = len(picture)
    side = np.linspace(-1, 1, WIDTH) * speaker.side_light
    light = speaker.light * (1 + _sway(n, speaker.light_drift, rng))
    noise = speaker.noise * rng.standard_normal(picture.shape, dtype=np.float32)
    lit = picture * (light[:, None] * (1 + side)).astype(np.float32)[:, None, None, :] + noise
    return np.ascontiguousarray(np.clip(np.rint(lit), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1))
