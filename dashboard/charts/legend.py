"""One legend for all charts of a page: an entry per series, of which colour says the group and a mark what else varies.

Vega's own legends stand in each chart, take its height from it and are cut off on a phone; this one is HTML.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

Marks = Literal["dashes", "shapes"]
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3])
SHAPES = {"circle": "●", "square": "■", "triangle-up": "▲", "diamond": "◆", "cross": "✚"}
MOST_SERIES = 12  # entries of a legend


GREY = "#858b94"  # of an entry that stands for all groups


@dataclass(frozen=True)
class Entry:
    """A value of a field (`series`, `group` or `variant`), its colour, and which dashes or shape it has."""

    field: str
    label: str
    colour: str
    mark: int


def entries(rows: Iterable[Mapping[str, Any]], colours: Mapping[str, str]) -> list[Entry]:
    """Of rows with `group`, `variant` and `series`, the groups in the order of their colours. Beyond MOST_SERIES the
    groups have entries of their own, and so have the variants, unless these are too many: then tooltips tell them."""
    found = list(dict.fromkeys((row["group"], row["variant"], row["series"]) for row in rows))
    found.sort(key=lambda one: list(colours).index(one[0]))
    variants = list(dict.fromkeys(variant for _, variant, _ in found))
    if len(found) <= MOST_SERIES:
        return [Entry("series", series, colours[group], variants.index(v)) for group, v, series in found]
    made = [Entry("group", group, colours[group], 0) for group in dict.fromkeys(group for group, *_ in found)]
    if len(variants) <= len(DASHES):
        made += [Entry("variant", variant, GREY, mark) for mark, variant in enumerate(variants)]
    return made


def encodings(rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str], marks: Marks) -> dict[str, Any]:
    """The channels `color` and `strokeDash` or `shape` of a chart of rows, as the legend of these rows shows them."""
    made = entries(rows, colours)
    coloured = [entry for entry in made if entry.field != "variant"]
    marked = [entry for entry in made if entry.field != "group"]
    found: dict[str, Any] = {}
    if coloured:
        scale = alt.Scale(domain=[one.label for one in coloured], range=[one.colour for one in coloured])
        found["color"] = alt.Color(f"{coloured[0].field}:N", scale=scale, legend=None)
    if len({entry.mark for entry in marked}) > 1:
        kinds: Sequence[Any] = DASHES if marks == "dashes" else list(SHAPES)
        scale = alt.Scale(domain=[e.label for e in marked], range=[kinds[e.mark % len(kinds)] for e in marked])
        name, channel = ("strokeDash", alt.StrokeDash) if marks == "dashes" else ("shape", alt.Shape)
        found[name] = channel(f"{marked[0].field}:N", scale=scale, legend=None)
    return found


def legend_html(rows: Iterable[Mapping[str, Any]], colours: Mapping[str, str], marks: Marks) -> str:
    """The entries beside each other, as many in a line as there is room for; names are escaped."""
    items = []
    for entry in entries(rows, colours):
        if marks == "dashes":
            look = f"display:inline-block;width:2.2em;height:3px;background:{_dashed(entry)}"
            sign = f'<span style="{look};vertical-align:middle"></span>'
        else:
            shapes = list(SHAPES.values())
            sign = f'<span style="color:{entry.colour}">{shapes[entry.mark % len(shapes)]}</span>'
        items.append(f'<span style="white-space:nowrap;margin-right:1.4em">{sign} {html.escape(entry.label)}</span>')
    return f'<div data-testid="legend" style="font-size:.82rem;line-height:1.7;opacity:.9">{" ".join(items)}</div>'


def _dashed(entry: Entry) -> str:
    """A line with the dashes of Vega, as a background of CSS."""
    stops, at = [], 0
    for number, length in enumerate(DASHES[entry.mark % len(DASHES)]):
        colour = entry.colour if number % 2 == 0 else "transparent"
        stops.append(f"{colour} {at}px {at + length}px")
        at += length
    return f"repeating-linear-gradient(90deg,{','.join(stops)})"
