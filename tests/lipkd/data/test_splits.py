from pathlib import Path

import numpy as np
import pytest

from lipkd.config.sections import DataConfig
from lipkd.config.trial_config import parse_config
from lipkd.data.splits import make_split
from lipkd.data.store import ClipStore, StoreWriter
from lipkd.errors import LipkdError
from lipkd.text import LETTERS
from lipkd.training.resolve import resolve


def data(**fields: object) -> DataConfig:
    return DataConfig.model_validate({"store": "x", **fields})


def test_unseen_holds_out_whole_speakers(tiny_store: ClipStore) -> None:
    split = make_split(tiny_store, data(scenario="unseen", val_speakers=["ben"], test_speakers=["cleo"]))
    assert {i.split("/")[0] for i in split.train} == {"ada"}
    assert {i.split("/")[0] for i in split.val} == {"ben"}
    assert {i.split("/")[0] for i in split.test} == {"cleo"}
    assert len(split.train) == len(split.val) == len(split.test) == 6


def test_overlapped_holds_out_the_same_number_of_every_speaker(tiny_store: ClipStore) -> None:
    split = make_split(tiny_store, data(scenario="overlapped", val_clips=2, test_clips=1))
    for speaker in tiny_store.speakers():
        assert [sum(i.startswith(speaker) for i in part) for part in (split.train, split.val, split.test)] == [3, 2, 1]


def test_random_is_a_partition_that_follows_its_seed(tiny_store: ClipStore) -> None:
    one = make_split(tiny_store, data(val_share=0.2, test_share=0.1))
    assert (len(one.train), len(one.val), len(one.test)) == (12, 4, 2)
    assert sorted(one.train + one.val + one.test) == sorted(c.id for c in tiny_store.clips)
    assert one == make_split(tiny_store, data(val_share=0.2, test_share=0.1))
    assert one != make_split(tiny_store, data(val_share=0.2, test_share=0.1, split_seed=1))


@pytest.mark.parametrize("scenario", ["random", "unseen", "overlapped"])
def test_excluded_speakers_and_clips_take_no_part(tiny_store: ClipStore, scenario: str) -> None:
    one_of_ada = next(clip.id for clip in tiny_store.clips if clip.speaker == "ada")
    split = make_split(tiny_store, data(scenario=scenario, val_speakers=["ben"], exclude=["cleo", one_of_ada]))
    left = {clip.id for clip in tiny_store.clips if clip.speaker != "cleo"} - {one_of_ada}
    assert sorted(split.train + split.val + split.test) == sorted(left)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scenario": "unseen", "val_speakers": ["ben", "zoe"]}, "data.val_speakers: no zoe in .*ada, ben, cleo"),
        ({"scenario": "unseen", "val_speakers": ["ada", "ben", "cleo"]}, "no clip for 'train'"),
        ({"scenario": "random", "val_share": 0.0}, "no clip for 'val'"),
        ({"exclude": ["ben", "zoe", "ada/99"]}, "data.exclude: no speaker or clip zoe, ada/99 in"),
        ({"scenario": "overlapped", "val_clips": 6}, "speaker ada"),
    ],
)
def test_impossible_splits_are_refused(tiny_store: ClipStore, fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(LipkdError, match=sentence):
        make_split(tiny_store, data(**fields))


@pytest.fixture
def accented(tmp_path: Path) -> ClipStore:
    """Two clips each of ada and ben; only ada says è, only ben says z."""
    with StoreWriter(tmp_path / "accented", height=16, width=16, channels=3) as writer:
        for index, (speaker, text) in enumerate((s, t) for s in ("ada", "ben") for t in ("Perché", "no")):
            said = {"ada": f"{text} è", "ben": f"{text} e"}[speaker]
            frames = np.full((12, 16, 16, 3), index, np.uint8)
            writer.add(frames, id=f"{speaker}/{index}", speaker=speaker, fps=25, text=said, words=[], source="x.mp4")
        return writer.close()


def test_auto_takes_the_letters_of_the_training_clips_and_the_trial_keeps_them(accented: ClipStore) -> None:
    data = {"store": str(accented.path), "scenario": "unseen", "val_speakers": ["ben"], "alphabet": "auto"}
    config = resolve(parse_config({"data": data}))
    assert config.data.alphabet == " cehnoprèé"
    assert resolve(parse_config(config.to_json())) == parse_config(config.to_json()) == config
    assert config.signature() != resolve(parse_config({"data": {**data, "alphabet": LETTERS}})).signature()


def test_auto_refuses_held_out_letters_that_nobody_teaches(accented: ClipStore) -> None:
    data = {"store": str(accented.path), "scenario": "unseen", "val_speakers": ["ada"], "alphabet": "auto"}
    config = resolve(parse_config({"data": {**data, "exclude": ["ada/0"]}}))
    assert config.data.alphabet == " cehnopré"  # è folds to e
    with StoreWriter(accented.path.with_name("z"), height=16, width=16, channels=3) as writer:
        for speaker, text in (("ada", "zero"), ("ben", "ore")):
            frames = np.full((12, 16, 16, 3), 9, np.uint8)
            writer.add(frames, id=f"{speaker}/1", speaker=speaker, fps=25, text=text, words=[], source="x.mp4")
        store = writer.close()
    with pytest.raises(LipkdError, match=r"trial: data\.alphabet 'auto': clip ada/1, which is held out, has 'z'"):
        resolve(parse_config({"data": {**data, "store": str(store.path)}}), "trial")
