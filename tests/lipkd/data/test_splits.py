import pytest

from lipkd.config.sections import DataConfig
from lipkd.data.splits import make_split
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError


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
