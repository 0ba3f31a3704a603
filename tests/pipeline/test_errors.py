from collections.abc import Iterator

import pytest

from breast_ultrasound.pipeline.errors import UserError, command


@pytest.mark.parametrize(
    ("stopped_by", "ends_with"),
    [(KeyboardInterrupt, KeyboardInterrupt), (UserError, SystemExit), (FileNotFoundError, SystemExit)],
)
def test_what_a_command_was_iterating_over_is_closed_where_it_stops(
    stopped_by: type[BaseException], ends_with: type[BaseException]
) -> None:
    closed = []

    def results() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    @command
    def main() -> None:
        waiting = results()
        for _ in waiting:
            raise stopped_by

    with pytest.raises(ends_with) as stopped:
        main()
    assert closed
    assert stopped.traceback


def test_a_mistake_of_the_user_ends_with_its_message_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main() -> None:
        raise UserError("params.yaml: seed is -1")

    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == "error: params.yaml: seed is -1"
    assert capsys.readouterr().err == ""


def test_a_fault_of_the_program_keeps_the_locals_of_its_frames_for_a_debugger() -> None:
    @command
    def main() -> None:
        size = 0
        print(1 / size)

    with pytest.raises(ZeroDivisionError) as stopped:
        main()
    assert stopped.traceback[-1].locals == {"size": 0}
