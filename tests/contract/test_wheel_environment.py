"""Fresh environments for real: a sandbox without network, installation by hash, and what happens to what misbehaves."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_archives_wheel import INFO, METADATA, make_wheel

from elpack.errors import WheelError
from elpack.run import run
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.wheels.environment import Environment
from elpack.steps.wheels.interpreters import Found, standin_interpreters
from elpack.steps.wheels.requirements import Pinned
from elpack.wheels.columns import Column, interpreter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
NETWORK = b"import socket\nsocket.create_connection(('192.0.2.1', 80), 2)\n"


@pytest.fixture
def environment(tmp_path: Path, needs: Callable[..., None]) -> Iterator[Environment]:
    needs("bwrap")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    prefix = Path(sys.base_prefix)
    column = Column(interpreter_of(version), platform.machine())
    python = Found(column, platform.python_version(), prefix / "bin" / f"python{version}", prefix)
    one = Environment.fresh(LockSandbox.here(run, tmp_path / "sandbox", os.environ), python)
    yield one
    one.remove()
    assert not one.folder.exists()


def wheel(folder: Path, metadata: bytes = METADATA, **modules: bytes) -> Pinned:
    files = {f"demo/{name}.py": source for name, source in {"__init__": b"", **modules}.items()}
    path = make_wheel(folder, {**files, f"{INFO}/METADATA": metadata, f"{INFO}/WHEEL": WHEEL})
    return Pinned("demo", path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_was_installed_is_imported_and_sees_no_network(environment: Environment, tmp_path: Path) -> None:
    environment.install(
        [wheel(tmp_path, net=NETWORK, host=f"open({str(tmp_path)!r} + '/demo-1.0-py3-none-any.whl')".encode())]
    )
    assert environment.unmet() == ""
    answer = environment.ask({"imports": ["demo", "demo.net", "demo.host"], "scripts": []})["imports"]
    assert answer["demo"] == ""
    assert "unreachable" in answer["demo.net"]
    assert "FileNotFoundError" in answer["demo.host"]


def test_another_system_takes_the_place_of_this_machine_s(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("bwrap", "python3.11")
    root = tmp_path / "root"
    (root / "opt").mkdir(parents=True)
    for name in ("usr", "bin", "lib", "lib64"):
        (root / name).symlink_to(f"/{name}")
    (root / "opt" / "told").write_text("of the root")
    sandbox = LockSandbox.here(run, tmp_path / "sandbox", os.environ)
    found = standin_interpreters(root, sandbox, ["cp311", "cp312"])
    assert list(found) == ["cp311"]
    assert found["cp311"].version.startswith("3.11.")
    one = Environment.fresh(sandbox, found["cp311"])
    one.install([wheel(tmp_path, told=b"assert open('/opt/told').read() == 'of the root'")])
    assert one.ask({"imports": ["demo.told"], "scripts": []})["imports"] == {"demo.told": ""}


def test_a_wheel_that_is_not_what_was_pinned(environment: Environment, tmp_path: Path) -> None:
    one = wheel(tmp_path)
    with pytest.raises(WheelError, match="cannot be installed") as caught:
        environment.install([Pinned(one.name, one.path, "0" * 64)])
    assert "hash" in str(caught.value).lower()


def test_requirements_that_are_not_there(environment: Environment, tmp_path: Path) -> None:
    environment.install([wheel(tmp_path, METADATA + b"Requires-Dist: nowhere-at-all>=2\n")])
    assert "nowhere-at-all" in environment.unmet()


def test_what_ends_the_process_is_told(environment: Environment, tmp_path: Path) -> None:
    environment.install([wheel(tmp_path, crash=b"import os\nos.kill(os.getpid(), 11)\n")])
    with pytest.raises(WheelError, match="what was tried ended"):
        environment.ask({"imports": ["demo.crash"], "scripts": []})


def test_an_answer_that_is_a_trap(environment: Environment, tmp_path: Path) -> None:
    trap = b"import os\nos.symlink('/etc/passwd', '/answer/answer.json')\nos._exit(0)\n"
    environment.install([wheel(tmp_path, trap=trap)])
    with pytest.raises(WheelError):
        environment.ask({"imports": ["demo.trap"], "scripts": []})


def test_links_that_are_left_lead_nothing_astray(environment: Environment, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    names = ("question.json", "answer.json", "requirements", "out")
    lines = [f"os.symlink({str(victim)!r}, '/task/{name}')\n" for name in names]
    environment.install([wheel(tmp_path, trap=f"import os\n{''.join(lines)}".encode())])
    assert environment.ask({"imports": ["demo.trap"], "scripts": []})["imports"] == {"demo.trap": ""}
    environment.install([wheel(tmp_path)])
    environment.ask({"imports": ["demo"], "scripts": []})
    assert victim.read_text() == "as it was"
