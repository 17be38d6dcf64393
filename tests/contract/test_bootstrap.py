"""The way in: package lists, scripts, recipes, hooks and the project's own lock."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from elpack.builders.emulation import MACHINE
from elpack.model import ARCHES
from elpack.run import Command, Completed, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = ("scripts/bootstrap", ".ci/run")
FAMILIES = ("debian", "fedora")
GROUPS = {"python", "uv", "run", "image", "arm64", "test"}
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >>"$STUB_LOG"\n{body}\n'


def packages(family: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return package, presence and reason of each line of a family's list, by group."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    group = ""
    for line in (REPOSITORY / f"scripts/packages/{family}.txt").read_text().splitlines():
        if match := re.match(r"\[(\w+)\]", line):
            group = match[1]
            groups[group] = []
        elif line and not line.startswith("#"):
            entry = re.fullmatch(r"(\S+) +(\S+) +# (\S.*)", line)
            assert entry, f"{family}: {line!r} is not: package presence # why"
            groups[group].append((entry[1], entry[2], entry[3]))
    return groups


def bootstrap(*arguments: str, env: Mapping[str, str] | None = None) -> Completed:
    return run(Command((str(REPOSITORY / "scripts/bootstrap"), *arguments), env={**os.environ, **(env or {})}))


@pytest.fixture
def stubbed(tmp_path: Path) -> Callable[[str, str, Mapping[str, str]], dict[str, str]]:
    """Return a function that makes the environment of another distribution, whose tools only note their calls."""

    def make(identity: str, like: str, stubs: Mapping[str, str]) -> dict[str, str]:
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in ("bash", "dirname", "basename", "sh", "env", "mkdir", "tail", "uv"):
            if path := shutil.which(name):
                (tools / name).symlink_to(path)
        for name, body in stubs.items():
            (tools / name).write_text(STUB.format(body=body))
            (tools / name).chmod(0o755)
        (tmp_path / "os-release").write_text(f'ID="{identity}"\nID_LIKE="{like}"\n')
        return {
            "PATH": str(tools),
            "ELPACK_OS_RELEASE": str(tmp_path / "os-release"),
            "STUB_LOG": str(tmp_path / "log"),
        }

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_package_lists_are_well_formed(family: str) -> None:
    groups = packages(family)
    assert set(groups) == GROUPS
    names = [name for group in groups.values() for name, _, _ in group]
    assert len(names) == len(set(names))
    for entries in groups.values():
        for _, presence, _ in entries:
            assert presence == "-" or presence.startswith("/") or re.fullmatch(r"[a-z][\w.+-]*", presence)


def test_debian_s_names_are_debian_s(needs: Callable[..., None]) -> None:
    needs("apt-cache")
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        pytest.skip("no package index: apt-get update has not run here")
    names = {name for entries in packages("debian").values() for name, _, _ in entries}
    shown = run(Command(("apt-cache", "show", "--no-all-versions", *sorted(names)))).stdout
    assert names == set(re.findall(r"^Package: (.*)$", shown, re.MULTILINE))


def test_bootstrap_finds_nothing_missing_here(needs: Callable[..., None]) -> None:
    needs("dpkg-query")
    if os.environ.get("CI") != "true":
        pytest.skip("a laptop may lack what it does not use")
    assert bootstrap("--missing", "test").check().stdout == ""


@pytest.mark.parametrize("arguments", [(), ("everything",), ("--missing",)])
def test_wrong_usage_is_told(arguments: tuple[str, ...]) -> None:
    done = bootstrap(*arguments)
    assert done.returncode == 2
    assert "usage: scripts/bootstrap" in done.stderr


@pytest.mark.parametrize(
    ("identity", "like"), [("fedora", ""), ("rhel", "fedora"), ("almalinux", "rhel centos fedora")]
)
def test_fedora_and_el_are_asked_by_rpm(
    identity: str, like: str, stubbed: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    wanted = [name for group in ("run", "image", "test") for name, _, _ in packages("fedora")[group]]
    absolute = {name for group in packages("fedora").values() for name, presence, _ in group if presence[0] == "/"}
    done = bootstrap("--missing", "test", env=stubbed(identity, like, {"rpm": "false"})).check()
    assert set(wanted) - absolute <= set(done.stdout.split())
    assert "rpm -q --quiet --whatprovides file-libs" in (tmp_path / "log").read_text()


def test_what_is_there_is_not_installed(stubbed: Callable[..., dict[str, str]]) -> None:
    env = stubbed("fedora", "", {"rpm": "true", "rpmbuild": "true", "rpmsign": "true", "bwrap": "true"})
    missing = bootstrap("--missing", "run", env=env).check().stdout.split()
    assert {"rpm-build", "bubblewrap", "rpm-sign"}.isdisjoint(missing)
    assert "createrepo_c" in missing


@pytest.mark.parametrize("goal", ["run", "arm64", "test"])
def test_the_emulator_comes_with_what_may_need_it(goal: str, stubbed: Callable[..., dict[str, str]]) -> None:
    missing = bootstrap("--missing", goal, env=stubbed("debian", "", {"dpkg-query": "false"})).check().stdout.split()
    assert ("qemu-user-static" in missing) is (goal != "run")


@pytest.mark.root
@pytest.mark.parametrize(("goal", "installed"), [("arm64", True), ("arm64", False), ("test", False), ("run", False)])
def test_the_kernel_is_told_of_the_emulator(
    goal: str, needs: Callable[..., None], tmp_path: Path, *, installed: bool
) -> None:
    """In a user namespace binfmt_misc is one of its own, which knows nothing at first."""
    arch = next(arch for arch in ARCHES if arch != MACHINE)
    needs("dpkg-query", f"qemu-{arch}-static")
    script = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && "
    alone = ("unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c")
    if run(Command((*alone, f"{script}test ! -e /proc/sys/fs/binfmt_misc/qemu-{arch}"))).returncode:
        pytest.skip("this kernel, older than 6.7, has one binfmt_misc for all, which is the host's")
    if not installed:
        (tmp_path / "binfmt.d").mkdir()
        script += f"mount --bind {tmp_path}/binfmt.d /usr/lib/binfmt.d && "
    (tmp_path / "uv").write_text("#!/bin/sh\n")  # the environment is there
    (tmp_path / "uv").chmod(0o755)
    call = f"{REPOSITORY}/scripts/bootstrap {goal}"
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = run(Command((*alone, f"{script}{call}; echo first: $? >&2; {call}; exit $?"), env=env))
    first, _, again = done.stderr.partition("first: ")
    code = 33 if goal == "arm64" and not installed else 0
    assert (done.returncode, again[: len(str(code)) + 1]) == (code, f"{code}\n")
    assert (f"telling the kernel of the emulator for {arch}" in first) is installed
    assert (f"programs of {arch} do not run here: no binfmt entry" in first) is (not installed and goal != "run")
    assert again[2:] == "" or not installed


@pytest.mark.root
@pytest.mark.parametrize(
    ("identity", "call"),
    [
        ("fedora", "dnf -y install --setopt=install_weak_deps=False "),
        ("ubuntu", "apt-get install -y --no-install-recommends "),
    ],
)
def test_missing_packages_are_named_and_then_installed(
    identity: str, call: str, stubbed: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    # The installation itself fails, so that nothing comes after it.
    stubs = {"rpm": "false", "dpkg-query": "false", "dnf": "false", "apt-get": '[ "$1" = update ]'}
    done = bootstrap("run", env=stubbed(identity, "", stubs))
    assert "are missing and will be installed: " in done.stderr
    assert "bubblewrap" in done.stderr
    assert call in (tmp_path / "log").read_text()
    assert done.returncode == 13


def test_an_unknown_distribution_is_told_what_to_do(stubbed: Callable[..., dict[str, str]]) -> None:
    done = bootstrap("--missing", "run", env=stubbed("haiku", "", {}))
    assert done.returncode == 16
    assert "scripts/packages" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_are_clean(script: str, needs: Callable[..., None]) -> None:
    needs("shellcheck")
    assert os.access(REPOSITORY / script, os.X_OK)
    run(Command(("shellcheck", "--severity=style", str(REPOSITORY / script)))).check()


def test_recipes_parse_and_say_what_they_do(needs: Callable[..., None]) -> None:
    needs("just")
    listing = run(Command(("just", "--justfile", str(REPOSITORY / "justfile"), "--list"), env=dict(os.environ)))
    recipes = listing.check().stdout.splitlines()[1:]
    assert len(recipes) > 10
    assert all(" # " in recipe for recipe in recipes)


def test_makefile_offers_what_the_readme_says(needs: Callable[..., None]) -> None:
    needs("make")
    done = run(Command(("make", "-f", "Makefile.rpm", "help"), cwd=REPOSITORY)).check()
    assert {"rpm-all", "test"} <= set(done.stdout.split())


def test_hooks_are_valid_and_local(needs: Callable[..., None]) -> None:
    needs("pre-commit")
    configuration = REPOSITORY / ".pre-commit-config.yaml"
    run(Command(("pre-commit", "validate-config", str(configuration)), env=dict(os.environ))).check()
    assert set(re.findall(r"^  - repo: (.*)$", configuration.read_text(), re.MULTILINE)) == {"local"}


def test_the_lock_names_pypi_alone_and_is_fresh(needs: Callable[..., None]) -> None:
    text = (REPOSITORY / "uv.lock").read_text()
    hosts = {urlsplit(url).netloc for url in re.findall(r'"(https?://[^"]+)"', text)}
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
    needs("uv")
    run(Command(("uv", "lock", "--check", "--offline"), cwd=REPOSITORY, env=dict(os.environ))).check()
