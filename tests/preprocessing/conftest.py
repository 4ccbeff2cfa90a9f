"""A small synthetic corpus, and small clips to spoil."""

from pathlib import Path

import pytest

from lipkd.data.store import Frames
from preprocessing.synthetic.make_corpus import Corpus, make_corpus, write_pictures, write_video
from tests.preprocessing.clips import ALIGN, AddClip, noise


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Two speakers, four clips each: three of s1 are folders of pictures, the others videos; read only."""
    return make_corpus(tmp_path_factory.mktemp("synth") / "corpus", speakers=2, clips=4, form="both")


@pytest.fixture
def add_clip(tmp_path: Path) -> AddClip:
    """add_clip(id, form="frames", align=ALIGN, frames=…) writes a clip of 12 frames under tmp_path / "src"
    with its alignment beside it, and returns the clip's path."""

    def add(
        clip_id: str = "s1/a", *, form: str = "frames", align: str | None = ALIGN, frames: Frames | None = None
    ) -> Path:
        path = tmp_path / "src" / clip_id
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures = noise(sum(clip_id.encode())) if frames is None else frames
        if form == "video":
            write_video(path, pictures)
        else:
            write_pictures(path, pictures)
        if align is not None:
            path.with_name(path.name + ".align").write_text(align)
        return path.with_name(path.name + ".mp4") if form == "video" else path

    return add
