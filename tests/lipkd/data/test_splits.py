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
            frames = np.full((12, 16, 16, 3), len(text), np.uint8)
            writer.add(frames, id=f"{speaker}/1", speaker=speaker, fps=25, text=text, words=[], source="x.mp4")
        store = writer.close()
    with pytest.raises(LipkdError, match=r"trial: data\.alphabet 'auto': clip ada/1, which is held out, has 'z'"):
        resolve(parse_config({"data": {**data, "store": str(store.path)}}), "trial")


@pytest.fixture
def copied(tmp_path: Path) -> ClipStore:
    """Four speakers with five clips each; b/0 and c/1 have a/0's frames, d/4 has d/3's."""
    same = {"b/0": "a/0", "c/1": "a/0", "d/4": "d/3"}
    with StoreWriter(tmp_path / "copied", height=16, width=16, channels=3) as writer:
        for speaker in ("a", "b", "c", "d"):
            for name in range(5):
                clip = f"{speaker}/{name}"
                frames = np.full((12, 16, 16, 3), sum(same.get(clip, clip).encode()) % 251, np.uint8)
                frames[0, 0, 0] = list(same.get(clip, clip).encode())
                writer.add(frames, id=clip, speaker=speaker, fps=25, text="go", words=[], source="x.mp4")
        return writer.close()


def test_the_store_keeps_the_groups_of_copies(copied: ClipStore) -> None:
    assert copied.copies == [("a/0", "b/0", "c/1"), ("d/3", "d/4")]


@pytest.mark.parametrize("scenario", ["random", "overlapped"])
def test_copies_lie_on_one_side_whatever_is_drawn(copied: ClipStore, scenario: str) -> None:
    for seed in range(20):
        split = make_split(
            copied,
            data(scenario=scenario, split_seed=seed, val_share=0.3, test_share=0.2, val_clips=2, test_clips=1),
        )
        everything = split.train + split.val + split.test
        assert sorted(everything) == sorted(clip.id for clip in copied.clips)
        for group in copied.copies:
            assert sum(bool(set(group) & set(part)) for part in (split.train, split.val, split.test)) == 1


def test_without_copies_the_draw_is_what_it_was(copied: ClipStore, tiny_store: ClipStore) -> None:
    rng = np.random.default_rng(7)
    ids = [clip.id for clip in tiny_store.clips]
    order = [ids[i] for i in rng.permutation(len(ids))]
    split = make_split(tiny_store, data(val_share=0.2, test_share=0.1, split_seed=7))
    assert (set(split.val), set(split.test)) == (set(order[:4]), set(order[4:6]))
    order = [c.id for c in copied.clips]
    order = [order[i] for i in np.random.default_rng(7).permutation(len(order))]
    split = make_split(copied, data(val_share=0.2, test_share=0.1, split_seed=7, copies="allow"))
    assert (set(split.val), set(split.test)) == (set(order[:4]), set(order[4:6]))


def test_unseen_refuses_a_copy_unless_told_what_to_do(copied: ClipStore) -> None:
    unseen = {"scenario": "unseen", "val_speakers": ["a"]}
    with pytest.raises(LipkdError, match=r"clip b/0 \(train\) has exactly the frames of a/0 \(val\); name it"):
        make_split(copied, data(**unseen))
    excluded = make_split(copied, data(**unseen, exclude=["b/0", "c/1"]))
    assert "a/0" in excluded.val and len(excluded.train) == 13
    assert make_split(copied, data(**unseen, copies="drop")) == excluded
    together = make_split(copied, data(**unseen, copies="keep-together"))
    assert set(together.val) == {"a/0", "a/1", "a/2", "a/3", "a/4", "b/0", "c/1"} and len(together.train) == 13
    allowed = make_split(copied, data(**unseen, copies="allow"))
    assert "b/0" in allowed.train and len(allowed.train) == 15
    with pytest.raises(LipkdError, match=r"\(test\)"):  # the best epoch is chosen on a copy of what is tested
        make_split(copied, data(scenario="unseen", val_speakers=["a"], test_speakers=["b"], exclude=["c"]))
    assert make_split(copied, data(scenario="unseen", val_speakers=["d"])).val == tuple(f"d/{n}" for n in range(5))


def test_drop_takes_one_of_each_group(copied: ClipStore) -> None:
    split = make_split(copied, data(copies="drop", val_share=0.2))
    taken = split.train + split.val
    assert len(taken) == 17 and "a/0" in taken and "b/0" not in taken and "d/4" not in taken


def test_speakers_of_one_person_are_one(copied: ClipStore) -> None:
    held = {"scenario": "unseen", "val_speakers": ["a"], "copies": "drop", "same_person": [["a", "d"]]}
    split = make_split(copied, data(**held))
    assert {clip[0] for clip in split.val} == {"a", "d"} and {clip[0] for clip in split.train} == {"b", "c"}
    with pytest.raises(LipkdError, match="same person as one of data"):
        make_split(copied, data(**held, test_speakers=["d"]))
    with pytest.raises(LipkdError, match="same_person: no zoe in"):
        make_split(copied, data(same_person=[["a", "zoe"]]))
    with pytest.raises(ValueError, match="same_person names a twice"):
        data(same_person=[["a", "b"], ["a", "c"]])
    overlapped = make_split(copied, data(scenario="overlapped", val_clips=1, same_person=[["a", "b", "c", "d"]]))
    assert len([clip for clip in overlapped.val]) in (1, 2, 3)  # one clip of the one person, and its copies


def test_names_that_differ_in_case_or_form_are_one_person_unless_listed_apart(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "twins", height=16, width=16, channels=3) as writer:
        for number, speaker in enumerate(("Anna", "anna", "Jos\u00e9", "Jose\u0301", "ben")):
            frames = np.full((12, 16, 16, 3), number, np.uint8)
            writer.add(frames, id=f"{speaker}/1", speaker=speaker, fps=25, text="go", words=[], source="x.mp4")
        store = writer.close()
    split = make_split(store, data(scenario="unseen", val_speakers=["anna"], test_speakers=["Jos\u00e9"]))
    assert (len(split.val), len(split.test), split.train) == (2, 2, ("ben/1",))
    apart = data(scenario="unseen", val_speakers=["anna"], same_person=[["Anna"], ["anna"]])
    assert make_split(store, apart).val == ("anna/1",)


def test_an_empty_reference_is_refused_before_training(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "empty", height=16, width=16, channels=3) as writer:
        for number, text in enumerate(("go", "up", "...")):
            frames = np.full((12, 16, 16, 3), number, np.uint8)
            writer.add(frames, id=f"a/{number}", speaker="a", fps=25, text=text, words=[], source="x.mp4")
        store = writer.close()
    with pytest.raises(LipkdError, match=r"clip a/2 of .*: its transcript '...' holds no letter"):
        make_split(store, data(val_share=0.4))
    assert len(make_split(store, data(val_share=0.5, exclude=["a/2"])).train) == 1
