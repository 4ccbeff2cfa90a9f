"""HTML of the replay page: the reference and the hypotheses, word edits marked by colour and by form.

Everything that comes from a corpus or a network is escaped.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.errors.word_edits import ClipEdits, Edit
from dashboard.notation import percent

# Translucent grounds read well on white and on black. Colour is never the only mark: a substitution carries
# the reference word above it, a deletion is struck through, an insertion begins with a plus.
STYLE = """<style>
.lk { border-collapse: collapse; width: 100%; }
.lk td { padding: .4rem .8rem .4rem 0; border: 0; border-top: 1px solid rgba(128,128,128,.22); vertical-align: bottom; }
.lk tr:first-child td { border-top: 0; }
.lk td.who, .lk td.rate { white-space: nowrap; width: 1%; opacity: .72; font-size: .86rem; }
.lk td.rate { text-align: right; font-variant-numeric: tabular-nums; }
.lk td.text { font-size: 1.06rem; line-height: 1.5; }
.lk tr.chosen td.who, .lk tr.chosen td.rate { opacity: 1; font-weight: 600; }
.lk .w { display: inline-block; margin-right: .42rem; line-height: 1.3; vertical-align: bottom; }
.lk .w i { display: block; font-style: normal; font-size: .72rem; line-height: 1.15; opacity: .75; text-align: center; }
.lk .w b { font-weight: inherit; display: block; text-align: center; border-radius: 4px; padding: 0 .28rem; }
.lk .substitute b { background: rgba(230,150,20,.30); box-shadow: inset 0 -2px 0 rgb(214,132,10); }
.lk .delete b { background: rgba(214,70,80,.20); text-decoration: line-through; opacity: .85; }
.lk .insert b { background: rgba(50,120,220,.22); box-shadow: inset 0 -2px 0 rgb(62,128,222); }
.lk .equal b { padding: 0; }
.lk-key { font-size: .82rem; opacity: .85; }
</style>"""


@dataclass(frozen=True)
class Row:
    """One hypothesis in the table: whose it is, and its edits."""

    who: str
    clip_edits: ClipEdits
    chosen: bool = False


def transcript_table(reference: str, rows: Sequence[Row]) -> str:
    """The reference as given, and under it every hypothesis with its edits and its rates."""
    head = _tr("reference", f'<span data-testid="reference">{html.escape(reference)}</span>')
    body = [
        _tr(r.who, hypothesis(r.clip_edits), percent(r.clip_edits.wer), percent(r.clip_edits.cer), chosen=r.chosen)
        for r in rows
    ]
    return f'{STYLE}<table class="lk">{head}{"".join(body)}</table>'


def sentences(texts: Sequence[str]) -> str:
    """Plain sentences, a paragraph each."""
    return "".join(f'<p style="margin: 0 0 .35rem">{html.escape(text)}</p>' for text in texts)


def legend() -> str:
    """How to read the marks."""
    samples = [
        Edit("substitute", "reference", "substituted"),
        Edit("delete", "deleted", ""),
        Edit("insert", "", "inserted"),
    ]
    return f'{STYLE}<div class="lk lk-key">{"".join(_word(edit) for edit in samples)}</div>'


def hypothesis(clip_edits: ClipEdits) -> str:
    """A hypothesis as words with their edits; an empty hypothesis is named."""
    words = "".join(_word(edit) for edit in clip_edits.edits)
    return words if any(edit.hypothesis for edit in clip_edits.edits) else f"{words}<em>(nothing)</em>"


def _word(edit: Edit) -> str:
    text = {"insert": f"+{edit.hypothesis}", "delete": edit.reference}.get(edit.kind, edit.hypothesis)
    above = f"<i>{html.escape(edit.reference)}</i>" if edit.kind == "substitute" else ""
    return f'<span class="w {edit.kind}">{above}<b>{html.escape(text)}</b></span>'


def _tr(who: str, text: str, wer: str = "", cer: str = "", *, chosen: bool = False) -> str:
    rates = "".join(f'<td class="rate">{rate}</td>' for rate in (wer and f"WER {wer}", cer and f"CER {cer}"))
    kind = ' class="chosen"' if chosen else ""
    return f'<tr{kind}><td class="who">{html.escape(who)}</td><td class="text">{text}</td>{rates}</tr>'
