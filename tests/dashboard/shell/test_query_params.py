"""Which value of a choice counts: the reader's, the address's, the kept one, the default."""

from streamlit.testing.v1 import AppTest


def script(page: str, options: list[str]) -> None:
    import streamlit as st

    from dashboard.shell import query_params

    place = st.container()
    with query_params.address(page):
        query_params.select(place, "One", options, key="one", default=options[0])
        query_params.select(place, "Free", options, key="free", default=None)
        query_params.several(place, "Many", options, key="many", default=options[:2])
    st.text(str(query_params.unknown_values()))


def app(page: str = "P", options: tuple[str, ...] = ("x", "y", "z"), **query: str | list[str]) -> AppTest:
    made = AppTest.from_function(script, kwargs={"page": page, "options": list(options)}, default_timeout=30)
    for key, value in query.items():
        made.query_params[key] = value
    return made.run()


def values(made: AppTest) -> tuple[object, object, object]:
    assert not made.exception
    return made.selectbox(key="one").value, made.selectbox(key="free").value, made.multiselect(key="many").value


def test_defaults_are_written_into_the_address() -> None:
    made = app()
    assert values(made) == ("x", None, ["x", "y"])
    assert made.query_params == {"one": "x", "many": ["x", "y"]}


def test_a_link_decides_at_the_start() -> None:
    made = app(one="y", free="z", many=["z"])
    assert values(made) == ("y", "z", ["z"])


def test_what_is_no_option_does_not_count() -> None:
    made = app(one="<script>", free="../..", many=["z", "nonsense"])
    assert values(made) == ("x", None, ["z"])
    assert made.query_params == {"one": "x", "many": "z"}


def test_what_a_link_asks_for_in_vain_is_known_until_the_reader_chooses() -> None:
    made = app(one="y", free="gone", many=["z", "nonsense"])
    assert made.text[0].value == "{'free': ['gone'], 'many': ['nonsense']}"
    assert made.run().text[0].value == "{'free': ['gone'], 'many': ['nonsense']}"
    assert made.selectbox(key="one").set_value("z").run().text[0].value == "{}"
    assert app(one="y").text[0].value == app().text[0].value == "{}"


def test_the_reader_overrules_the_link() -> None:
    made = app(one="y")
    made.selectbox(key="one").set_value("z").run()
    assert values(made)[0] == "z"
    assert made.query_params["one"] == "z"


def test_back_in_history_overrules_what_was_chosen() -> None:
    made = app(one="y")
    made.selectbox(key="one").set_value("z").run()
    made.query_params["one"] = "y"
    assert values(made.run())[0] == "y"


def test_an_emptied_list_stays_empty_and_leaves_the_address() -> None:
    made = app()
    made.multiselect(key="many").set_value([]).run()
    assert values(made.run())[2] == []
    assert "many" not in made.query_params


def test_choices_are_kept_on_another_page() -> None:
    """Clicking a page in the sidebar empties the address; what was chosen is there all the same."""
    made = app()
    made.selectbox(key="one").set_value("z").run()
    made.kwargs = {"page": "Q", "options": ["x", "y", "z"]}
    made.query_params.clear()
    assert values(made.run()) == ("z", None, ["x", "y"])
    assert made.query_params["one"] == "z"


def test_when_the_options_are_gone_the_default_is_back() -> None:
    """As after the choice of another sweep, whose trials are others."""
    made = app(one="y", free="z", many=["z"])
    made.kwargs = {"page": "P", "options": ["u", "v", "w"]}
    assert values(made.run()) == ("u", None, ["u", "v"])


def test_what_another_page_has_put_there_counts() -> None:
    """The leaderboard's buttons set the choices of the page that they lead to."""
    made = app()
    made.session_state["many"] = ["z"]
    assert values(made.run())[2] == ["z"]
