from collections.abc import Iterator

import pytest

from breast_ultrasound.pipeline.errors import UserError, command


@pytest.mark.parametrize(("stopped_by", "ends_with"), [(KeyboardInterrupt, KeyboardInterrupt), (UserError, SystemExit)])
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
        found = results()
        for _ in found:
            raise stopped_by

    with pytest.raises(ends_with) as told:
        main()
    assert closed
    assert told.traceback
