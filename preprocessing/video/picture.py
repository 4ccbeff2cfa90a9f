"""A decoded frame as players show it: pixels made square, turned as the file says, high dynamic range toned down."""

import struct
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from preprocessing.rejects import BadClip

Picture = NDArray[np.uint8]  # (h, w, 3), BGR
Matrix = tuple[float, float, float, float]
HIGH_DYNAMIC_RANGE = (int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67))  # PQ and HLG, ITU-R BT.2100
LONGEST_PIXEL = 4  # times as wide as high, or as high as wide; anamorphic cinema has 2


class ToPicture:
    """Turns the decoded frames of one stream into pictures; keeps what it has set up for their format."""

    def __init__(self, stream: VideoStream) -> None:
        self.pixel = pixel_shape(stream)
        self.reformatter = VideoReformatter()
        self.matrix: Matrix | None = None  # of the first frame; a camera does not change it

    def __call__(self, frame: VideoFrame) -> Picture:
        """The frame as BGR (h, w, 3) uint8."""
        if self.matrix is None:
            self.matrix = display_matrix(frame)
        if self.pixel == 1 and frame.color_trc not in HIGH_DYNAMIC_RANGE:
            bgr = self.reformatter.reformat(frame, format="bgr24", threads=1)
        else:
            bgr = self._stretch_and_tone(frame)
        return turn(bgr.to_ndarray().astype(np.uint8, copy=False), self.matrix)

    def width(self, frame: VideoFrame) -> int:
        """Width of the picture that the frame would become, in pixels."""
        width, height = square_size(frame.width, frame.height, self.pixel)
        return height if is_quarter_turn(display_matrix(frame)) else width

    def _stretch_and_tone(self, frame: VideoFrame) -> VideoFrame:
        width, height = square_size(frame.width, frame.height, self.pixel)
        toned = frame.color_trc in HIGH_DYNAMIC_RANGE
        return self.reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="bgr24",
            interpolation=Interpolation.BICUBIC,
            # libswscale maps the tones by itself when the two differ: a second for its tables, then 2 ms a picture.
            dst_color_trc=ColorTrc.BT709 if toned else None,
            dst_color_primaries=ColorPrimaries.BT709 if toned else None,
            threads=1,
        )


def shown_size(stream: VideoStream) -> tuple[int, int]:
    """Width and height of a stream's pictures with square pixels, before they are turned; raises BadClip."""
    return square_size(stream.width, stream.height, pixel_shape(stream))


def pixel_shape(stream: VideoStream) -> Fraction:
    """Width over height of a pixel, 1 where the file does not say; raises BadClip for what no camera has."""
    shape = Fraction(stream.sample_aspect_ratio or 1)
    if shape <= 0:
        return Fraction(1)
    if not Fraction(1, LONGEST_PIXEL) <= shape <= LONGEST_PIXEL:
        raise BadClip("pixels not square", f"{shape} times as wide as high, at most {LONGEST_PIXEL} is read")
    return shape


def square_size(width: int, height: int, pixel: Fraction) -> tuple[int, int]:
    """Size of a picture when its pixels are made square: stretched the one way or the other, never shrunk."""
    return (round(width * pixel), height) if pixel >= 1 else (width, round(height / pixel))


def display_matrix(frame: VideoFrame) -> Matrix:
    """(a, b, c, d): the pixel (x, y) is shown at (a·x + c·y, b·x + d·y). From the container (ISO/IEC 14496-12)."""
    parts = cast(SideDataContainer, frame.side_data)  # PyAV's stub tells of another kind of data only
    if SideDataType.DISPLAYMATRIX not in parts:
        return 1.0, 0.0, 0.0, 1.0
    values = struct.unpack("=9i", bytes(parts[SideDataType.DISPLAYMATRIX])[:36])
    return values[0] / 65536, values[1] / 65536, values[3] / 65536, values[4] / 65536


def turn(picture: Picture, matrix: Matrix) -> Picture:
    """The picture turned and mirrored as the matrix says, by the nearest of the four quarter turns."""
    a, b, c, d = matrix
    if is_quarter_turn(matrix):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def is_quarter_turn(matrix: Matrix) -> bool:
    """Whether columns become rows."""
    a, b, c, d = matrix
    return abs(a) + abs(d) < abs(b) + abs(c)
