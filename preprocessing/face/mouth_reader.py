"""A clip that somebody wants read, whatever it shows, as the mouth crops that a model takes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lipkd.data.store import Frames
from lipkd.errors import LipkdError
from preprocessing.face.crop import CropOptions, crop_mouth
from preprocessing.face.model_file import find_bundle
from preprocessing.rejects import BadClip
from preprocessing.video.mouth_clips import LARGEST_CROP, picture_width, read_crops, to_grey
from preprocessing.video.video_file import check_file


@dataclass(frozen=True)
class MouthReader:
    """Brings videos and folders of pictures to `picture` (height, width, channels) at 25 frames/s.

    Wider pictures than a mouth crop's are taken for whole faces, in which the mouth is found and cropped with a
    `margin` as for `lipkd prepare`; `landmarker` is the model file for that, looked for when it is first needed.
    """

    picture: tuple[int, int, int]
    margin: float = 0.25
    landmarker: Path | None = None

    @cached_property
    def _bundle(self) -> Path:
        return find_bundle(self.landmarker)

    def __call__(self, path: Path) -> Frames:
        """The frames (T, *picture) of a clip; raises LipkdError with the reason when it cannot be read."""
        height, width, channels = self.picture
        try:
            if not path.is_dir():
                check_file(path)
            if picture_width(path) > LARGEST_CROP:
                frames, _ = crop_mouth(path, None, CropOptions((height, width), margin=self.margin), self._bundle)
            else:
                frames = read_crops(path, None, (height, width))
        except BadClip as reason:
            raise LipkdError(str(reason)) from reason
        return to_grey(frames) if channels == 1 else frames
