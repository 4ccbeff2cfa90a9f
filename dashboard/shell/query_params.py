"""The view in the address: every choice on a page is a query parameter, so that a link restores the view.

Streamlit's own `bind="query-params"` loses its values on every second change of page and makes
`st.switch_page` raise (1.67), and it leaves out defaults, which another day are others ("the latest sweep").
Here a choice is kept for the whole session and the address always says everything that is on the page.

Which value counts: what the reader has just changed; else what the address asks for, if that isn't what was
written there last (a link, the browser's Back button); else what was kept; else the default. A value that is
not among the options never counts.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

KEPT, SENT, DRAWN, PAGE = "links kept", "links sent", "links drawn", "links page"
UNKNOWN, WARNED = "links unknown", "links warned"
Values = dict[str, list[str]]
LONGEST_TEXT = 200


@contextmanager
def address(page: str) -> Iterator[None]:
    """Around a page: afterwards the address holds the choices that were drawn inside, as one step of history."""
    state = st.session_state
    if state.get(PAGE) != page:
        _leave_widgets()
        state[PAGE] = page
    state.setdefault(KEPT, {})
    state.setdefault(SENT, {})
    state[DRAWN], state[UNKNOWN] = {}, {}
    yield
    wanted: Values = {key: values for key, values in state[DRAWN].items() if values}
    if wanted != {key: st.query_params.get_all(key) for key in st.query_params}:
        st.query_params.from_dict(wanted)
    if state[UNKNOWN] or state.get(WARNED, (None,))[0] != wanted:  # it stays until the reader chooses something
        state[WARNED] = (wanted, state[UNKNOWN])
    state[SENT] = wanted


def unknown_values() -> Values:
    """After a page, by their keys: the values that its address named and that are not among the options."""
    found: Values = st.session_state.get(WARNED, (None, {}))[1]
    return found


def _leave_widgets() -> None:
    """Forget the last page's widgets, not their values: a widget of the same key here is another one to Streamlit,
    and would begin with its own default although the session shows the old value."""
    for key, values in st.session_state.get(KEPT, {}).items():
        if key in st.session_state and _listed(st.session_state[key]) == values:
            del st.session_state[key]


def select(
    place: DeltaGenerator, label: str, options: Sequence[str], *, key: str, default: str | None, **more: Any
) -> str | None:
    """A menu; with `default` None it can be left empty."""
    _note_unknown(key, options)
    _seed(key, options, [default] if default else [], many=False)
    return _keep(key, place.selectbox(label, options, key=key, index=0 if default else None, **more))


def one_of(place: DeltaGenerator, label: str, options: Sequence[str], *, key: str, default: str, **more: Any) -> str:
    """All options side by side, one of them chosen."""
    _seed(key, options, [default], many=False)
    value = place.segmented_control(label, options, key=key, required=True, **more)
    return _keep(key, value or default) or default


def radio(place: DeltaGenerator, label: str, options: Sequence[str], *, key: str, **more: Any) -> str:
    """Options one below the other, the first one chosen at first."""
    _seed(key, options, list(options[:1]), many=False)
    return _keep(key, place.radio(label, options, key=key, **more)) or options[0]


def several(
    place: DeltaGenerator,
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: Sequence[str] = (),
    **more: Any,
) -> list[str]:
    """Any number of options; `default` is what is chosen at first."""
    _note_unknown(key, options)
    _seed(key, options, list(default), many=True)
    values: list[str] = place.multiselect(label, options, key=key, **more)
    _record(key, values)
    return values


def has_value(key: str) -> bool:
    """Whether anything is chosen under a key, now or before: what is empty need not be drawn."""
    return bool(_counting(key)) or key in st.session_state


def has_option(key: str, options: Collection[str]) -> bool:
    """Whether one of the options is chosen under a key already, so that its default does not count."""
    return any(value in options for value in _counting(key) or ())


def add(key: str, values: Sequence[str]) -> None:
    """For a button's callback: choose these too, as the reader would have."""
    before = _counting(key) or []
    st.session_state[key] = [*before, *(value for value in values if value not in before)]


def text(place: DeltaGenerator, label: str, *, key: str, **more: Any) -> str:
    """A field for words of the reader's own."""
    state = st.session_state
    before = "".join((_counting(key) or [])[:1])[:LONGEST_TEXT]
    if state.get(key) != before:
        state[key] = before
    return _keep(key, place.text_input(label, key=key, max_chars=LONGEST_TEXT, **more)) or ""


def _note_unknown(key: str, options: Collection[str]) -> None:
    """Remember what a link asks for and what is not there, so that the page can say so."""
    requested = _requested(key)
    if missing := [value for value in requested if value not in set(options)]:
        st.session_state[UNKNOWN][key] = missing


def _seed(key: str, options: Sequence[str], default: list[str], *, many: bool) -> None:
    """Put the value that counts into the session, before the widget is drawn."""
    state = st.session_state
    counting = _counting(key)
    values = default if counting is None else counting
    allowed = set(options)
    possible = [value for value in (values if many else values[:1]) if value in allowed]
    # A list that the reader has emptied stays empty; one whose options are gone (another sweep) begins anew.
    values = default if not possible and (values or not many) else possible
    value = values if many else (values[0] if values else None)
    if key not in state or state[key] != value:
        state[key] = value


def _counting(key: str) -> list[str] | None:
    """The values that the reader, the address or the session ask for; None when none of them does."""
    state = st.session_state
    if requested := _requested(key):
        return requested
    kept: list[str] | None = state[KEPT].get(key)
    return _listed(state[key]) if key in state else kept


def _requested(key: str) -> list[str]:
    """What the address asks for, if it was not written by this session and the reader has not chosen otherwise."""
    state = st.session_state
    requested = st.query_params.get_all(key)
    touched = key in state and _listed(state[key]) != state[KEPT].get(key)
    return [] if touched or requested == state[SENT].get(key) else requested


def _keep(key: str, value: str | None) -> str | None:
    _record(key, _listed(value))
    return value


def _record(key: str, values: list[str]) -> None:
    st.session_state[KEPT][key] = values
    st.session_state[DRAWN][key] = values


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] * bool(value) if isinstance(value, str) else list(value)
