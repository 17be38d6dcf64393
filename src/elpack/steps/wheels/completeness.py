"""What git tracks of a checkout, and what the backend's configuration says of it; nothing of the checkout is run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from elpack import strict
from elpack.errors import ConfigError, Problem
from elpack.run import CLEAN_ENV, Command
from elpack.steps.project import read_project
from elpack.wheels.sdist_files import Tracked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.run import Runner
    from elpack.workspace import Workspace

_SUBMODULE = "160000"
_QUIET = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "safe.directory=*", "core.quotePath=false")
"""Settings of a checkout that would start programs are overruled; it may belong to who called sudo."""
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
_MOST = 1 << 20


def checkouts_of(workspace: Workspace, given: tuple[Path, ...], runner: Runner) -> dict[str, Tracked]:
    """Return what git tracks of each known checkout, by normalised name: of the release's paths, and of those given.

    Raises `ConfigError` for a given folder that is no git repository with a pyproject.toml.
    """
    found: dict[str, Tracked] = {}
    for tree in _of_release(workspace):
        if (named := _named(tree)) and is_tracked(tree, runner):
            found[named] = tracked_files(tree, runner)
    for tree in given:
        named = _named(tree)
        if not named or not is_tracked(tree, runner):
            what = "it is no git repository with a pyproject.toml that names its project"
            raise ConfigError(Problem(what, str(tree), fix="name the folder of a clone"))
        found[named] = tracked_files(tree, runner)
    return found


def is_tracked(tree: Path, runner: Runner) -> bool:
    """Tell whether git tracks something in a folder."""
    try:
        return bool(_git(tree, runner, "ls-files", "-z", "--", "pyproject.toml"))
    except ConfigError:
        return False


def tracked_files(tree: Path, runner: Runner) -> Tracked:
    """Return what git tracks below a folder, and what its build backend's configuration leaves out and asks for."""
    staged = [_entry(line) for line in _git(tree, runner, "ls-files", "--stage", "-z")]
    files = frozenset(path for mode, path in staged if mode != _SUBMODULE)
    ignored = _git(tree, runner, "ls-files", "--cached", "--ignored", "--exclude-standard", "-z")
    project = _pyproject(tree)
    hatch = _table(project, "tool", "hatch", "build")
    sdist = _table(hatch, "targets", "sdist")
    wheel = _table(hatch, "targets", "wheel")
    left_out = _matching(_texts(sdist, "exclude") or _texts(hatch, "exclude"), files, runner)
    wanted = _texts(sdist, "only-include") or _texts(sdist, "include") or _texts(hatch, "include")
    artifacts = _matching(_texts(sdist, "artifacts") + _texts(hatch, "artifacts"), files, runner)
    shipped = _table(sdist, "force-include")
    packages = _texts(wheel, "packages") or _texts(hatch, "packages")
    return Tracked(
        files=files,
        submodules=frozenset(path for mode, path in staged if mode == _SUBMODULE),
        ignored=frozenset(ignored) - artifacts,
        excluded=left_out | (files - _matching(wanted, files, runner) if wanted else frozenset()),
        unexported=_unexported(tree, files, runner),
        packages=tuple(packages) or ("src", *_modules(project)),
        tests=tuple(_texts(_table(project, "tool", "pytest", "ini_options"), "testpaths")),
        shipped=frozenset(str(goal).strip("/") for goal in shipped.values()),
    )


def _of_release(workspace: Workspace) -> list[Path]:
    if not workspace.file.is_file():
        return []
    parties = read_project(workspace).release.first_party
    return [workspace.home / one.path for one in parties if one.path]


def _named(tree: Path) -> str:
    try:
        name = _table(_pyproject(tree), "project").get("name")
    except ConfigError:
        return ""
    return canonicalize_name(name) if isinstance(name, str) else ""


def _git(tree: Path, runner: Runner, *arguments: str, given: str | None = None) -> list[str]:
    settings = [word for setting in _QUIET for word in ("-c", setting)]
    argv = ("git", "-C", str(tree), *settings, *arguments)
    env = {**CLEAN_ENV, **_ENVIRONMENT}
    done = runner(Command(argv, env=env, input=given))
    if done.returncode > 1 or (done.returncode and "check-ignore" not in arguments):
        raise ConfigError(Problem(f"git cannot tell what it tracks\n{done.tail(4)}", str(tree)))
    return done.stdout.split("\0")[:-1]


def _entry(line: str) -> tuple[str, str]:
    """Return mode and path of a line of `git ls-files --stage`."""
    head, _, path = line.partition("\t")
    return head.split(" ", 1)[0], path


def _matching(patterns: Iterable[str], files: frozenset[str], runner: Runner) -> frozenset[str]:
    """Return the files that patterns match as those of a .gitignore do, for so hatchling reads them: git decides."""
    lines = [pattern for pattern in patterns if "\n" not in pattern]
    if not lines or not files:
        return frozenset()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _git(folder, runner, "init", "--quiet", "--template=", ".")
        (folder / ".git" / "info").mkdir(exist_ok=True)
        (folder / ".git" / "info" / "exclude").write_text("".join(f"{line}\n" for line in lines))
        # in front of a name that would be one of git's own words, such as ":(glob)"
        given = "".join(f"./{path}\0" for path in sorted(files))
        found = _git(folder, runner, "check-ignore", "--no-index", "-z", "--stdin", given=given)
        return frozenset(path.removeprefix("./") for path in found)


def _unexported(tree: Path, files: frozenset[str], runner: Runner) -> frozenset[str]:
    given = "".join(f"{path}\0" for path in sorted(files))
    answers = _git(tree, runner, "check-attr", "-z", "--stdin", "export-ignore", given=given)
    triples = zip(answers[::3], answers[2::3], strict=True)
    return frozenset(path for path, value in triples if value == "set")


def _pyproject(tree: Path) -> dict[str, Any]:
    file = tree / "pyproject.toml"
    try:
        with file.open("rb") as opened:
            return strict.toml(opened.read(_MOST))
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(str(error), str(file))) from error


def _table(value: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _texts(table: dict[str, Any], key: str) -> list[str]:
    value = table.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _modules(project: dict[str, Any]) -> tuple[str, ...]:
    """Return the folder of a project without configuration: named as it is."""
    name = _table(project, "project").get("name")
    return (name.replace("-", "_").replace(".", "_").lower(),) if isinstance(name, str) else ()
