"""Synthetic breast ultrasound in the release layout: layers, lesions, sweeps, repeats and marks, all of them known.

The speckle comes from a field of point scatterers convolved with a modulated Gaussian pulse, its envelope and log
compression (Bamber & Dickinson, Phys. Med. Biol. 25, 1980); the tissue is a map of echogenicity in decibels. Lesions
follow the descriptors of BI-RADS: benign ones are smooth and wider than tall, malignant ones irregular, spiculated,
blurred, with a shadow. It looks like BUSI from a distance and is no substitute for it.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field as PydanticField

from breast_ultrasound.cases.classes import CLASSES
from breast_ultrasound.cases.raw import Case, image_file, mask_file, write_pictures
from breast_ultrasound.pipeline.arrays import Grey, Mask
from breast_ultrasound.pipeline.engine import map_on_all_cores
from breast_ultrasound.pipeline.params import Positive, Real, Section, Share

Field: TypeAlias = NDArray[np.floating]

# Shares of BUSI: 437, 210 and 133 of 780 images.
_CLASS_SHARES = (437 / 780, 210 / 780, 133 / 780)
_REPEATED_SHARE = 0.15
# Of the repeats of lesion frames, those filed under the other class.
_CONFLICT_SHARE = 0.12
_OTHER_LESION = {"benign": "malignant", "malignant": "benign"}
_MARKED_SHARE = 0.4
_TWO_LESIONS_SHARE = 0.06
# Of the frames of a class, those of sweeps, and how many frames a sweep has.
_SWEPT_SHARE = 0.12
_SWEEP_FRAMES = (3, 9)
# From a frame of a sweep to the next one, as shares of its width: how far the probe moves on, and slips along itself.
# The aligned detail of neighbours then correlates by 0.55 to 0.88; in a sweep of BUSI by 0.79 to 0.87.
_SWEEP_STEP = (0.005, 0.02)
_SWEEP_SLIP = 0.02
# Of the frames, those of a patient who has one already; of the repeats, those filed under another name.
_SEVERAL_FRAMES_SHARE = 0.2
_RENAMED_SHARE = 0.1

_FONT = cv2.FONT_HERSHEY_SIMPLEX

RepeatKind = Literal["", "exact", "crop", "rescale", "gain", "mirror", "marks"]
_REPEAT_KINDS: tuple[RepeatKind, ...] = ("exact", "crop", "rescale", "gain", "mirror", "marks")


class Scanner(Section):
    """What the probe and its settings do to the image."""

    gain: Real
    noise: Share
    depth: Positive
    sector: Annotated[Real, PydanticField(ge=0, le=120)]


LINEAR = Scanner(gain=0.0, noise=0.0, depth=1.0, sector=0.0)


@dataclass(frozen=True)
class Plan:
    """What one image is to show: its class and number, the frame that it repeats or its own, marks and patient.

    `sweep` is the frame with which the sweep of its frame begins, and `step` the place therein; a frame that is in none
    is the only one of its own.
    """

    cls: str
    number: int
    frame: int
    frame_cls: str
    repeat: RepeatKind
    marks: bool
    sweep: int
    step: int = 0
    patient: str = ""

    @property
    def id(self) -> str:
        """The file stem in the release layout."""
        return f"{self.cls} ({self.number})"


@dataclass(frozen=True)
class Picture:
    """A grey image uint8 [height, width] and one or more masks bool of its shape, empty where there is no lesion."""

    image: Grey
    masks: list[Mask]


class Slice(np.random.Generator):
    """Draws one section through a volume of tissue, `distance` on from its first one, as a share of the width.

    What it draws as any generator does, such as where layers lie and how the scanner is set, is that of the volume.
    Gaussian fields turn into others from one section to the next, the sooner the finer they are, as those of one field
    in space do; and `speckle` draws what no two frames share.
    """

    def __init__(self, volume: tuple[int, ...], distance: float = 0.0, frame: int = 0) -> None:
        super().__init__(np.random.PCG64(volume))
        # NumPy takes keys that differ by zeros at their end for the same.
        self._beyond = np.random.default_rng((*volume, 1))
        self.speckle = np.random.default_rng((*volume, 2, frame))
        self._distance = distance

    def field(self, shape: tuple[int, int], length: float) -> Field:
        """White noise of `shape`, alike in sections that are much nearer than `length`, a share of the width."""
        here = self.standard_normal(shape, dtype=np.float32)
        if not self._distance:
            return here
        angle = self._distance / length
        beyond = self._beyond.standard_normal(shape, dtype=np.float32)
        return np.float32(np.cos(angle)) * here + np.float32(np.sin(angle)) * beyond

    def trait(self) -> float:
        """A number of unit variance that shapes a lesion, and changes over its extent."""
        return float(self.field((1, 1), 0.15)[0, 0])


def write_phantom(folder: Path, images: int, seed: int, scanner: Scanner = LINEAR) -> list[Case]:
    """Draw the phantom data set, and write what was planted where to planted.csv."""
    plans = plan(images, seed)
    for cls in CLASSES:
        (folder / cls).mkdir()
    cases = []
    pictures = map_on_all_cores(lambda planned: draw(planned, seed, scanner), plans, "draw")
    for planned, picture in zip(plans, pictures, strict=True):
        masks = tuple(mask_file(folder, planned.cls, planned.id, number) for number in range(len(picture.masks)))
        cases.append(Case(planned.id, planned.cls, image_file(folder, planned.cls, planned.id), masks, planned.patient))
        write_pictures(cases[-1], picture.image, picture.masks)
    planted = pd.DataFrame([asdict(planned) | {"id": planned.id, "class": planned.cls} for planned in plans])
    planted[["id", "class", "patient", "sweep", "frame", "repeat", "marks"]].to_csv(folder / "planted.csv", index=False)
    return cases


def plan(images: int, seed: int) -> list[Plan]:
    """Plan a data set in the class shares of BUSI.

    15% repeat an earlier frame, some of these filed under another class; of the others 12% are frames of sweeps.
    """
    rng = np.random.default_rng((seed, 0))
    counts = np.round(np.array(_CLASS_SHARES) * images).astype(int)
    counts[0] += images - counts.sum()
    classes = rng.permutation(np.repeat(CLASSES, counts)).tolist()
    plans: list[Plan] = []
    numbers = dict.fromkeys(CLASSES, 0)
    for frame, cls in enumerate(classes):
        numbers[cls] += 1
        marks = bool(rng.random() < _MARKED_SHARE)
        source_cls = _OTHER_LESION.get(cls, cls) if rng.random() < _CONFLICT_SHARE else cls
        originals = [known for known in plans if not known.repeat and known.frame_cls == source_cls]
        if originals and rng.random() < _REPEATED_SHARE:
            source = originals[rng.integers(len(originals))]
            kind = _REPEAT_KINDS[rng.integers(len(_REPEAT_KINDS))]
            marks = {"exact": source.marks, "marks": not source.marks}.get(kind, marks)
            plans.append(Plan(cls, numbers[cls], source.frame, source.frame_cls, kind, marks, source.frame))
        else:
            plans.append(Plan(cls, numbers[cls], frame, cls, "", marks, frame))
    plans = _with_patients(_with_sweeps(plans, seed), seed)
    return sorted(plans, key=lambda known: (known.cls, known.number))


def _with_sweeps(plans: list[Plan], seed: int) -> list[Plan]:
    """The same plans with some frames of each class made those of sweeps, as many as its share allows."""
    rng = np.random.default_rng((seed, 5))
    places = {planned.frame: (planned.sweep, planned.step) for planned in plans}
    for cls in CLASSES:
        frames = rng.permutation([planned.frame for planned in plans if planned.cls == cls and not planned.repeat])
        swept = round(_SWEPT_SHARE * len(frames))
        while swept >= _SWEEP_FRAMES[0]:
            length = rng.integers(_SWEEP_FRAMES[0], min(_SWEEP_FRAMES[1], swept) + 1)
            sweep, frames = frames[:length].tolist(), frames[length:]
            places |= {frame: (sweep[0], step) for step, frame in enumerate(sweep)}
            swept -= length
    return [replace(known, sweep=places[known.frame][0], step=places[known.frame][1]) for known in plans]


def _with_patients(plans: list[Plan], seed: int) -> list[Plan]:
    """The same plans with patients: some have several frames, and some repeats are filed under another patient."""
    rng = np.random.default_rng((seed, 4))
    patient_of: dict[int, int] = {}
    named = []
    for number, planned in enumerate(plans):
        if planned.sweep not in patient_of:
            again = bool(patient_of) and rng.random() < _SEVERAL_FRAMES_SHARE
            patient_of[planned.sweep] = int(rng.choice(list(patient_of.values()))) if again else number
        renamed = bool(planned.repeat) and rng.random() < _RENAMED_SHARE
        named.append(replace(planned, patient=f"P{number if renamed else patient_of[planned.sweep]:04}"))
    return named


def draw(planned: Plan, seed: int, scanner: Scanner = LINEAR) -> Picture:
    """Draw one planned image; the same plan and seed give the same pixels, whatever was drawn before."""
    on, slip = _probe_path((seed, 6, planned.sweep))
    place = Slice((seed, 1, planned.sweep), on[planned.step], planned.frame)
    picture = draw_frame(planned.frame_cls, place, scanner, slip[planned.step])
    # An exact repeat carries the marks of its source, every other image its own.
    own = planned.repeat not in ("", "exact")
    key = (seed, 3, CLASSES.index(planned.cls), planned.number) if own else (seed, 2, planned.frame)
    rng = np.random.default_rng(key)
    picture = repeat(picture, planned.repeat, rng)
    return Picture(draw_marks(picture, rng), picture.masks) if planned.marks else picture


def draw_frame(cls: str, rng: Slice, scanner: Scanner = LINEAR, slip: float = 0.0) -> Picture:
    """Draw a new frame of a class, of a random size from about 300 to 700 pixels.

    The probe lies `slip` further along itself, as a share of the width, than where the lesions were placed.
    """
    height = int(rng.integers(300, 560))
    width = int(height * rng.uniform(1.05, 1.45))
    tissue, echo = _tissue(height, width, scanner.depth, rng)
    masks = []
    if cls != "normal":
        for _ in range(2 if rng.random() < _TWO_LESIONS_SHARE else 1):
            mask = _add_lesion(echo, tissue, cls, masks, rng)
            masks.append(mask)
    masks = [_slipped(mask.astype(np.uint8), slip) > 0 for mask in masks] or [np.zeros((height, width), bool)]
    picture = Picture(_scan_image(_slipped(echo, slip), scanner, rng), masks)
    return _fan_out(picture, np.radians(scanner.sector / 2)) if scanner.sector else picture


# ── sweeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _probe_path(key: tuple[int, ...]) -> tuple[Field, Field]:
    """Where the frames of a sweep lie: how far on, and how far along the probe, as shares of the width."""
    rng = np.random.default_rng(key)
    on, slip = rng.uniform(*_SWEEP_STEP, _SWEEP_FRAMES[1]), rng.uniform(-_SWEEP_SLIP, _SWEEP_SLIP, _SWEEP_FRAMES[1])
    return np.cumsum(on) - on[0], np.cumsum(slip) - slip[0]


def _slipped(pixels: NDArray[Any], slip: float) -> NDArray[Any]:
    """Move [height, width] to the left by a share of its width, mirrored where it ends."""
    height, width = pixels.shape
    shift = np.array([[1, 0, -slip * width], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(pixels, shift, (width, height), borderMode=cv2.BORDER_REFLECT), pixels.dtype)


# ── tissue ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _smooth_noise(shape: tuple[int, int], sigma_y: float, sigma_x: float, rng: Slice) -> Field:
    """Gaussian noise of unit variance with the given correlation lengths in pixels, drawn on a coarser grid."""
    step_y, step_x = max(1, int(sigma_y / 2)), max(1, int(sigma_x / 2))
    coarse = (shape[0] // step_y + 2, shape[1] // step_x + 2)
    noise = rng.field(coarse, sigma_x / shape[1])
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_x / step_x, sigmaY=sigma_y / step_y, borderType=cv2.BORDER_REFLECT)
    noise = cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def _profile(width: int, sigma: float, rng: Slice) -> Field:
    """A smooth random curve of unit variance over the columns, float32 [width]."""
    return _smooth_noise((8, width), 8, sigma, rng)[4]


def _tissue(height: int, width: int, depth: float, rng: Slice) -> tuple[tuple[Field, Field], Field]:
    """The upper and lower bound of the gland, in rows of each column, and the echogenicity in dB [height, width]."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    tilt = np.linspace(-1, 1, width, dtype=np.float32) * rng.uniform(-0.04, 0.04) * height
    skin = height * rng.uniform(0.015, 0.045) + 0.006 * height * _profile(width, width / 5, rng)
    fat = height * rng.uniform(0.15, 0.32) + tilt + 0.03 * height * _profile(width, width / 8, rng)
    gland = height * rng.uniform(0.6, 0.95) + tilt + 0.02 * height * _profile(width, width / 6, rng)
    # Fibres run along the layers: sample a long-grained noise at heights that follow their bounds.
    wave = (tilt + 0.02 * height * _profile(width, width / 7, rng)).astype(np.float32)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))

    def along_layers(noise: Field) -> Field:
        moved = cv2.remap(noise, columns, rows - wave[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.float32)

    shape = (height, width)
    fine = _smooth_noise(shape, height / rng.uniform(250, 350), width / rng.uniform(18, 45), rng)
    fibres = along_layers(0.8 * fine + 0.6 * _smooth_noise(shape, height / 110, width / rng.uniform(12, 30), rng))
    clumps = along_layers(_smooth_noise(shape, height / rng.uniform(28, 60), width / rng.uniform(16, 32), rng))
    septa = np.maximum(along_layers(_septa(shape, rng)), _septa(shape, rng))
    sharp = 1.5
    in_fat = _step(rows - skin[None], sharp) * _step(fat[None] - rows, sharp)
    in_gland = _step(rows - fat[None], 3) * _step(gland[None] - rows, sharp)
    in_muscle = _step(rows - gland[None], sharp)
    density = rng.uniform(-3, 4)
    echo = np.full(shape, -4, np.float32)
    echo += in_fat * (rng.uniform(-12, -6) + 2.5 * clumps + 2 * np.maximum(fibres, 0) + 13 * septa)
    echo += in_gland * (-2 + density + rng.uniform(1, 3.5) * clumps + 3.5 * np.maximum(fibres, -1) + 8 * septa)
    echo += in_muscle * (rng.uniform(-12, -5) + 2 * clumps + 6 * np.maximum(fibres, -0.7) + 6 * septa)
    for bound, strength in ((skin, rng.uniform(3, 8)), (fat, rng.uniform(0, 7)), (gland, rng.uniform(3, 10))):
        echo += strength * np.exp(-(((rows - bound[None]) / (height / 180)) ** 2))
    echo += _lobules(shape, fat, gland, rng)
    attenuation = depth * rng.uniform(8, 26) * np.maximum(rows / height - 0.35, 0) / 0.65
    echo -= attenuation * (1 + 0.25 * _profile(width, width / 6, rng))[None]
    echo -= _column_shadows(shape, fat, rng)
    return (fat, gland), echo


def _step(distance: Field, softness: float) -> Field:
    """0 on the negative side and 1 on the positive one, over a few pixels."""
    return np.clip(distance / softness + 0.5, 0, 1).astype(np.float32)


def _septa(shape: tuple[int, int], rng: Slice) -> Field:
    """Thin bright curves, 0 to 1: where a smooth field passes through zero, stretched along the layers."""
    height, width = shape
    field = _smooth_noise(shape, height / rng.uniform(22, 40), width / rng.uniform(8, 14), rng)
    field += 0.1 * _smooth_noise(shape, height / 60, width / 40, rng)
    slope_y, slope_x = np.gradient(field)
    slope = np.hypot(slope_y, slope_x) + 1e-3
    present = np.clip(0.3 + _smooth_noise(shape, height / 30, width / 18, rng), 0, 1)
    return np.exp(-((field / slope / rng.uniform(1.0, 1.8)) ** 2)) * present


def _lobules(shape: tuple[int, int], fat: Field, gland: Field, rng: Slice) -> Field:
    """Fat lobules inside the gland, dark and oval like a lesion, but faint and without a clear bound."""
    height, width = shape
    echo = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 5)):
        column = int(rng.uniform(0.05, 0.95) * width)
        row = rng.uniform(fat[column], gland[column])
        axes = (width * rng.uniform(0.03, 0.09), height * rng.uniform(0.015, 0.035))
        blob = np.zeros(shape, np.float32)
        cv2.ellipse(blob, ((column, row), (2 * axes[0], 2 * axes[1]), rng.uniform(-12, 12)), 1.0, -1)
        echo -= rng.uniform(3, 7) * cv2.GaussianBlur(blob, (0, 0), height / 90)
    return echo


def _column_shadows(shape: tuple[int, int], fat: Field, rng: Slice) -> Field:
    """Loss in dB below ligaments and bad contact: dark columns without a lesion on top."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    loss = np.zeros(shape, np.float32)
    for _ in range(rng.integers(0, 4)):
        centre, spread = rng.uniform(0, width), width * rng.uniform(0.015, 0.07)
        start = fat[int(centre)] * rng.uniform(0.3, 1.6)
        lean = rng.uniform(-0.08, 0.08) * (rows - start)
        loss += (
            rng.uniform(4, 14) * np.exp(-(((columns - centre - lean) / spread) ** 2)) * _step(rows - start, height / 12)
        )
    return loss


# ── lesions ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_lesion(echo: Field, gland: tuple[Field, Field], cls: str, others: list[Mask], rng: Slice) -> Mask:
    """Change the echogenicity where a new lesion lies, clear of the others, and return its mask."""
    height, width = echo.shape
    malignant = cls == "malignant"
    mask = np.zeros(echo.shape, bool)
    for _ in range(20):
        column = rng.uniform(0.2, 0.8) * width
        top, bottom = gland[0][int(column)], gland[1][int(column)]
        row = top + rng.uniform(0.15, 0.75) * (bottom - top)
        radius = height * (0.155 if malignant else 0.115) * np.exp(0.4 * rng.trait())
        radius = float(np.clip(radius, 0.04 * height, 0.3 * height))
        aspect = rng.uniform(0.75, 1.4) if malignant else rng.uniform(1.25, 2.1)
        mask = _outline(echo.shape, (column, row), radius, aspect, malignant, rng)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if not any((near & other).any() for other in others):
            break
    _paint_lesion(echo, mask, malignant, rng)
    return mask


def _outline(
    shape: tuple[int, ...],
    centre: tuple[float, float],
    radius: float,
    aspect: float,
    malignant: bool,
    rng: Slice,
) -> Mask:
    """A closed curve given by its radius over the angle: an ellipse with harmonics and, if malignant, spicules."""
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    harmonics = range(2, 14) if malignant else range(2, 5)
    roughness = rng.uniform(0.15, 0.3) if malignant else rng.uniform(0.01, 0.06)
    ripple = sum(rng.trait() / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in harmonics)
    length = np.exp(roughness * ripple)
    for _ in range(rng.integers(2, 7) if malignant else 0):
        away = np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi))))
        length = length + rng.uniform(0.12, 0.45) * np.exp(-((away / rng.uniform(0.06, 0.16)) ** 2))
    x, y = np.sqrt(aspect) * length * np.cos(angle), length / np.sqrt(aspect) * np.sin(angle)
    tilt = np.radians(rng.uniform(-20, 20) if malignant else rng.uniform(-10, 10))
    points = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=-1)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(points * radius + centre).astype(np.int32)], 1)
    return mask > 0


def _paint_lesion(echo: Field, mask: Mask, malignant: bool, rng: Slice) -> None:
    height = echo.shape[0]
    blur = height * (rng.uniform(0.005, 0.013) if malignant else rng.uniform(0.0015, 0.004))
    inside = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur)
    cyst = not malignant and rng.random() < 0.4
    grain = _smooth_noise((height, echo.shape[1]), height / 50, height / 45, rng)
    level = -27 + grain if cyst else -13 + (3.5 if malignant else 1.5) * grain
    depth = echo[mask].mean() * 0.35
    echo += inside * (level + depth + rng.uniform(-3, 3) - echo)
    rim = np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), height / 45) - inside, 0, 1)
    echo += rim * (rng.uniform(2, 9) if malignant else rng.uniform(0, 5))
    if malignant and rng.random() < 0.8:
        transmission = -rng.uniform(5, 20)
    else:
        transmission = rng.uniform(4, 10) if cyst else rng.uniform(-2, 5)
    echo += _behind(mask) * (1 - inside) * transmission


def _behind(mask: Mask) -> Field:
    """The columns below a lesion, 0 to 1, fading to their sides and with depth."""
    height, width = mask.shape
    columns = np.flatnonzero(mask.any(axis=0))
    last = height - 1 - np.argmax(mask[::-1], axis=0)
    below = np.zeros(mask.shape, np.float32)
    for column in columns:
        below[last[column] :, column] = 1
    half = max(1.0, len(columns) / 2)
    lateral = np.clip(1 - ((np.arange(width) - columns.mean()) / half) ** 2, 0, 1).astype(np.float32) ** 0.5
    fade = np.exp(-np.maximum(np.arange(height) - last[columns].mean(), 0) / (0.45 * height)).astype(np.float32)
    return cv2.GaussianBlur(below * lateral[None] * fade[:, None], (0, 0), height / 100)


# ── scanner ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _scan_image(echo: Field, scanner: Scanner, rng: Slice) -> Grey:
    """Speckle, log compression and the scanner's grey curve: dB to uint8 [height, width]."""
    height, width = echo.shape
    axial, lateral = height / 480 * rng.uniform(0.8, 1.3), width / 600 * rng.uniform(1.3, 2.2)
    # The carrier has about a quarter of a period a pixel; demodulated, only its envelope is left.
    carrier = np.exp(-2j * np.pi * 0.25 * np.arange(height))[:, None].astype(np.complex64)
    amplitude = 10 ** (echo / 20)
    power = np.zeros(echo.shape, np.float32)
    # Modern scanners compound several looks, which calms the speckle.
    looks = int(rng.integers(2, 5))
    for _ in range(looks):
        scattered = amplitude * rng.speckle.standard_normal(echo.shape, dtype=np.float32) * carrier
        real, imaginary = (
            cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), lateral, sigmaY=axial)
            for part in (scattered.real, scattered.imag)
        )
        power += (real**2 + imaginary**2) / looks
    decibel = 10 * np.log10(power + 1e-9)
    decibel = cv2.GaussianBlur(decibel, (0, 0), height / 480 * rng.uniform(0.6, 1.0))
    white = np.percentile(decibel, 99.5)
    span = rng.uniform(34, 46)
    grey = np.clip((decibel + scanner.gain - white + span) / span, 0, 1) ** rng.uniform(1.0, 1.6)
    if scanner.noise:
        # Of the electronics, so that it grows with the amplification of the depth.
        deep = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        grey = np.clip(grey + scanner.noise * deep * rng.speckle.standard_normal(grey.shape, dtype=np.float32), 0, 1)
    return np.round(255 * grey).astype(np.uint8)


def _fan_out(picture: Picture, half: float) -> Picture:
    """The picture as a curved probe shows it, its columns spread over twice the angle `half`, on a canvas as large."""
    height, width = picture.image.shape
    radius = max(0.05 * height, width / (2 * np.sin(half)) - height)
    # Nothing of the sector is cut off: the ends of the probe lie at the upper edge, its middle below.
    scale = height / (radius * (1 - np.cos(half)) + height)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across, along = (x - width / 2) / scale, y / scale + radius * np.cos(half)
    column = (np.arctan2(across, along) / half + 1) / 2 * (width - 1)
    row = np.hypot(across, along) - radius

    def mapped(pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
        moved = cv2.remap(pixels, column.astype(np.float32), row.astype(np.float32), interpolation)
        return np.asarray(moved, np.uint8)

    masks = [mapped(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0 for mask in picture.masks]
    return Picture(mapped(picture.image, cv2.INTER_LINEAR), masks)


# ── repeats and marks ────────────────────────────────────────────────────────────────────────────────────────────────


def repeat(picture: Picture, kind: RepeatKind, rng: np.random.Generator) -> Picture:
    """The same frame exported once more: cropped, rescaled, with other gain, or mirrored."""
    height, width = picture.image.shape
    match kind:
        case "crop":
            share = rng.uniform(0.80, 0.94, 2)
            rows, columns = int(height * share[0]), int(width * share[1])
            union = np.logical_or.reduce(picture.masks)
            window = _window(union, rows, columns, rng)
            return Picture(picture.image[window].copy(), [mask[window].copy() for mask in picture.masks])
        case "rescale":
            size = (int(width * rng.uniform(0.75, 1.2)), int(height * rng.uniform(0.75, 1.2)))
            image = np.asarray(cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA), np.uint8)
            masks = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for m in picture.masks]
            return Picture(image, masks)
        case "gain":
            grey = np.clip(picture.image / 255 * rng.uniform(0.8, 1.25), 0, 1) ** rng.uniform(0.75, 1.3)
            return Picture(np.round(255 * grey).astype(np.uint8), picture.masks)
        case "mirror":
            return Picture(picture.image[:, ::-1].copy(), [mask[:, ::-1].copy() for mask in picture.masks])
        case _:
            return picture


def _window(mask: Mask, rows: int, columns: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A random window of rows×columns; of 20 drawn the one that cuts off least of the mask."""
    height, width = mask.shape
    corners = [(int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))) for _ in range(20)]
    top, left = max(corners, key=lambda c: mask[c[0] : c[0] + rows, c[1] : c[1] + columns].sum())
    return slice(top, top + rows), slice(left, left + columns)


def draw_marks(picture: Picture, rng: np.random.Generator) -> Grey:
    """Burn calipers across each lesion, or a label, or both into the image, in one bright grey."""
    image = picture.image.copy()
    grey = int(rng.integers(215, 256))
    lesions = [mask for mask in picture.masks if mask.any()]
    calipers = bool(lesions) and rng.random() < 0.7
    for mask in lesions if calipers else []:
        rows, columns = np.nonzero(mask)
        middle = int(np.median(rows)), int(np.median(columns))
        _draw_caliper(image, (int(columns.min()), middle[0]), (int(columns.max()), middle[0]), "1", grey)
        if rng.random() < 0.6:
            _draw_caliper(image, (middle[1], int(rows.min())), (middle[1], int(rows.max())), "2", grey)
    if not calipers or rng.random() < 0.4:
        side, place = rng.choice(["RT", "LT", "R", "L"]), rng.choice(["BREAST", "AXILLA", "UOQ", "3 O'CLOCK", "LIQ"])
        origin = int(rng.uniform(0.01, 0.5) * image.shape[1]), int(rng.uniform(0.85, 0.97) * image.shape[0])
        cv2.putText(image, f"{side} {place}", origin, _FONT, rng.uniform(0.45, 0.6), grey, 2)
    return image


def _draw_caliper(image: Grey, start: tuple[int, int], end: tuple[int, int], number: str, grey: int) -> None:
    """A dotted line between two crosses, and a number."""
    length = int(np.hypot(end[0] - start[0], end[1] - start[1]))
    for t in np.linspace(0, 1, max(2, length // 5)):
        x, y = round(start[0] + t * (end[0] - start[0])), round(start[1] + t * (end[1] - start[1]))
        image[y : y + 2, x : x + 2] = grey
    for point in (start, end):
        cv2.drawMarker(image, point, grey, cv2.MARKER_CROSS, 12, 2)
    cv2.putText(image, number, (end[0] + 5, end[1] + 13), _FONT, 0.45, grey, 2)
