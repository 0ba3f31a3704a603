from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS
from dvclive.live import Live

from breast_ultrasound.cases.letterbox import Letterbox
from breast_ultrasound.cases.prepared import Prepared
from breast_ultrasound.network import device, model_files
from breast_ultrasound.network.device import Device, Hardware
from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.params import load
from breast_ultrasound.training import fitting
from breast_ultrasound.training.batches import Batches
from breast_ultrasound.training.callbacks import Progress
from breast_ultrasound.training.checkpoint import CheckpointFile
from breast_ultrasound.training.fitting import FoldBatches
from breast_ultrasound.training.losses import BceDice
from breast_ultrasound.training.optimizer import optimizer
from breast_ultrasound.training.settings import TrainingSettings
from stages.train import check_grid

CPU = Device("cpu", "test", 1, "float32")


def tiny_settings(epochs: int = 6) -> TrainingSettings:
    """Return the tests' params, changed so that a network learns to see disks in seconds."""
    settings = load(TrainingSettings, PARAMS)
    return settings.model_copy(
        update={
            "network": settings.network.model_copy(update={"stem": 1, "dropout": 0.1}),
            "train": settings.train.model_copy(
                update={"epochs": epochs, "batch": 4, "ema": 0.8, "learning_rate": 0.01}
            ),
        }
    )


@pytest.fixture
def tiny() -> TrainingSettings:
    return tiny_settings()


def disks(images: int = 24) -> Prepared:
    """Dark disks on brighter noise; every sixth image has none."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    centres, radii = rng.uniform(10, 22, (images, 2)), rng.uniform(4, 9, images)
    radii[::6] = 0
    distance = np.hypot(rows - centres[:, 0, None, None], columns - centres[:, 1, None, None])
    masks = (distance < radii[:, None, None]).astype(np.uint8)
    images_ = np.clip(rng.normal(150, 30, masks.shape) - 90 * masks, 0, 255).astype(np.uint8)
    # Small disks are benign, large ones malignant.
    classes = np.select([radii == 0, radii < 6.5], ["normal", "benign"], "malignant")
    box = Letterbox.fit(height=32, width=32, size=32)
    return Prepared(images_, masks, pd.DataFrame([box.geometry()] * images).assign(**{"class": classes}))


class StoppedLive(Live):
    """Ends the training as Ctrl-C does, after a number of epochs."""

    last_epoch = 1000

    def next_step(self) -> None:
        super().next_step()
        if self.step == self.last_epoch:
            raise KeyboardInterrupt


def fit(
    settings: TrainingSettings, folder: Path, hardware: Device = CPU, last_epoch: int = 1000, validate: bool = True
) -> keras.Model:
    """Train in `folder`; where a training was stopped there before, go on with it."""
    chosen = {"device": "cpu", "precision": hardware.precision, "arithmetic": "native"}
    device.configure(Hardware.model_validate(chosen), settings.seed)
    batches = FoldBatches(
        training=Batches(disks(), np.arange(16), settings.train.batch, seed=settings.seed),
        validation=Batches(disks(), np.arange(16, 24), settings.train.batch) if validate else None,
    )
    with StoppedLive(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.last_epoch = last_epoch
        unfinished = CheckpointFile(folder.with_suffix(".checkpoint"), "key")
        progress = Progress(batches.training, live, folder.with_suffix(".log"))
        return fitting.fit(settings, batches, hardware, progress, unfinished)


def curve(folder: Path, name: str) -> pd.Series:
    return pd.read_csv(folder / "plots" / "metrics" / f"{name}.tsv", sep="\t")[name]


def validation_logits(network: keras.Model) -> np.ndarray:
    outputs = network.predict(disks().images[16:, ..., None].astype(np.float32), verbose=0)
    return np.asarray(outputs["logits"])


def mask_loss(network: keras.Model) -> float:
    """The mean loss of the validation images' masks, computed apart from the training."""
    masks = disks().masks[16:, ..., None].astype(np.float32)
    return float(np.mean(np.asarray(BceDice().call(masks, validation_logits(network)))))


def lesion_dice(network: keras.Model) -> float:
    """Mean Dice of the validation images with a lesion, computed apart from the training."""
    predicted, truth = validation_logits(network)[..., 0] > 0, disks().masks[16:] > 0
    both, total = (predicted & truth).sum(axis=(1, 2)), predicted.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    return float((2 * both / np.maximum(total, 1))[truth.any(axis=(1, 2))].mean())


def test_training_learns_and_keeps_the_best_averaged_weights(tmp_path: Path) -> None:
    network = fit(tiny_settings(epochs=12), tmp_path / "one")
    validation = curve(tmp_path / "one", "val_lesion_dice")
    assert len(validation) == 12
    assert validation.max() > 0.5
    assert lesion_dice(network) == pytest.approx(validation.max(), abs=1e-4)
    assert len((tmp_path / "one.log").read_text().splitlines()) == 12


def test_without_validation_the_averaged_weights_of_the_last_epoch_are_kept_also_after_a_stop(
    tiny: TrainingSettings, tmp_path: Path
) -> None:
    whole = fit(tiny, tmp_path / "whole", validate=False)
    assert not list((tmp_path / "whole").rglob("val_*"))
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, tmp_path / "stopped", last_epoch=4, validate=False)
    resumed = fit(tiny, tmp_path / "stopped", validate=False)
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True))
    # Validation changes no weight, so that its last point is of the same network.
    fit(tiny, tmp_path / "validated")
    assert lesion_dice(whole) == pytest.approx(curve(tmp_path / "validated", "val_lesion_dice").iloc[-1], abs=1e-4)


@pytest.mark.long
def test_training_stops_early_where_nothing_gets_better_and_a_stopped_one_ends_as_if_it_had_not_been_stopped(
    tiny: TrainingSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = tiny.model_copy(update={"train": tiny.train.model_copy(update={"epochs": 200, "patience": 2})})
    whole = fit(patient, tmp_path / "whole")
    validation = curve(tmp_path / "whole", "val_lesion_dice")
    assert 4 < len(validation) < 200
    assert validation.argmax() == len(validation) - 1 - 2
    # The second time after the best epoch.
    for last_epoch in (2, len(validation) - 1):
        with pytest.raises(KeyboardInterrupt):
            fit(patient, tmp_path / "stopped", last_epoch=last_epoch)
    resumed = fit(patient, tmp_path / "stopped")
    assert f"going on after {len(validation) - 2} epochs" in capsys.readouterr().out
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True))
    for name in ("loss", "lesion_dice", "class_accuracy", "val_loss", "val_lesion_dice", "val_class_accuracy"):
        assert curve(tmp_path / "whole", name).equals(curve(tmp_path / "stopped", name))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_training_works_in_half_precision(tiny: TrainingSettings, tmp_path: Path, precision: str) -> None:
    short = tiny.model_copy(update={"train": tiny.train.model_copy(update={"epochs": 2})})
    try:
        network = fit(short, tmp_path / "one", Device("cpu", "test", 1, precision))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(curve(tmp_path / "one", "loss")).all()
    assert {network.get_layer(name).compute_dtype for name in network.output} == {"float32"}


@pytest.mark.long
def test_a_network_with_an_encoder_trains_and_its_file_gives_what_it_gave(
    tiny: TrainingSettings, tmp_path: Path
) -> None:
    encoded = tiny.model_copy(
        update={
            "network": tiny.network.model_copy(update={"encoder": "efficientnet-lite0", "decoder": (16, 8, 8, 4)}),
            "train": tiny.train.model_copy(update={"epochs": 1, "learning_rate": 0.001}),
        }
    )
    network = fit(encoded, tmp_path / "one")
    assert np.isfinite(curve(tmp_path / "one", "loss")).all()
    model_files.save(network, tmp_path / "one.keras")
    images = disks().images[:2, ..., None].astype(np.float32)
    stored = model_files.load(tmp_path / "one.keras")(images)
    assert all(np.allclose(stored[name], output, atol=1e-4) for name, output in network(images).items())


def test_the_loss_is_scaled_in_float16_alone(tiny: TrainingSettings) -> None:
    scaled = {precision: optimizer(tiny.train, 100, precision) for precision in ("float16", "bfloat16")}
    assert isinstance(scaled["float16"], keras.optimizers.LossScaleOptimizer)
    assert not isinstance(scaled["bfloat16"], keras.optimizers.LossScaleOptimizer)


def test_the_learning_rate_warms_up_and_falls_to_zero(tiny: TrainingSettings) -> None:
    rate = optimizer(tiny.train.model_copy(update={"warmup": 0.1}), 100, "float32")._learning_rate
    rates = [float(rate(step)) for step in range(101)]
    assert rates[0] == 0
    assert np.argmax(rates) == 10
    assert max(rates) == pytest.approx(0.01)
    assert rates[100] == pytest.approx(0, abs=1e-6)


def test_a_grid_that_cannot_be_halved_often_enough_is_refused(tiny: TrainingSettings) -> None:
    check_grid(32, tiny.network)
    with pytest.raises(UserError, match=r"prepare\.side: 34 must be a multiple of .* 4: network\.stem"):
        check_grid(34, tiny.network)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if device._gpus():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match=r"hardware\.device is gpu"):
        device.configure(Hardware(device="gpu", precision="auto", arithmetic="native"), 0)
