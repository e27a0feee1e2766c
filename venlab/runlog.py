"""The log of a run: a file in its folder."""

from __future__ import annotations

import logging
from pathlib import Path

__all__ = ["close", "to_file"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def to_file(path: Path) -> logging.FileHandler:
    """Write what venlab logs, from INFO on, to a file until `close`."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("venlab")
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def close(handler: logging.FileHandler) -> None:
    """End the log file."""
    logging.getLogger("venlab").removeHandler(handler)
    handler.close()
