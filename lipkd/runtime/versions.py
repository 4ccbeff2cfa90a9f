"""Versions of lipkd, of Python, and of the packages that it is built on."""

import importlib.metadata
import platform

from lipkd import __version__

BUILT_ON = (
    *("torch", "numpy", "jiwer", "ray", "mlflow", "optuna", "streamlit"),
    *("opencv-python", "mediapipe", "av", "aeneas"),
)


def versions() -> dict[str, str]:
    """Name → version of lipkd, Python and what is installed of `BUILT_ON`; nothing is imported for it."""
    found = {"lipkd": __version__, "python": platform.python_version()}
    for name in BUILT_ON:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that this environment does not have
    return found


def versions_text() -> str:
    """`lipkd 0.1.0`, and in the next line the rest."""
    own, *others = versions().items()
    return f"{own[0]} {own[1]}\n" + ", ".join(f"{name} {version}" for name, version in others)
