"""`lipkd inspect`: look at a clip store before training on it, as a page or as a picture."""

from collections import defaultdict
from pathlib import Path

from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError
from lipkd.files import write_atomic
from preprocessing.report.contact_sheet import contact_sheet, encode
from preprocessing.report.facts import StoreFacts, gather
from preprocessing.report.html import page
from preprocessing.report.png import picture

PICTURED = 60  # speakers with a contact sheet: more, and nobody scrolls


def inspect_store(path: Path, out: Path | None = None, *, png: bool = False) -> tuple[Path, StoreFacts]:
    """Write the report on the store at `path` to `out`, by default beside it; returns where, and the facts.

    Raises LipkdError when there is no store or `out` lies inside it.
    """
    store = ClipStore.open(path)
    suffix = ".png" if png else ".html"
    out = (out or store.path.with_name(f"{store.path.name}-report{suffix}")).expanduser().absolute()
    if out.is_dir() or store.path in out.resolve().parents:
        raise LipkdError(f"report {out}: must be a file outside the store")
    facts = gather(store)
    clips: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in store.clips:
        clips[clip.speaker].append(clip)
    sheets = {name: contact_sheet(store, clips[name]) for name in list(clips)[:PICTURED]}
    content = encode(picture(facts, sheets), ".png") if png else page(facts, sheets).encode()
    write_atomic(out, lambda temporary: temporary.write_bytes(content))
    return out, facts
