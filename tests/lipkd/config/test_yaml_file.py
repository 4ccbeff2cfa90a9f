from pathlib import Path

import pytest

from lipkd.config.trial_config import parse_config
from lipkd.config.yaml_file import load_yaml, parse_yaml
from lipkd.errors import LipkdError


def bomb(levels: int, width: int = 9) -> str:
    """Nine aliases of nine aliases of …: 9 to the power of `levels` values in a few lines."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (bomb(9), "is an alias of more than 50000 values"),
        ("a: &a {k: [x, x]}\n" + "\n".join(f"b{n}: &b{n} [{'*a, ' * 99}*a]" for n in range(999)), "more than 50000"),
        ("[" * 100_000, "line 1: nested deeper than 50 levels"),
        ("{a: " * 100_000, "nested deeper than 50 levels"),
        ("- " * 100_000, "nested deeper than 50 levels"),
        ("a: &a [*a]", r"line 1: \*a is an alias of nothing, or of itself"),
        ("a: 1\nb: 2\na: 3\n", "line 3: a appears twice in one mapping"),
        ("data: {store: x, store: y}", "store appears twice"),
        ("a: 2020-99-99", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("{[1]: 2}", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_hostile_yaml_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(LipkdError, match=sentence) as caught:
        parse_config(parse_yaml(text, "x.yaml"), "x.yaml")
    assert str(caught.value).startswith("x.yaml") and "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_what_people_write_is_read(tmp_path: Path) -> None:
    text = "base: &b {x: 1, y: [1, 2]}\none: {<<: *b, y: 3}\ntwo: [*b, *b]\n? 5\n: {5: 6}\n'': null\n"
    (tmp_path / "a.yaml").write_text(text)
    base = {"x": 1, "y": [1, 2]}
    assert load_yaml(tmp_path / "a.yaml") == {
        "base": base,
        "one": {"x": 1, "y": 3},
        "two": [base, base],
        5: {5: 6},
        "": None,
    }
    assert parse_yaml("", "x") is None and parse_yaml("[" * 45 + "]" * 45, "x")


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "a.yaml", "wb") as file:
        file.truncate(2**33)
    with pytest.raises(LipkdError, match=r"a\.yaml: 8192 MiB; a YAML file may have 4 MiB"):
        load_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"training": {"epoch": 3}}, "training.epoch is not a known field (did you mean training.epochs?)"),
        ({"learning_rate": 1}, "learning_rate is not a known field (did you mean training.learning_rate?)"),
        ({"cohort": {"peer": 2}}, "cohort.peer is not a known field (did you mean cohort.peers?)"),
        ({"qqqqqq": 2}, "qqqqqq is not a known field"),
        ({f"q{n}": 1 for n in range(99)}, "; and 94 more"),
    ],
)
def test_a_field_that_nobody_knows(content: dict[str, object], sentence: str) -> None:
    with pytest.raises(LipkdError) as caught:
        parse_config({"data": {"store": "x"}, **content})
    assert str(caught.value).endswith(sentence)
