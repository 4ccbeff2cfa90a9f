"""The report on a clip store as one HTML page that needs nothing else: no script, no file beside it."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from preprocessing.report.contact_sheet import Picture, encode
from preprocessing.report.facts import SpeakerFacts, StoreFacts

NAMED = 6  # clips named for a finding
WORDS = 40  # most frequent words shown
CHART = (300, 90)  # pixels
BINS = 20
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1240px; padding: 0 1rem; color: #1c1e22; }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
th { font-weight: 600; color: #5b6270 } td.n, th.n { text-align: right }
.muted { color: #5b6270 } .charts { display: flex; flex-wrap: wrap; gap: 2rem } figure { margin: 0 }
figcaption { color: #5b6270 } rect { fill: #3b6ea8 } svg text { font-size: 11px; fill: #5b6270 }
.look li { margin: .2rem 0 } .fine { color: #1d6b3a } img { display: block; margin: .3rem 0 1.2rem; max-width: 100% }
h3 { font-size: 1rem; margin: 1rem 0 0 } code { overflow-wrap: anywhere } .words span { margin-right: 1rem }
"""


def page(facts: StoreFacts, sheets: dict[str, Picture]) -> str:
    """The HTML page; `sheets` are the contact sheets by speaker, and may hold fewer speakers than the store."""
    height, width, channels = facts.size
    head = (
        f"{facts.clips} clips of {len(facts.speakers)} speakers, {duration(facts.seconds)}, {width}×{height} pixels "
        f"{'in colour' if channels == 3 else 'in grey'}, {sum(n for _, n, _ in facts.rejects)} clips left out"
    )
    parts = [
        f"<h1>{escape(facts.name)}</h1><p class=muted>{head}</p>",
        _findings(facts),
        "<div class=charts>",
        _histogram("seconds a clip", facts.durations),
        _histogram("frames a word", facts.word_frames),
        "</div>",
        _rejects(facts),
        _words(facts),
        "<h2>Speakers</h2>",
        _speaker_table(facts.speakers),
        *(_sheet(name, picture) for name, picture in sheets.items()),
    ]
    if len(sheets) < len(facts.speakers):
        parts.append(f"<p class=muted>Pictures of the first {len(sheets)} of {len(facts.speakers)} speakers.</p>")
    title = f"<title>{escape(facts.name)}: clip store</title>"
    return f"<!doctype html><html lang=en><meta charset=utf-8>{title}<style>{STYLE}</style>{''.join(parts)}</html>\n"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 300:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def count(clips: int) -> str:
    """A number of clips as people say it."""
    return f"{clips} clip{'' if clips == 1 else 's'}"


def _findings(facts: StoreFacts) -> str:
    if not facts.findings:
        return "<h2>Check</h2><p class=fine>No problem was found.</p>"
    items = []
    for finding in facts.findings:
        more = f" and {len(finding.clips) - NAMED} more" if len(finding.clips) > NAMED else ""
        named = escape(", ".join(finding.clips[:NAMED])) + more
        items.append(
            f"<li><b>{count(len(finding.clips))}</b>: {escape(finding.what)} <span class=muted>({named})</span>"
        )
    return f"<h2>Check</h2><ul class=look>{''.join(items)}</ul>"


def _histogram(title: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    width, height = CHART
    counts, edges = bins(values)
    bar = width / len(counts)
    bars = "".join(
        f'<rect x="{i * bar:.1f}" y="{height - h:.1f}" width="{bar - 1:.1f}" height="{h:.1f}">'
        f"<title>{edges[i]:g} – {edges[i + 1]:g}: {n}</title></rect>"
        for i, n in enumerate(counts)
        for h in [n / max(counts) * (height - 2)]
    )
    low, high = f'<text y="{height + 14}">{edges[0]:g}</text>', f"{edges[-1]:g}"
    high = f'<text x="{width}" y="{height + 14}" text-anchor="end">{high}</text>'
    caption = f"{escape(title)}: median {float(np.median(values)):.3g}, {min(values):.3g} to {max(values):.3g}"
    chart = f'<svg width="{width}" height="{height + 18}" role="img" aria-label="{caption}">{bars}{low}{high}</svg>'
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"


def bins(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Counts and edges of a histogram; whole numbers get bins of whole width, one value gets one bin."""
    low, high = min(values), max(values)
    if all(float(value).is_integer() for value in values):
        step = max(1, -(-int(high - low + 1) // BINS))
        edges = [low + i * step for i in range(int(high - low) // step + 2)]
    else:
        edges = np.linspace(low, high, BINS + 1).tolist() if high > low else [low, low + 1]
    counts, _ = np.histogram(values, edges)
    return counts.tolist(), [round(edge, 2) for edge in edges]


def _rejects(facts: StoreFacts) -> str:
    if not facts.rejects:
        return ""
    rows = [(str(n), escape(kind), f"<code>{escape(example)}</code>") for kind, n, example in facts.rejects]
    return "<h2>Left out</h2>" + _table(("n clips", "reason", "for instance"), rows)


def _words(facts: StoreFacts) -> str:
    total = sum(n for _, n in facts.words)
    once = sum(n == 1 for _, n in facts.words)
    shown = "".join(f"<span>{escape(word)} <b>{n}</b></span> " for word, n in facts.words[:WORDS])
    text = f"<p class=muted>{total} words, {len(facts.words)} different ones, {once} of them once.</p>"
    text += f"<p class=words>{shown}</p>"
    if facts.as_written:
        written = " ".join(
            f"<span><code>{escape(char)}</code> <b>{n}</b></span>" for char, n in facts.as_written[:WORDS]
        )
        text += "<p class=muted>Characters that the alphabet spells otherwise or leaves out:</p>"
        text += f"<p class=words>{written}</p>"
    return f"<h2>Words</h2>{text}"


def _speaker_table(speakers: Iterable[SpeakerFacts]) -> str:
    speakers = list(speakers)
    looked = any(speaker.face_found is not None for speaker in speakers)
    rows = []
    for s in speakers:
        row = [escape(s.name), str(s.clips), escape(duration(s.seconds)), f"{s.brightness:.0f}"]
        row.append(f"{s.darkest:.0f} – {s.brightest:.0f}")
        if looked:
            row.append("–" if s.face_found is None else f"{100 * s.face_found:.1f} %")
        rows.append(tuple(row))
    heads = ["speaker", "n clips", "n length", "n brightness", "n darkest and brightest clip"]
    return _table((*heads, *(["n face found"] if looked else [])), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; a head that begins with `n ` is a column of numbers."""
    numbers = [head.startswith("n ") for head in heads]
    kinds = [" class=n" if number else "" for number in numbers]
    first = "".join(f"<th{k}>{h.removeprefix('n ')}</th>" for k, h in zip(kinds, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{cell}</td>' for k, cell in zip(kinds, row, strict=True))}</tr>" for row in rows
    )
    return f"<table><tr>{first}</tr>{body}</table>"


def _sheet(name: str, picture: Picture) -> str:
    content = base64.b64encode(encode(picture, ".jpg")).decode()
    label = escape(f"frames of {name}", quote=True)
    size = f'width="{picture.shape[1]}" height="{picture.shape[0]}"'
    return f'<h3>{escape(name)}</h3><img alt="{label}" {size} src="data:image/jpeg;base64,{content}">'
