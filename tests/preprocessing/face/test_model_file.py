"""The face model: option before environment before cache before download, and never an unknown file from the net."""

import hashlib
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from preprocessing.face import model_file
from preprocessing.face.model_file import NAME, SHA256, VARIABLE, download, find_bundle

CONTENT = b"a small model"


@pytest.fixture(autouse=True)
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cached model belongs; nothing is there, and no environment names another one."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lipkd" / NAME


def test_the_option_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "b"))
    assert find_bundle(tmp_path / "a") == tmp_path / "a"
    assert find_bundle() == tmp_path / "b"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "c"))
    with pytest.raises(LipkdError, match=f"{VARIABLE} .*c: no such file"):
        find_bundle()


def test_one_download_fills_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path) -> None:
    (tmp_path / "remote").write_bytes(CONTENT)
    monkeypatch.setattr(model_file, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    download(cached, (tmp_path / "remote").as_uri())
    assert cached.read_bytes() == CONTENT
    assert find_bundle() == cached


def test_another_file_is_not_used(tmp_path: Path, cached: Path) -> None:
    (tmp_path / "remote").write_bytes(CONTENT)
    with pytest.raises(LipkdError, match=r"the download has sha256 .* so it is not used"):
        download(cached, (tmp_path / "remote").as_uri())
    assert not cached.exists()


def test_offline_the_sentence_says_what_to_do(tmp_path: Path, cached: Path) -> None:
    with pytest.raises(LipkdError) as refused:
        download(cached, (tmp_path / "nowhere").as_uri())
    for needed in ("cannot be downloaded", "fetch file://", SHA256, str(cached), "--landmarker", VARIABLE):
        assert needed in str(refused.value)
