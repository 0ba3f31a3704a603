"""Compare two runs image by image: `uv run compare RUN [RUN]`.

RUN is a commit, a branch, a tag or an experiment, or the folder of a system that `uv run score` wrote, `scored/NAME`;
without a second one, the first is compared with what is checked out.
Prints for each figure the difference, second less first, with its interval, p (by swapping the two runs in groups of
patients and near-duplicates) and whether it is more than noise, then the test images that gained and lost most Dice.
Where both runs have several sources, each is compared for itself as well; images of a source or a fold that one of the
runs lacks are left out. External test sets of both runs are compared as well. Needs Git alone; --html, which shows
these images with the masks of both runs, also needs the data and predictions in DVC's cache or a remote, and of a
scored system the data that was scored; where one of the runs lacks them, it shows the masks of the other. Refuses runs
whose images, grids, true masks or scoring rules differ. Not part of the pipeline.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from breast_ultrasound.commands.compare.page import draw, render_page
from breast_ultrasound.commands.compare.revisions import Revision
from breast_ultrasound.commands.compare.runs import Comparison, compare
from breast_ultrasound.commands.compare.systems import find_run
from breast_ultrasound.pages.rendering import signed
from breast_ultrasound.pipeline.errors import command
from breast_ultrasound.pipeline.files import atomic_write
from breast_ultrasound.pipeline.params import Section, Seed, load
from breast_ultrasound.scoring.intervals import Intervals
from breast_ultrasound.scoring.paired import Difference, PairedTest


class Params(Section):
    """What this command reads of params.yaml."""

    seed: Seed
    intervals: Intervals


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="RUN", help="commit, branch, tag, experiment, or folder of a scored system")
    parser.add_argument("second", metavar="RUN", nargs="?", help="another one (default: what is checked out)")
    parser.add_argument("--images", type=int, default=5, help="how many images to list at most (%(default)s)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the masks of both runs")
    return parser.parse_args()


def summary_lines(comparison: Comparison, confidence: float) -> Iterator[str]:
    """Yield the lines that the command prints."""
    first, second = comparison.first.name, comparison.second.name
    yield f"{comparison.images} test images; difference: {second} less {first}, with its {confidence:.0%} interval"
    if comparison.left_out:
        yield f"not compared, since one of the runs lacks them: images of {', '.join(comparison.left_out)}"
    by_source = {f"test, {source}": figures for source, figures in comparison.changes_by_source.items()}
    for subset, figures in (comparison.changes | by_source).items():
        yield f"\n{subset:20}{first:>14.14}{second:>14.14}   difference"
        for change in figures:
            yield f"  {change.name:18}{change.first:14.3f}{change.second:14.3f}   {_describe(change.difference)}"
    for name, rows in (("gained", comparison.gained), ("lost", comparison.lost)):
        yield f"\n{name} most on test, Dice"
        for row in rows.itertuples():
            yield f"  {row.id:18}{row.dice_first:14.3f}{row.dice_second:14.3f}   {signed(float(str(row.gain)))}"
        if rows.empty:
            yield "  none"
    for name, images in comparison.several_patients.items():
        if images:
            yield f"\n{name}: {images} images are of a frame filed under several patients, which count as one"
    yield "\nNoise is what other images would change; what another training would change is not in it."


@command
def main() -> None:
    """Compare the runs that the command line names."""
    arguments, loaded = parse(), load(Params)
    second = find_run(arguments.second) if arguments.second else Revision("checked out", None)
    test = PairedTest(loaded.intervals.draws, loaded.intervals.confidence, loaded.seed)
    comparison = compare(find_run(arguments.first), second, test, arguments.images)
    print("\n".join(summary_lines(comparison, loaded.intervals.confidence)))
    if arguments.html:
        pictures = draw(comparison)
        for reason in pictures.lacking.values():
            print(f"without its pictures: {reason}")
        page = render_page(comparison, pictures, loaded.intervals.confidence)
        with atomic_write(arguments.html) as path:
            path.write_text(page, encoding="utf-8")


def _describe(difference: Difference) -> str:
    interval = f"({signed(difference.low)} to {signed(difference.high)})"
    return f"{signed(difference.value)} {interval}  p {difference.p:.4f}  {difference.verdict}"


if __name__ == "__main__":
    main()
