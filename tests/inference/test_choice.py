from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx_network import write_dark_network

from breast_ultrasound.inference import choice
from breast_ultrasound.inference.choice import choose
from breast_ultrasound.inference.exported import read_network

FIGURES = {"images": 1200, "lesion_dice": 0.8, "missed": 0.05, "normal_specificity": 0.9}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The network of a run in the working directory, beside one that comes with the project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, "PRETRAINED", tmp_path / "pretrained.onnx")
    (tmp_path / "models").mkdir()
    for path in (choice.OWN, choice.PRETRAINED):
        write_dark_network(path)
    describe(choice.PRETRAINED, data="busi", tested={"all": FIGURES})
    return choice.OWN


def describe(path: Path, **changed: object) -> None:
    """Change fields of a network's card."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, replace(read_network(path).card, **changed).as_properties())
    onnx.save(model, path)


def test_the_lines_give_the_figures_of_all_test_images_and_the_lesion_dice_by_source(own: Path) -> None:
    sources = {"busi": {"lesion_dice": 0.75}, "mine": {"normal_specificity": 0.5}}
    describe(own, data="busi, mine", trained_images=900, tested={"all": FIGURES, **sources})
    assert choose().reason.splitlines() == [
        "models/attention-unet.onnx: the network of this run, trained on busi, mine.",
        "Tested on 1,200 images, each by a network that was not trained on it: lesion Dice 0.80 (busi 0.75), missed "
        "lesions 5%, specificity on normal images 90%.",
    ]


def test_a_run_on_few_images_or_with_a_lower_lesion_dice_is_doubted(own: Path) -> None:
    describe(own, data="mine", trained_images=80, tested={"all": FIGURES | {"lesion_dice": 0.62}})
    *_, few, worse = choose().reason.splitlines()
    assert few == "It was trained on 80 images only."
    assert worse.startswith("The network that comes with the project has a lesion Dice of 0.80 on its own test images.")


def test_a_network_of_an_earlier_version_has_no_figures(own: Path) -> None:
    describe(own, data="mine", trained_images=None, tested={})
    assert len(choose().reason.splitlines()) == 1
