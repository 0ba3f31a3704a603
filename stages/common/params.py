"""params.yaml as frozen, checked values."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stages.common import paths
from stages.common.errors import UserError


def _number_from_text(value: Any) -> Any:
    # DVC writes 0.00001 as 1e-05, which YAML 1.1 reads as text.
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Real = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Share = Annotated[Real, Field(ge=0, lt=1)]
Positive = Annotated[Real, Field(gt=0)]
NotNegative = Annotated[Real, Field(ge=0)]


class Section(BaseModel):
    """A group of keys: immutable, no key unknown, no type converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Section):
    """Where the images come from."""

    source: Literal["phantom", "busi", "custom"]
    archive: Annotated[str, Field(min_length=1)] | None
    max_gib: Positive
    phantom_images: Annotated[int, Field(ge=20)]

    @model_validator(mode="after")
    def _check_archive(self) -> "Data":
        if self.source == "custom" and self.archive is None:
            raise ValueError("archive: source custom needs the path of a zip or folder")
        if self.source == "phantom" and self.archive is not None:
            raise ValueError("archive: source phantom takes none; set source to busi or custom, or archive to null")
        return self


class Prepare(Section):
    """The square grid."""

    size: Annotated[int, Field(ge=16, le=2048)]


class Audit(Section):
    """Repeated frames."""

    similarity: Annotated[Real, Field(gt=0, le=1)]
    weak_similarity: Annotated[Real, Field(gt=0, le=1)]
    conflicts: Literal["keep", "drop"]
    repeats: Literal["group", "one_per_group"]

    @model_validator(mode="after")
    def _check_order(self) -> "Audit":
        if self.weak_similarity > self.similarity:
            raise ValueError(f"weak_similarity: {self.weak_similarity} is above similarity, {self.similarity}")
        return self


class Split(Section):
    """Folds."""

    folds: Annotated[int, Field(ge=3)]
    run: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _check_run(self) -> "Split":
        if len(set(self.run)) < len(self.run) or not set(self.run) <= set(range(self.folds)):
            raise ValueError(f"run: {list(self.run)} must name different folds, each from 0 to {self.folds - 1}")
        return self


class Network(Section):
    """Shape of the attention U-Net."""

    stem: Literal[1, 2, 4]
    width: Annotated[int, Field(ge=1, le=512)]
    depth: Annotated[int, Field(ge=2, le=7)]
    dropout: Share

    @property
    def stride(self) -> int:
        """The number of pixels that the side of the grid has to be a multiple of."""
        return self.stem * 2 ** (self.depth - 1)


class Augment(Section):
    """Largest random change of each kind."""

    flip: Annotated[Real, Field(ge=0, le=1)]
    rotate: Annotated[Real, Field(ge=0, le=180)]
    scale: Share
    stretch: Share
    shift: Share
    gamma: NotNegative
    contrast: Share
    speckle: NotNegative


class Train(Section):
    """Training."""

    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "bfloat16", "float16", "float32"]
    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Positive
    warmup: Share
    weight_decay: NotNegative
    clip_norm: Positive
    ema: Share
    patience: Annotated[int, Field(ge=1)]


class Predict(Section):
    """Inference."""

    mirror: bool


def _off_first(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if values[0]:
        raise ValueError("the first value must be the one that switches the step off")
    return values


Between = Annotated[Real, Field(gt=0, lt=1)]
Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1), AfterValidator(_off_first)]
Switch = Annotated[tuple[bool, ...], Field(strict=False, min_length=1), AfterValidator(_off_first)]


class Postprocess(Section):
    """Values tried for each step from a probability to a mask, in the order of the steps."""

    smooth: Shares
    threshold: Annotated[tuple[Between, ...], Field(strict=False, min_length=1)]
    peak: Shares
    opening: Shares
    closing: Shares
    fill_holes: Switch
    part_area: Shares
    largest_only: Switch
    evidence: Shares


class Evaluate(Section):
    """Fitting and intervals."""

    least_gain: NotNegative
    draws: Annotated[int, Field(ge=100)]
    confidence: Between


class Params(Section):
    """All of params.yaml; each key is explained there."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    prepare: Prepare
    audit: Audit
    split: Split
    network: Network
    augment: Augment
    train: Train
    predict: Predict
    postprocess: Postprocess
    evaluate: Evaluate

    @model_validator(mode="after")
    def _check_size(self) -> "Params":
        if self.prepare.size % self.network.stride:
            raise ValueError(
                f"prepare.size: {self.prepare.size} must be a multiple of network.stem · 2^(network.depth - 1) "
                f"= {self.network.stride}"
            )
        return self


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check a params file; UserError names the file, each bad key, its value and what is allowed."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path.resolve()}: not found. Run this in the root of the repository.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = [_problem(part["loc"], part["msg"], part["input"]) for part in error.errors()]
        raise UserError("\n".join(f"{path}: {problem}" for problem in problems)) from error


def _problem(location: tuple[int | str, ...], message: str, value: Any) -> str:
    key = ".".join(str(part) for part in location) or "the file"
    # A check over several keys names its own key and value.
    shown = "" if isinstance(value, dict) else f" is {value!r}"
    return f"{key}{shown}: {message.removeprefix('Value error, ')}"
