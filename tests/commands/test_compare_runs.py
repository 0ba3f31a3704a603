"""Two runs of a few images, compared by the files that Git keeps of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import commit, run

from breast_ultrasound.commands.compare.command import summary_lines
from breast_ultrasound.commands.compare.revisions import find
from breast_ultrasound.commands.compare.runs import Comparison, compare
from breast_ultrasound.scoring.paired import PairedTest

Compare = Callable[[dict[str, pd.DataFrame], dict[str, pd.DataFrame]], Comparison]


def scores(*subsets: str, hits: tuple[int, ...] = (50, 50, 0)) -> pd.DataFrame:
    """Scores of images of 10,000 lesion pixels with so many hits each."""
    rows = [
        {"subset": subset, "postprocessing": when, "id": f"benign ({number})", "class": "benign", "group": number}
        | {"tp": tp, "fp": 0, "fn": 10_000 - tp, "tn": 90_000, "peak": 0.5, "kind": "displaced"}
        for subset in subsets
        for when in ("before", "after")
        for number, tp in enumerate(hits)
    ]
    return pd.DataFrame(rows).assign(hd95=1.0, assd=1.0)


def own_scores(*hits: int) -> pd.DataFrame:
    """Scores of a run's own validation and test images."""
    return scores("validation", "test", hits=hits).assign(fold=0)


@pytest.fixture
def compare_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Commit the tables of two runs, by their names in metrics/, and compare the commits."""
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "git", "init", "--quiet")
    for folder in ("metrics", "data"):
        Path(folder).mkdir()
    Path("metrics/figures.json").write_text("{}", encoding="utf-8")
    Path("data/groups.csv").write_text("id,patient\n", encoding="utf-8")

    def compare_commits(first: dict[str, pd.DataFrame], second: dict[str, pd.DataFrame]) -> Comparison:
        for name, tables in (("first", first), ("second", second)):
            for table, rows in tables.items():
                rows.to_csv(f"metrics/{table}.csv", index=False)
            commit(tmp_path, name)
            run(tmp_path, "git", "tag", name)
        return compare(find("first"), find("second"), PairedTest(2000, 0.95, 0), listed=5)

    return compare_commits


def test_beside_an_external_set_folds_stay_whole_numbers(compare_runs: Compare) -> None:
    external = scores("clinic")
    comparison = compare_runs(
        {"scores": own_scores(50, 50, 50), "external": external},
        {"scores": own_scores(60, 50, 40), "external": external},
    )
    assert list(comparison.changes) == ["validation", "test", "clinic"]
    listed = pd.concat([comparison.gained, comparison.lost])
    assert [f"fold-{fold}" for run in ("first", "second") for fold in listed[f"fold_{run}"]] == ["fold-0"] * 4


def test_runs_from_before_the_columns_were_renamed_are_read(compare_runs: Compare) -> None:
    earlier = own_scores(50, 0, 0).assign(kind="missed").rename(columns={"postprocessing": "stage"})
    comparison = compare_runs({"scores": earlier}, {"scores": own_scores(60, 0, 0)})
    [gained] = comparison.gained.to_dict("records")
    assert (gained["id"], gained["kind_first"], gained["kind_second"]) == ("benign (0)", "false negative", "displaced")


def test_of_an_earlier_run_that_kept_no_source_the_images_of_its_only_source_are_compared(
    compare_runs: Compare,
) -> None:
    Path("params.yaml").write_text("data: {source: busi}\n", encoding="utf-8")
    pooled = own_scores(60, 60, 40).assign(source=["busi", "busi", "own"] * 4)
    earlier = own_scores(50, 50, 50)
    earlier = earlier[earlier["id"] != "benign (2)"]
    comparison = compare_runs({"scores": earlier}, {"scores": pooled})
    assert (comparison.images, comparison.left_out) == (2, ["own"])


def test_runs_of_the_same_sources_are_compared_by_source(compare_runs: Compare) -> None:
    sources = {f"benign ({number})": source for number, source in enumerate(("busi", "busi", "own"))}
    first, second = (
        scores.assign(source=scores["id"].map(sources)) for scores in (own_scores(50, 50, 50), own_scores(60, 60, 40))
    )
    comparison = compare_runs({"scores": first}, {"scores": second})
    assert {source: figures[0].images for source, figures in comparison.changes_by_source.items()} == {
        "busi": 2,
        "own": 1,
    }
    printed = "\n".join(summary_lines(comparison, 0.95))
    assert printed.index("\ntest  ") < printed.index("\ntest, busi") < printed.index("\ntest, own")


def test_only_images_of_the_sources_of_both_runs_are_compared(compare_runs: Compare) -> None:
    alone = own_scores(50, 50).assign(source="busi")
    pooled = own_scores(60, 60, 70).assign(source=lambda rows: np.where(rows["id"] == "benign (2)", "own", "busi"))
    comparison = compare_runs({"scores": alone}, {"scores": pooled})
    assert (comparison.images, comparison.left_out, comparison.changes_by_source) == (2, ["own"], {})
    assert "not compared, since one of the runs lacks them: images of own" in "\n".join(summary_lines(comparison, 0.95))


def test_a_run_without_validation_images_is_compared_on_test(compare_runs: Compare) -> None:
    comparison = compare_runs({"scores": own_scores(50, 50)}, {"scores": scores("test", hits=(60, 50)).assign(fold=0)})
    assert list(comparison.changes) == ["test"]


@pytest.mark.parametrize(
    ("first", "second", "difference", "verdict"),
    [
        ((50, 60), (60, 50), "0", "the same"),
        ((0, 0), (9000, 0), "+0.474", "too few changes to tell"),
        ((5000, 5000), (5001, 5000), "+0.00004", "too few changes to tell"),
    ],
)
def test_one_printed_difference_has_one_verdict(
    compare_runs: Compare, first: tuple[int, ...], second: tuple[int, ...], difference: str, verdict: str
) -> None:
    comparison = compare_runs({"scores": own_scores(*first)}, {"scores": own_scores(*second)})
    line = next(line for line in summary_lines(comparison, 0.95) if line.startswith("  lesion Dice"))
    assert line.split()[4] == difference
    assert line.endswith(f"  {verdict}")
