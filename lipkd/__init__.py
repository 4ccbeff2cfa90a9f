"""lipkd: lip-reading experiments with online knowledge distillation; this package is the learning core."""

__version__ = "0.1.0"
