"""The build lock's step with a runner that plays uv and the backends: no tool, no network."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.buildlock import build_requirements
from elpack.errors import BuildLockError, FetchError
from elpack.model import CoreMetadata, RemoteFile, SdistFacts, Selection, Sha256
from elpack.naming import dist_name
from elpack.run import Completed
from elpack.steps.lock import make_build_lock
from elpack.steps.lock_sandbox import LockSandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target
    from elpack.run import Command

SHA = "d" * 64
UV_LOCK = 'version = 1\nrevision = 5\nrequires-python = ">=3.11"\n'
PYLOCK = 'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n'
SDIST_ONLY = f"""\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "odd"
version = "1.0"
sdist = {{ url = "https://files.example.org/odd-1.0.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}
"""


class Player:
    """Plays bubblewrap with uv and backends in it; answers are by sdist."""

    def __init__(self, answers: dict[str, str], exported: str = PYLOCK) -> None:
        self.answers = answers
        self.exported = exported
        self.commands: list[Command] = []
        self.projects: list[str] = []
        self.fails: dict[str, str] = {}

    def __call__(self, command: Command) -> Completed:
        self.commands.append(command)
        triples = zip(command.argv, command.argv[1:], command.argv[2:], strict=False)
        binds = {inside: outside for word, outside, inside in triples if word in ("--bind", "--ro-bind")}
        program = command.argv[command.argv.index("--") + 1 :]
        stdout = ""
        word = program[1] if program[0] == "/elpack/uv" else "ask"
        if word in self.fails:
            return Completed(command, 2, "", self.fails[word], 0.0)
        if word == "lock":
            folder = Path(binds["/task"])
            self.projects.append((folder / "pyproject.toml").read_text())
            (folder / "uv.lock").write_text(UV_LOCK)
        elif word == "export":
            stdout = self.exported
        elif word == "ask":
            answer = self.answers.get(Path(program[3]).name, "[]")
            (Path(binds["/answer"]) / "answer.json").write_text(answer)
        return Completed(command, 0, stdout, "", 0.0)


def facts(filename: str = "app-1.0.tar.gz", *requires: str) -> SdistFacts:
    metadata = CoreMetadata(name="app", version="1.0")
    return SdistFacts(filename, Sha256(SHA), "app-1.0", metadata, requires, "b", ("p",), (), "", (), (), (), False)


@pytest.fixture
def make(tmp_path: Path, el9_targets: list[Target]) -> Callable[..., str]:
    def made(player: Player, *sdists: SdistFacts, fetch: Callable[[RemoteFile], Path] | None = None) -> str:
        def no_fetch(file: RemoteFile) -> Path:
            raise AssertionError(file)

        environ = {"SSL_CERT_FILE": "/ca.pem", "PIP_FIND_LINKS": "/opt/wheels", "UV_INDEX": "https://evil.example.org"}
        sandbox = LockSandbox(player, tmp_path / "work", Path("/bin/uv"), environ)
        files = {sdist.filename: tmp_path / sdist.filename for sdist in sdists}
        closures = [(el9_targets[0], Selection(dist_name("app"), ()))]
        return make_build_lock(sdists, files, closures, sandbox, fetch or no_fetch, own=["pip"])

    return made


def test_dynamic_requirements_are_locked_and_kept(make: Callable[..., str]) -> None:
    player = Player({"app-1.0.tar.gz": '["cffi >= 2", "hatchling"]'})

    text = make(player, facts("app-1.0.tar.gz", "hatchling"))

    assert build_requirements(text, "x") == {"app-1.0.tar.gz": ("hatchling", "cffi>=2")}
    assert [project.count('"cffi>=2"') for project in player.projects] == [0, 1]
    assert all('"pip"' in project for project in player.projects)


def test_one_round_is_enough_when_backends_add_nothing(make: Callable[..., str]) -> None:
    player = Player({})
    make(player, facts("app-1.0.tar.gz", "hatchling"), facts("lib-1.0.tar.gz", "hatchling"))

    words = [command.argv[command.argv.index("--") + 2] for command in player.commands]
    assert words == ["lock", "export", "venv", "pip", "-I", "-I"]


def test_backends_have_no_network_and_nothing_leaks_in(make: Callable[..., str]) -> None:
    player = Player({})
    make(player, facts("app-1.0.tar.gz", "hatchling"))

    for command in player.commands:
        asks = "/elpack/ask.py" in command.argv
        assert ("--share-net" in command.argv) is not asks
        assert ("SSL_CERT_FILE" in command.env) is not asks
        assert not {"PIP_FIND_LINKS", "UV_INDEX"} & command.env.keys()
        assert command.env["HOME"] == "/task/home"
        assert command.env["UV_NO_CONFIG"] == "1"
        assert "bwrap" in command.argv
        assert {"--unshare-all", "--cap-drop", "--seccomp"} <= set(command.argv)
        assert command.enclosed


def test_no_folder_is_given_to_two_runs_of_different_trust(make: Callable[..., str]) -> None:
    player = Player({"app-1.0.tar.gz": '["cffi"]'})
    make(player, facts("app-1.0.tar.gz", "hatchling"))

    locks = [command.cwd for command in player.commands if "lock" in command.argv]
    asks = [command.cwd for command in player.commands if "/elpack/ask.py" in command.argv]
    assert len({*locks, *asks}) == len(locks) + len(asks) == 3


def test_a_build_requirement_without_wheel_is_asked_too(make: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "odd-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, body in {
            "PKG-INFO": "Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n",
            "pyproject.toml": '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n',
        }.items():
            member = tarfile.TarInfo(f"odd-1.0/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body.encode()))
    player = Player({"odd-1.0.tar.gz": '["tomli"]'}, SDIST_ONLY)
    fetched = []

    def fetch(file: RemoteFile) -> Path:
        fetched.append(file.filename)
        return path

    text = make(player, facts("app-1.0.tar.gz", "odd"), fetch=fetch)

    assert fetched == ["odd-1.0.tar.gz"]
    assert build_requirements(text, "x")["odd-1.0.tar.gz"] == ("flit_core", "tomli")
    assert "build-only = true" in text
    assert '"tomli"' in player.projects[-1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("{}", "app-1.0.tar.gz: its backend answered with something else than requirements"),
        ("not json", "app-1.0.tar.gz: its backend answered with something else than requirements"),
        (json.dumps(["x"] * 201), "app-1.0.tar.gz: its backend answered with something else than requirements"),
        ("[1]", "its backend asks for 1, which is not a requirement"),
        ('["a b"]', "its backend asks for 'a b', which is not a requirement"),
        ('["a @ file:///etc"]', "its backend asks for 'a @ file:///etc', which is outside of any index"),
        ("", "its backend b could not say what it needs"),
    ],
)
def test_hostile_answers_are_refused(make: Callable[..., str], answer: str, message: str) -> None:
    with pytest.raises(BuildLockError) as caught:
        make(Player({"app-1.0.tar.gz": answer}), facts())
    assert message in str(caught.value)


def test_an_answer_that_is_a_link_is_refused(make: Callable[..., str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('["secret"]')

    class Linker(Player):
        def __call__(self, command: Command) -> Completed:
            result = super().__call__(command)
            if "/answer" in command.argv:
                answer = Path(command.argv[command.argv.index("/answer") - 1]) / "answer.json"
                answer.unlink()
                answer.symlink_to(secret)
            return result

    with pytest.raises(BuildLockError, match=r"answer\.json: a build backend left something else than a file"):
        make(Linker({}), facts())


def test_an_answer_that_is_too_long_is_refused(make: Callable[..., str]) -> None:
    with pytest.raises(BuildLockError, match="is larger than 16777216 bytes"):
        make(Player({"app-1.0.tar.gz": " " * (1 << 24) + "[]"}), facts())


def test_a_backend_that_fails_is_told_with_its_last_words(make: Callable[..., str]) -> None:
    player = Player({})
    player.fails["ask"] = "Traceback\nKeyError: 'version'"
    with pytest.raises(BuildLockError) as caught:
        make(player, facts())
    assert "app-1.0.tar.gz: its backend b could not say what it needs\nTraceback\nKeyError: 'version'" in str(
        caught.value
    )
    assert "fix: elpack lock" in str(caught.value)


def test_requirements_that_contradict_each_other(make: Callable[..., str]) -> None:
    player = Player({})
    player.fails["lock"] = "your project's requirements are unsatisfiable"
    with pytest.raises(BuildLockError) as caught:
        make(player, facts("app-1.0.tar.gz", "setuptools<60"), facts("lib-1.0.tar.gz", "setuptools>70"))
    assert "uv lock could not lock the build requirements\nyour project's requirements are unsat" in str(caught.value)
    assert "required by elpack: pip; app-1.0.tar.gz: setuptools<60; lib-1.0.tar.gz: setuptools>70" in str(caught.value)


def test_an_index_that_does_not_answer(make: Callable[..., str]) -> None:
    player = Player({})
    player.fails["lock"] = "error: Failed to fetch: `https://pypi.org/simple/pip/`"
    with pytest.raises(FetchError, match=r"https://pypi\.org/simple/ cannot be reached"):
        make(player, facts())
