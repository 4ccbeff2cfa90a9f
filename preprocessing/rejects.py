"""How a clip that cannot be used says so: by a kind of fault, for counting, and what exactly it is."""


class LeftOut(Exception):
    """Why a clip is left out: the `kind` of the reason and its `detail`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class BadClip(LeftOut):
    """A clip that gets no place in a store."""


class CannotAlign(LeftOut):
    """A clip that gets no alignment."""
