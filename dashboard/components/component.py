"""Components of our own: HTML, CSS and JavaScript beside it, which Streamlit puts on a page."""

from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

ASSETS = Path(__file__).parent


def component(name: str) -> ComponentRenderer:
    """What puts the component `name` on the page when it is called with `key`, `data` and `on_…_change`."""
    html, css, js = _parts(name)
    return st.components.v2.component(f"lipkd_{name}", html=html, css=css, js=js)


@cache
def _parts(name: str) -> tuple[str, str, str]:
    html, css, js = ((ASSETS / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return html, css, js
