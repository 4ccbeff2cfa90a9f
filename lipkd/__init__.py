"""lipkd: lip-reading experiments with online knowledge distillation; this package is the learning core.

From Python (docs/python.md): `lipkd.load_trial`, `lipkd.read`, `lipkd.compare`, `lipkd.LipReader`, `lipkd.LipkdError`.
They are imported when they are first used, because PyTorch takes seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipkd.api import LipkdError, LipReader, compare, load_trial, read

__version__ = "0.1.0"
__all__ = ["LipReader", "LipkdError", "__version__", "compare", "load_trial", "read"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lipkd' has no attribute {name!r}")
    return getattr(importlib.import_module("lipkd.api"), name)
