"""How the hub is asked, and what its client's errors say. Imports the client inside functions."""

import json
import re
from typing import Any

PATIENCE = (2, 10, 10, 2)  # seconds to connect to a hub, to read, to write, to wait for a turn
ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
REFUSALS = (401, 403, 404)  # what a hub that answers says of a thing that it does not give


def answer_of(error: BaseException) -> Any:
    """The hub's answer that an error tells of, None where there was none."""
    return getattr(error, "response", None) or getattr(error.__cause__, "response", None)


def status_of(error: BaseException) -> int | None:
    """The number with which the hub answered, None where it did not."""
    return getattr(answer_of(error), "status_code", None)


def why(error: BaseException) -> str:
    """Why something was not to be had, in a few words.

    >>> why(OSError(111, "Connection refused"))
    'Connection refused'
    """
    if status := status_of(error):
        return f"it answered {status}"
    if isinstance(error, json.JSONDecodeError):
        return "what answered is no hub"
    while error.__cause__ is not None:
        error = error.__cause__
    said = ERROR_NUMBER.sub("", str(error).strip())
    return said.partition("\n")[0] or type(error).__name__
