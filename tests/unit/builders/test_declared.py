"""What a build made is held against its spec, whatever the names and capabilities of its files are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from elpack.builders import BuildJob
from elpack.builders.declared import check_declared, declared
from elpack.errors import BuildError
from elpack.run import Command, Completed

_PARTS = "\x1e".join(("toy", "0:1-1", *("" for _ in range(15)), ""))


def refused(*lines: str) -> list[str]:
    """Return why a package with these files is refused."""
    package = f"\x1d{_PARTS}"
    text = package + "\x1f" + package + "\x1f" + "".join(f"{line}\n" for line in lines)

    def runner(command: Command) -> Completed:
        return Completed(command, 0, text, "", 0.0)

    spec = Path(__file__)
    job = BuildJob("toy-1-1", spec, (), (), Path("log"))
    with pytest.raises(BuildError) as caught:
        check_declared(job, declared(package + package), (spec, spec), runner)
    return [problem.what for problem in caught.value.problems if "source package" not in problem.what]


def test_files_that_give_nobody_rights() -> None:
    assert (
        refused("-rw-r--r-- ab  /usr/a b", "lrwxrwxrwx   /usr/b", "drwxr-xr-x   /usr/c", "-rw-r--r-- ab  /u\u2028v")
        == []
    )


@pytest.mark.parametrize(
    "line",
    [
        "-rwsr-xr-x ab  /usr/a",
        "-rwxr-xr-x ab cap_setuid=ep /usr/a",
        "-rwxr-xr-x ab = cap_setuid+ep /usr/a",
        "-rwxr-xr-x ab = /usr/b cap_setuid+ep\nno line",
        "crw-r--r--   /usr/a",
        "odd",
    ],
)
def test_rights_cannot_hide(line: str) -> None:
    assert len(refused(line)) == 1
