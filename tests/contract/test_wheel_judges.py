"""The field's own judges, asked for real: auditwheel, abi3audit and twine say what elpack takes them to say."""

from __future__ import annotations

import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_archives_wheel import INFO, METADATA, make_wheel
from typer.testing import CliRunner

from elpack.archives.rewheel import rewheel
from elpack.cli import app
from elpack.errors import WheelError
from elpack.run import run
from elpack.steps.wheels.judge import Bench, approve, found_in, refuse
from elpack.steps.wheels.judges import Judges, policies
from elpack.wheels.judgement import NOT_BINARY, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.wheels.judgement import Judgement

DESCRIBED = METADATA + b"Description-Content-Type: text/markdown\n\n# Demo\n"
MODULE = """
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdlib.h>
#include <math.h>
PyMODINIT_FUNC PyInit__x(void) { return PyLong_FromDouble(exp(strtod(getenv("X"), 0))); }
"""


@pytest.fixture
def wheel(tmp_path: Path, needs: Callable[..., None]) -> Callable[..., Path]:
    """Return a function that makes a wheel of a tag with an extension module of this machine."""
    needs("gcc")

    def do(tag: str, name: str = "_x.abi3.so", source: str = MODULE, metadata: bytes = DESCRIBED) -> Path:
        (tmp_path / "x.c").write_text(source)
        out = tmp_path / "x.so"
        include = sysconfig.get_path("include")
        subprocess.run(["gcc", "-shared", "-fPIC", f"-I{include}", "-o", out, tmp_path / "x.c", "-lm"], check=True)
        said = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
        files = {f"demo/{name}": out.read_bytes(), f"{INFO}/METADATA": metadata, f"{INFO}/WHEEL": said}
        return make_wheel(tmp_path, files, name=f"demo-1.0-{tag}.whl")

    return do


def judged(path: Path) -> Judgement:
    (one,) = Bench(Judges(run), policies()).judge([path])
    return one


def rules(one: Judgement) -> set[str]:
    return {finding.rule for finding in one.findings if finding.problem in one.problems}


def test_a_tag_that_the_code_does_not_deserve_is_refused(wheel: Callable[..., Path]) -> None:
    one = judged(wheel("cp311-abi3-manylinux_2_5_x86_64"))
    assert rules(one) == {"symbols"}
    assert "which manylinux_2_5 (EL 5) does not have" in str(one.problems[0])
    assert one.audit["overall_tag"] == one.checks["auditwheel"] != "manylinux_2_5_x86_64"
    assert one.deserved == f"cp311-abi3-{one.audit['overall_tag']}"
    with pytest.raises(WheelError, match=r"does not have"):
        refuse([one])
    again = judged(wheel(one.deserved))
    assert (again.verdict, again.checks["abi3audit"], again.checks["twine"]) == (Verdict.PASSED, "passed", "passed")


def test_a_build_hands_over_no_wheel_that_is_refused(wheel: Callable[..., Path]) -> None:
    def made(tag: str) -> Path:
        path = wheel(tag)
        rewheel(path)
        return path

    with pytest.raises(WheelError, match=r"manylinux_2_5 \(EL 5\) does not have"):
        approve(made("cp311-abi3-manylinux_2_5_x86_64"), Judges(run), policies())
    approve(made("cp311-abi3-manylinux_2_34_x86_64"), Judges(run), policies())


def test_what_is_not_in_the_stable_abi(wheel: Callable[..., Path]) -> None:
    source = (
        MODULE.replace("PyLong_FromDouble(", "(PyObject *)_PyLong_Copy((PyLongObject *)PyLong_FromDouble(")
        .replace("0)));", "0))));")
        .replace("0x030b0000", "0x030b0000\n#undef Py_LIMITED_API")
    )
    one = judged(wheel("cp311-abi3-manylinux_2_39_x86_64", source=source))
    assert rules(one) == {"abi3"}
    assert "_PyLong_Copy, which the stable ABI does not have" in str(one.problems[0])


def test_a_wheel_under_another_architecture_s_name(wheel: Callable[..., Path]) -> None:
    one = judged(wheel("cp311-abi3-manylinux_2_39_aarch64"))
    assert rules(one) == {"machine"}
    assert one.checks["auditwheel"] == "refused"


def test_twine_is_strict(wheel: Callable[..., Path]) -> None:
    one = judged(wheel("cp311-abi3-manylinux_2_39_x86_64", metadata=METADATA))
    assert rules(one) == {"twine"}
    assert "long_description" in str(one.problems[0])


def test_a_pure_one_is_told_in_these_words_and_exit_codes_are_right(tmp_path: Path, wheel: Callable[..., Path]) -> None:
    said = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {"demo/__init__.py": b"", f"{INFO}/METADATA": DESCRIBED, f"{INFO}/WHEEL": said}
    pure = make_wheel(tmp_path, files)
    done = CliRunner().invoke(app, ["wheel", "verify", str(pure), "--file", str(tmp_path / "elpack.toml")])
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.output.splitlines() if pure.name in line and "notice" not in line)
    assert NOT_BINARY in line
    assert "passed" in line
    bad = wheel("cp311-abi3-manylinux_2_5_x86_64")
    done = CliRunner().invoke(app, ["wheel", "verify", str(bad), "--file", str(tmp_path / "elpack.toml"), "--json"])
    assert done.exit_code == WheelError.exit_code
    assert '"verdict": "refused"' in done.output


def test_a_damaged_one_reaches_no_judge(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"PK\x05\x06 no zip")

    def nobody(command: object) -> None:
        pytest.fail(f"asked: {command}")

    (one,) = Bench(Judges(nobody), {}).judge([path])  # type: ignore[arg-type]
    assert (one.verdict, one.checks) == (Verdict.REFUSED, {"record": "failed"})


def test_places_that_hold_nothing_to_judge(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WheelError) as caught:
        found_in([tmp_path / "empty", tmp_path / "gone.whl", tmp_path / "notes.txt"])
    assert len(caught.value.problems) == 3


def test_policies_are_auditwheel_s() -> None:
    known = policies()
    assert "3.4.24" in known["manylinux_2_28_x86_64"]["GLIBCXX"]
    assert "2.29" not in known["manylinux_2_28_aarch64"]["GLIBC"]
