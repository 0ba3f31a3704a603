"""Mistakes that the user can mend, printed as a sentence instead of a traceback."""

import functools
import sys
import traceback
import unicodedata
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

# Control, direction of writing, and halves of characters.
_UNPRINTABLE = ("Cc", "Cf", "Cs")


class UserError(Exception):
    """A mistake that the user can mend: the message names the file or key, what was wrong and what to do."""


def printable(text: str) -> str:
    """Return text with its control characters, but for line ends, and what is no Unicode as escapes.

    Names of files may hold such, and a terminal obeys them.

    >>> printable("red\\x1b[31m.png")
    'red\\\\x1b[31m.png'
    """
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in _UNPRINTABLE and letter != "\n"
        else letter
        for letter in text
    )


def command(main: Callable[P, None]) -> Callable[P, None]:
    """Make `main` end with exit code 1 and the bare message where it raises a UserError or an OSError.

    All else is a fault of the program: it passes with its traceback and the locals of every frame, for a debugger.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except (UserError, OSError, KeyboardInterrupt) as error:
            # Close what the frames were iterating over: the client of a cluster that is left until Python ends waits
            # half a minute or more for threads that are gone.
            traceback.clear_frames(error.__traceback__)
            if isinstance(error, KeyboardInterrupt):
                raise
            sys.exit(f"error: {printable(str(error))}")

    return wrapped
