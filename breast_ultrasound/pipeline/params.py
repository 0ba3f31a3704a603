"""params.yaml as frozen, checked values.

The stage or the room that reads a section declares it as a subclass of `Section`, and each stage declares all that it
reads as a `Section` with these as its fields. So a new key changes the code of its readers alone.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from breast_ultrasound.pipeline.errors import UserError

PARAMS = Path("params.yaml")

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A group of keys: immutable, with no other keys, and with no type converted.

    A reader that needs a few keys of a section alone declares a class of these with `extra="ignore"`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _number_from_text(value: Any) -> Any:
    # DVC writes 0.00001 as 1e-05, which YAML 1.1 reads as text.
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def no_switch(value: Any) -> Any:
    """Refuse true and false where a number is meant, of which Python takes them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


def off_first(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse candidate values whose first one does not switch the step off."""
    if values[0]:
        raise ValueError("the first value must be the one that switches the step off")
    return values


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Real = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Share = Annotated[Real, Field(ge=0, lt=1)]
Gib = Annotated[Real, Field(gt=0, le=1_000_000)]
Between = Annotated[Real, Field(gt=0, lt=1)]
Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1, max_length=100), AfterValidator(off_first)]
Switch = Annotated[tuple[bool, ...], Field(strict=False, min_length=1, max_length=2), AfterValidator(off_first)]


def load(reads: type[S], path: Path = PARAMS) -> S:
    """Read the sections and keys that `reads` declares from a params file, and check them.

    UserError names the file, each bad key, its value and what is allowed.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path.resolve()}: not found. Run this in the root of the repository.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if isinstance(values, dict):
        values = {name: value for name, value in values.items() if name in reads.model_fields}
    try:
        return reads.model_validate(values)
    except ValidationError as error:
        problems = [_problem(part["loc"], part["msg"], part["input"]) for part in error.errors()]
        raise UserError("\n".join(f"{path}: {problem}" for problem in problems)) from error


def _problem(location: tuple[int | str, ...], message: str, value: Any) -> str:
    key, message = ".".join(str(part) for part in location), message.removeprefix("Value error, ")
    # A check over several keys names its own key and value, one over several sections its sections as well.
    if isinstance(value, dict):
        return f"{key}: {message}" if key else message
    return f"{key or 'the file'} is {value!r}: {message}"
