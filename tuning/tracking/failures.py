"""What can go wrong while something is tracked: whose fault it is, and how to say it in one sentence."""

from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import disk_is_full


def database_errors() -> tuple[type[Exception], ...]:
    """What MLflow and the libraries under it raise when a tracking store fails; imported late, as MLflow is slow."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, CommandError)


def sync_errors() -> tuple[type[Exception], ...]:
    """What ends the sync of one sweep, and need not end that of others."""
    return (LipkdError, OSError, *database_errors())


def server_failed(error: Exception, trial: Path) -> bool:
    """Whether the tracking store failed, and not one file of the trial in the folder `trial`."""
    if isinstance(error, OSError) and not disk_is_full(error) and isinstance(error.filename, str | Path):
        return not Path(error.filename).is_relative_to(trial)
    return isinstance(error, (OSError, *database_errors()))


def sentence(error: BaseException) -> str:
    """An error in one line. What SQLAlchemy adds in further lines (statement, values, address of its manual) goes."""
    text = str(error).strip()
    if not isinstance(error, LipkdError):
        text = text.partition("\n[SQL: ")[0].partition("\n(Background on ")[0] or type(error).__name__
    return " ".join(text.split())
