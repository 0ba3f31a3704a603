"""Write docs/board.md from the entries in docs/board: `uv run board`.

An entry is a system, docs/board/NAME.json: the board.json that `uv run score` wrote, with the texts filled in. Systems
are held side by side where they were scored on the same folds of a source. Not part of the pipeline.
"""

import argparse
from collections.abc import Sequence

from breast_ultrasound.pages.rendering import render
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.submissions.board import BOARD, Entry, read_entries, systems, tables

PAGE = BOARD.with_suffix(".md")


def render_board(entries: Sequence[Entry]) -> str:
    """Return the page, as Markdown."""
    return render("board.md.j2", tables=tables(entries), systems=systems(entries))


@command
def main() -> None:
    """Write the board."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    page = render_board(read_entries(BOARD))
    with atomic_write(PAGE) as aside:
        aside.write_text(page, encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
