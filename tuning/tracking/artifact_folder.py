"""The artifact folder beside a tracking folder's own database, also after that was moved or copied.

MLflow keeps the absolute address of each run's artifacts. In a copied project it would write into the folder of the
original; in a moved one it would make the old folder anew. MLflow has no call that changes these addresses.
"""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def bring_artifacts_along(mlruns: Path) -> None:
    """Let the addresses in `mlruns/mlflow.db` name `mlruns/artifacts`, where they name the folder from which the
    database was moved or copied; a folder elsewhere that somebody chose on purpose stays."""
    here = (mlruns.absolute() / "artifacts").as_uri()
    with contextlib.closing(sqlite3.connect(mlruns / "mlflow.db", timeout=60)) as connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        for address in {row[0] for row in rows if row[0] and row[0] != here and _was_beside(row[0])}:
            with connection:
                for table, column in ADDRESSES:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (here, len(address) + 1, address, len(address) + 1, f"{address}/"),
                    )


def _was_beside(address: str) -> bool:
    """Whether an address is that of an artifact folder beside a database: one is there still, or both are gone."""
    parts = urlsplit(address)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or folder.name != "artifacts":
        return False
    return (folder.parent / "mlflow.db").exists() or not folder.exists()
