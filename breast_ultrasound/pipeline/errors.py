"""Mistakes that the user can mend, told in a sentence instead of a traceback."""

import functools
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class UserError(Exception):
    """Something that the user can mend: the message names the file or key, what was wrong and what to do."""


def command(main: Callable[P, None]) -> Callable[P, None]:
    """Make `main` end with exit code 1 and the bare message where it raises a UserError or a file can't be used."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except BaseException as error:
            # Closes what the frames were iterating over: a cluster's client that is left until Python ends waits then,
            # for half a minute or more, for threads that are gone.
            traceback.clear_frames(error.__traceback__)
            if isinstance(error, UserError | OSError):
                sys.exit(f"error: {error}")
            raise

    return wrapped
