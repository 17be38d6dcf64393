from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.errors import DiskFullError, PrivilegeError, StandinError, ToolMissingError
from elpack.run import Command, Completed
from elpack.standin.apt import mirror_lines
from elpack.standin.dpkg import Deb, merged, newest_date, parse_contents, parse_deb, relations
from elpack.standin.mapping import StandinMapping, parse_mapping
from elpack.standin.partition import Kind, Node, StandinRpm, partition
from elpack.standin.provides import pkgconfig_provide, within_glibc
from elpack.standin.specfile import quoted, render_list, render_spec
from elpack.steps import standin

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target
    from elpack.run import Runner

DATA = Path(standin.__file__).parent.parent / "standin"

LISTING = r"""drwxr-xr-x root/root         0 2026-05-07 12:00 ./
drwxr-xr-x root/root         0 2026-05-07 12:00 ./bin/
-rwxr-xr-x root/root   1265648 2026-05-07 12:00 ./bin/bash
lrwxrwxrwx root/root         0 2026-05-08 09:30 ./bin/rbash -> bash
hrwxr-xr-x root/root         0 2022-09-19 00:00 ./usr/bin/two link to ./usr/bin/one
-rw-r--r-- root/root         1 2022-09-19 00:00 ./usr/share/a b.txt
-rw-r--r-- root/root         1 2022-09-19 00:00 ./lib/systemd/system/a\\x2db.slice
"""

MAPPING = """
suite = "bookworm"
include = ["bash"]
skip = ["dpkg"]
exclude = ["/usr/share/man", "*.pyc"]
documentation = "/usr/share/doc"
licences = ["copyright"]
[folders]
[links]
"/usr/bin/sh" = { to = "bash", rpm = "bash" }
[moves]
"/usr/lib/old" = "/usr/lib/new"
[appends]
[owners]
"/usr/bin/rpmbuild" = "rpm-build"
[rpm.filesystem]
debs = ["base-files"]
[rpm.bash]
debs = ["bash"]
provides = ["sh"]
without = ["coreutils"]
[rpm.glibc]
debs = ["libc6", "libc-bin"]
[rpm.rpm-build]
debs = ["helper"]
version_of = "rpm"
requires = ["rpm"]
[rpm.redhat-release]
debs = []
version = "9"
"""


@pytest.fixture
def mapping() -> StandinMapping:
    return parse_mapping(MAPPING)


def deb(name: str, *paths: str, version: str = "1.0-1", depends: tuple[tuple[str, ...], ...] = ()) -> Deb:
    return Deb(name, version, "0" * 64, depends, (), paths)


def by_name(rpms: tuple[StandinRpm, ...]) -> dict[str, StandinRpm]:
    return {rpm.name: rpm for rpm in rpms}


def test_a_listing_gives_paths_after_the_merge_without_links_targets() -> None:
    assert parse_contents(LISTING) == (
        "/usr/bin",
        "/usr/bin/bash",
        "/usr/bin/rbash",
        "/usr/bin/two",
        "/usr/share/a b.txt",
        r"/usr/lib/systemd/system/a\x2db.slice",
    )
    assert newest_date(LISTING) == "2026-05-08 09:30"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/lib64/ld.so", "/usr/lib64/ld.so"),
        ("/library", "/library"),
        ("/usr/bin/x", "/usr/bin/x"),
        ("/bin", "/usr/bin"),
    ],
)
def test_merged(path: str, expected: str) -> None:
    assert merged(path) == expected


def test_control_fields_become_names_and_alternatives() -> None:
    control = "Package: bash\nVersion: 1:5.2~rc1-2+b13\nPre-Depends: libc6 (>= 2.36)\nDepends: a:any | b [amd64],\n c\n"
    found = parse_deb(control, LISTING, "f" * 64)
    assert found.depends == (("libc6",), ("a", "b"), ("c",))
    assert (found.upstream, found.revision) == ("5.2~rc1", "2+b13")
    assert relations("") == []


def test_a_native_version_has_no_revision() -> None:
    assert (deb("x", version="20250419").upstream, deb("x", version="20250419").revision) == ("20250419", "0")


def test_every_path_has_one_owner(mapping: StandinMapping) -> None:
    debs = [
        deb("base-files", "/etc"),
        deb("bash", "/usr/bin", "/usr/bin/bash", "/usr/share/bash", "/usr/share/doc/bash/copyright"),
        deb("libc6", "/usr/bin", "/usr/lib/libc.so", version="2:2.36-9+deb12u14"),
        deb("libc-bin", "/usr/bin", "/usr/bin/ldd"),
        deb("rpm", "/usr/bin/rpmbuild", version="4.18.0+dfsg-1"),
        deb("helper", "/usr/lib/old/x.py"),
        deb("dpkg", "/usr/bin/dpkg", "/usr/share/perl5/Dpkg"),
    ]
    nodes = [
        Node("/etc", Kind.FOLDER),
        Node("/usr/bin", Kind.FOLDER),
        Node("/usr/share/bash", Kind.FOLDER),
        Node("/usr/share/perl5/Dpkg", Kind.FOLDER),
        Node("/usr/share/doc/bash/copyright", Kind.FILE),
        Node("/usr/share/doc/bash/README", Kind.FILE),
        Node("/usr/bin/bash", Kind.FILE),
        Node("/usr/bin/sh", Kind.LINK),
        Node("/usr/bin/dpkg", Kind.FILE),
        Node("/usr/bin/ldd", Kind.FILE),
        Node("/usr/bin/rpmbuild", Kind.FILE),
        Node("/usr/lib/libc.so", Kind.FILE),
        Node("/usr/lib/new/x.py", Kind.FILE),
        Node("/usr/lib/new/x.pyc", Kind.FILE),
        Node("/etc/os-release", Kind.FILE),
    ]
    ours = {"/etc/os-release": ("redhat-release", "abc")}
    rpms = by_name(partition(debs, mapping, nodes, ours, ".el9s"))
    owned = {name: [node.path for node in rpm.nodes] for name, rpm in rpms.items()}
    assert owned == {
        "bash": ["/usr/bin/bash", "/usr/bin/sh", "/usr/share/bash", "/usr/share/doc/bash/copyright"],
        "filesystem": ["/etc", "/usr/bin"],
        "glibc": ["/usr/bin/ldd", "/usr/lib/libc.so"],
        "redhat-release": ["/etc/os-release"],
        "rpm": [],
        "rpm-build": ["/usr/bin/rpmbuild", "/usr/lib/new/x.py"],
    }
    assert rpms["glibc"].version == "2.36"
    assert rpms["glibc"].release.startswith("9+deb12u14.")
    assert rpms["rpm-build"].version == "4.18.0+dfsg"
    assert all(rpm.release.endswith(".el9s") for rpm in rpms.values())


def test_requirements_follow_debians_under_the_new_names(mapping: StandinMapping) -> None:
    debs = [
        deb("bash", depends=(("libc6",), ("base-files",), ("coreutils",), ("dpkg",), ("absent", "virtual"), ("gone",))),
        deb("libc6", depends=(("libc-bin",),)),
        deb("libc-bin"),
        deb("coreutils"),
        deb("dpkg"),
        replace(deb("real"), provides=("virtual",)),
    ]
    rpms = by_name(partition(debs, mapping, [], {}, ".el9s"))
    assert rpms["bash"].requires == ("glibc", "real")
    assert rpms["bash"].provides == ("sh",)
    assert rpms["glibc"].requires == ()


def test_a_file_nobody_owns_is_named(mapping: StandinMapping) -> None:
    with pytest.raises(StandinError, match=r"1 files belong to no package: /usr/bin/stray"):
        partition([deb("bash")], mapping, [Node("/usr/bin/stray", Kind.FILE)], {}, ".el9s")


def test_the_release_changes_with_what_an_rpm_is_made_from(mapping: StandinMapping) -> None:
    nodes = [Node("/etc/os-release", Kind.FILE)]

    def release(digest: str) -> str:
        ours = {"/etc/os-release": ("redhat-release", digest)}
        return by_name(partition([], mapping, nodes, ours, ".el9s"))["redhat-release"].release

    assert release("a") == release("a") != release("b")


def test_a_deb_in_two_rpms_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Debian package bash is in rpm\.bash and in rpm\.zsh"):
        parse_mapping(MAPPING + '[rpm.zsh]\ndebs = ["bash"]\n')


def test_the_real_mapping_is_sound() -> None:
    mapping = parse_mapping((DATA / "packages.toml").read_text())
    names = {rule.name for rule in mapping.rules} | set(mapping.include)
    assert names >= {link.rpm for link in mapping.links} | set(mapping.owners.values())
    assert names >= {path.name for path in (DATA / "files").iterdir()}
    assert all((DATA / "appended" / name).is_file() for name in mapping.appends.values())
    assert mapping.leaves_out("/usr/share/doc/bash/changelog.gz")
    assert not mapping.leaves_out("/usr/share/doc/bash/copyright")


def test_symbols_above_the_targets_glibc_are_not_offered() -> None:
    found = ["libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6(GLIBC_2.35)(64bit)", "libm.so.6(GLIBC_2.2.5)(64bit)", "", "sh"]
    assert within_glibc([*found, "sh"], (2, 34)) == (
        "libc.so.6(GLIBC_2.34)(64bit)",
        "libm.so.6(GLIBC_2.2.5)(64bit)",
        "sh",
    )


def test_pkgconfig_modules_carry_their_version() -> None:
    assert pkgconfig_provide("libffi", "prefix=/usr\nName: libffi\nVersion: 3.4.4\n") == "pkgconfig(libffi) = 3.4.4"
    assert pkgconfig_provide("z", "v=1.2\nVersion: ${v}\n") == "pkgconfig(z) = 1.2"
    assert pkgconfig_provide("bare", "Name: bare\n") == "pkgconfig(bare)"


def test_file_lists_escape_what_rpm_would_expand() -> None:
    assert quoted("/usr/bin/[") == '"/usr/bin/[[]"'
    assert quoted("/usr/share/a b") == '"/usr/share/a b"'
    assert quoted("/usr/share/100%") == "/usr/share/100%%"
    nodes = (Node("/etc", Kind.FOLDER), Node("/etc/hosts", Kind.FILE), Node("/etc/mtab", Kind.LINK))
    assert render_list(nodes).splitlines() == [
        "%defattr(-,root,root,-)",
        "%dir /etc",
        "%config(noreplace) /etc/hosts",
        "/etc/mtab",
    ]


def test_the_spec_names_every_rpm_and_says_what_it_is() -> None:
    rpm = StandinRpm("bash", "5.2", "1.el9s", ("bash",), ("sh",), ("glibc",), ())
    text = render_spec([rpm, replace(rpm, name="filesystem")], Path("/lists"), ".el9s")
    assert "%package -n bash\nVersion: 5.2\nRelease: 1.el9s\n" in text
    assert "Provides: sh\nRequires: glibc\nRequires(pre): filesystem\n" in text
    assert text.count("Requires(pre): filesystem") == 1
    assert "%files -n bash -f /lists/bash.list" in text
    assert "Not EL9" in text


def test_the_machines_own_mirror_is_taken_and_strangers_are_not() -> None:
    deb822 = (
        "Types: deb\n# snapshot\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\nTypes: deb\nURIs: https://deb.nodesource.com/node\nSuites: nodistro\nComponents: main\n"
    )
    one_line = "deb [signed-by=/k] http://mirror.example/security bookworm-security main contrib\n"
    one_line += "# deb http://x bookworm main\n"
    assert mirror_lines([("debian.sources", deb822), ("security.list", one_line)], "bookworm") == (
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    )
    assert mirror_lines([("other.list", "deb http://x trixie main\n")], "bookworm") == ()
    assert mirror_lines([("only.list", one_line)], "bookworm") == ()


@pytest.fixture
def target(make_target: Callable[[str, str], Target]) -> Target:
    return replace(make_target("3.11", "x86_64"), name="el9-standin", dist_tag=".el9s", standin=True)


@pytest.fixture
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def failing(tool: str, output: str) -> Runner:
    """Return a runner under which one tool fails, saying so, once it does more than tell its version."""

    def runner(command: Command) -> Completed:
        bad = command.argv[0] == tool and "--version" not in command.argv
        return Completed(command, 1 if bad else 0, "", output if bad else "", 0.0)

    return runner


def left_over(work: Path) -> list[str]:
    return [path.name for path in work.iterdir() if path.name != ".lock"]


def test_without_root_it_says_so(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError, match="needs root"):
        standin.build_standin(target, tmp_path)


@pytest.mark.usefixtures("_root")
def test_a_missing_tool_is_named_with_what_to_do(target: Target, tmp_path: Path) -> None:
    def runner(command: Command) -> Completed:
        raise ToolMissingError

    with pytest.raises(ToolMissingError, match=r"mmdebstrap is not installed(.|\n)*target el9"):
        standin.build_standin(target, tmp_path, runner)


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize(
    ("output", "error"),
    [("E: Failed to fetch", StandinError), ("write: No space left on device", DiskFullError)],
)
def test_a_failed_fetch_leaves_nothing(target: Target, tmp_path: Path, output: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"ELPACK_DEBIAN_MIRROR"):
        standin.build_standin(target, tmp_path, failing("mmdebstrap", output))
    assert left_over(tmp_path) == []


@pytest.mark.usefixtures("_root")
def test_a_full_disk_is_told_as_one(target: Target, tmp_path: Path) -> None:
    def runner(command: Command) -> Completed:
        if "--version" in command.argv:
            return Completed(command, 0, "", "", 0.0)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError, match="free some space"):
        standin.build_standin(target, tmp_path, runner)
    assert left_over(tmp_path) == []


@pytest.mark.usefixtures("_root")
def test_what_a_killed_run_left_is_cleared_away(target: Target, tmp_path: Path) -> None:
    (tmp_path / ".part-dead" / "stage").mkdir(parents=True)
    with pytest.raises(StandinError):
        standin.build_standin(target, tmp_path, failing("mmdebstrap", "no"))
    assert left_over(tmp_path) == []


def test_a_finished_folder_is_used_without_root_or_tools(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = tmp_path / f"el9-standin-x86_64-{standin._recipe(target)}"
    (done / "repodata").mkdir(parents=True)
    (done / "repodata" / "repomd.xml").touch()
    assert standin.build_standin(target, tmp_path) == done
    assert standin._recipe(replace(target, dist_tag=".x")) != standin._recipe(target)
