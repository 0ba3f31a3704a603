"""External test sets: a tiny run scored on other phantoms, one of them holding images of its own data."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, MadeOnce, attempt, commit, run, write_params

from breast_ultrasound.cases.raw import RAW, Case, find_case, read_cases, write_table
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.sources.phantom import Scanner, write_phantom
from stages.external import SWEEP, Params, relate

SECTOR = Scanner(gain=-4.0, noise=0.05, depth=1.3, sector=60.0)


def adopt(case: Case, folder: Path) -> Case:
    """A copy of a case of the run among those of a folder, under another id."""
    other = find_case(folder, case.cls, f"copy of {case.id}")
    shutil.copyfile(case.image, other.image)
    for path in case.masks:
        shutil.copyfile(path, other.image.with_name(path.name.replace(case.id, other.id)))
    return find_case(folder, case.cls, other.id)


def name_sets(folder: Path, **sets: str) -> None:
    """Name external sets in the params of a run."""
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(values | {"external": sets}), encoding="utf-8")


@pytest.fixture(scope="session")
def tested(clone: Path, made_once: MadeOnce) -> Path:
    """The tiny run with two external sets, committed: another scanner's, and 12 new images with 3 of the run's own."""

    def make(copy: Path) -> None:
        shutil.copytree(clone, copy)
        for name, scanner in (("sector", SECTOR), ("mixed", None)):
            folder = copy / name
            folder.mkdir()
            cases = write_phantom(folder, 12, 9, scanner) if scanner else write_phantom(folder, 12, 8)
            if not scanner:
                cases += [adopt(case, folder) for case in read_cases(copy / RAW)[:3]]
            write_table(folder, cases)
        name_sets(copy, sector="sector", mixed="mixed")
        for stage in ("external", "report"):
            run(copy, sys.executable, "-m", f"stages.{stage}")
        commit(copy, "External sets")

    return made_once("external", make)


def test_without_a_set_nothing_is_scored(clone: Path) -> None:
    assert json.loads((clone / "metrics/external.json").read_text()) == {}
    assert "External test sets" not in (clone / "metrics/report.html").read_text(encoding="utf-8")


def test_without_a_set_no_network_is_loaded(tmp_path: Path) -> None:
    write_params(tmp_path)
    code = "import sys; from stages.external import main; main(); print(*sys.modules)"
    loaded = run(tmp_path, sys.executable, "-c", code, PYTHONPATH=str(ROOT)).split()
    assert json.loads((tmp_path / "metrics/external.json").read_text()) == {}
    assert (tmp_path / "metrics/external.csv").read_text() == "subset,postprocessing,id\n"
    assert "stages.external" in loaded
    assert {"keras", "tensorflow", "breast_ultrasound.network.ensemble"} & set(loaded) == set()


def test_images_of_the_run_are_left_out_and_named(tested: Path) -> None:
    figures = json.loads((tested / "metrics/external.json").read_text())
    scores = pd.read_csv(tested / "metrics/external.csv")
    assert figures["sector"]["left out as near-duplicate"] == []
    assert figures["mixed"]["left out as near-duplicate"] == [
        f"copy of {case.id}" for case in read_cases(tested / RAW)[:3]
    ]
    assert scores[["subset", "postprocessing"]].value_counts().to_dict() == {
        (name, when): 12 for name in ("sector", "mixed") for when in ("before", "after")
    }


def test_another_frame_of_a_sweep_that_was_trained_on_overlaps_and_strangers_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / RAW
    raw.mkdir(parents=True)
    cases = write_phantom(raw, 90, seed=5)
    planted = pd.read_csv(raw / "planted.csv").set_index("id")
    sweep = planted.groupby("sweep")["frame"].nunique().idxmax()
    last = planted.index[planted["frame"] == planted.loc[planted["sweep"] == sweep, "frame"].max()]
    strangers = planted.index[~planted["sweep"].duplicated(keep=False)][:10]
    tested = [case for case in cases if case.id in last.union(strangers)]
    write_table(raw, [case for case in cases if case not in tested])
    write_params(tmp_path, audit={"sweep": 0.075})
    monkeypatch.chdir(tmp_path)
    params = load(Params)
    (external,) = relate({"tested": tested}, params.audit, params.seed)
    overlap = external.table.set_index("id")["overlap"]
    assert (overlap[last] == SWEEP).all()
    assert (overlap[strangers] == "").all()
    assert {case.id for case in external.new_cases} == set(strangers)


def test_figures_follow_from_the_scores_and_hold_the_generalisation_gap(tested: Path) -> None:
    figures = json.loads((tested / "metrics/external.json").read_text())["sector"]
    internal = json.loads((tested / "metrics/figures.json").read_text())["test"]
    scores = pd.read_csv(tested / "metrics/external.csv").query("subset == 'sector' and postprocessing == 'after'")
    lesion = scores.loc[scores["tp"] + scores["fn"] > 0, "dice"].mean()
    gap = figures["generalisation gap"]["lesion Dice"]
    assert figures["after"]["lesion"]["mean per image"]["dice"]["value"] == pytest.approx(lesion, abs=1e-4)
    assert gap["external"] == figures["after"]["lesion"]["mean per image"]["dice"]["value"]
    assert gap["internal"] == internal["after"]["lesion"]["mean per image"]["dice"]["value"]
    assert gap["value"] == pytest.approx(gap["internal"] - gap["external"], abs=1e-4)
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert sum(figures["error kinds"]["after"].values()) == 12
    assert 0 <= figures["calibration error"] <= 1


def test_the_report_the_model_card_and_compare_name_the_sets(tested: Path) -> None:
    for file in ("report.html", "model_card.md"):
        text = (tested / "metrics" / file).read_text(encoding="utf-8")
        assert "External test sets" in text
        assert "sector" in text
    printed = run(tested, sys.executable, "-m", "breast_ultrasound.commands.compare.command", "HEAD", "HEAD")
    assert {"sector", "mixed"} <= {line.split()[0] for line in printed.splitlines() if line}


def test_a_set_that_cannot_be_used_is_refused_by_name_before_a_network_is_opened(working_copy: Path) -> None:
    shutil.rmtree(working_copy / "models")
    for archive, message in (
        ("nowhere", "external.bad: nowhere does not exist"),
        ("data/raw", "all 24 images are near-duplicates"),
    ):
        name_sets(working_copy, bad=archive)
        done = attempt(working_copy, sys.executable, "-m", "stages.external")
        assert done.returncode == 1
        assert message in done.stderr
