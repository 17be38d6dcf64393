"""Specs as rpm sees them with a given set of macros: EL9's own from unpacked RPMs, or the stand-in's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import elpack

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
VARIABLE = "ELPACK_EL9_MACROS"
MORE_SPECS = "ELPACK_SPECS"
HOW_TO = "docs/how-to/check-against-el9-macros.md"
PYTHONS = ("3.11", "3.12")
_ALL_PYTHONS = ("3", *PYTHONS)

_PROGRAM = Path(elpack.__file__).parent
_OURS = _PROGRAM / "assets/macros.elpack"
_STANDIN = _PROGRAM / "standin/files"
_RPM = Path("usr/lib/rpm")
_PLATFORM = f"platform/{os.uname().machine}-linux/macros"
# one file of each RPM that the lane needs, and that RPM
_NEEDED = {
    "macros": "rpm",
    "rpmrc": "rpm",
    "redhat/macros": "redhat-rpm-config",
    "redhat/rpmrc": "redhat-rpm-config",
    "macros.d/macros.python-srpm": "python-srpm-macros",
    "lua/fedora/srpm/python.lua": "python-srpm-macros",
    "macros.d/macros.python": "python-rpm-macros",
    "macros.d/macros.python3": "python3-rpm-macros",
    "macros.d/macros.pyproject": "pyproject-rpm-macros",
    "macros.d/macros.systemd": "systemd-rpm-macros",
    "macros.d/macros.sysusers": "systemd-rpm-macros",
}
_EL9 = (("dist", ".el9"), ("rhel", "9"), ("el9", "1"))
# rpm 4.17 and later start a program of their own for %setup; EL9's rpm has it in the binary
_UNCOMPRESS = ("__rpmuncompress", "%{_rpmconfigdir}/rpmuncompress")
# what the interpreters of EL9 answer to the code in the macros; this machine may have none of them, or Debian's
_INTERPRETER = """\
#!{executable} -IS
import os, sys, sysconfig
sys.version_info = type("V", (tuple,), {{"major": 3, "minor": {minor}}})((3, {minor}))
base = "/usr" if "RPM_BUILD_ROOT" in os.environ else "/usr/local"
paths = {{"purelib": ("base", "lib"), "platlib": ("platbase", "lib64")}}
def get_path(name, scheme="", vars={{}}):
    which, lib = paths[name]
    return f"{{vars.get(which, base)}}/{{lib}}/python3.{minor}/site-packages"
sysconfig.get_path = get_path
sysconfig.get_platform = lambda: "linux-x86_64"
values = {{"MULTIARCH": "x86_64-linux-gnu", "EXT_SUFFIX": ".cpython-3{minor}-x86_64-linux-gnu.so"}}
sysconfig.get_config_var = values.__getitem__
if not (len(sys.argv) == 3 and sys.argv[1].startswith("-") and sys.argv[1].endswith("c")):
    sys.exit("the macros ask this interpreter for more than a value")
exec(sys.argv[2])
"""
# One line for each relation and fact of a package that dnf would look at.
_QUERY = (
    r"N %{name} %{epoch} %{version} %{release} %{arch}\nL %{license}\nS %{summary}\n"
    r"[R %{requirename} %{requireflags:depflags} %{requireversion} %{requireflags:deptype}\n]"
    r"[P %{providename} %{provideflags:depflags} %{provideversion}\n]"
    r"[O %{obsoletename} %{obsoleteflags:depflags} %{obsoleteversion}\n]"
    r"[C %{conflictname} %{conflictflags:depflags} %{conflictversion}\n]"
    r"[W %{recommendname} %{suggestname} %{supplementname} %{enhancename}\n]"
)


class IncompleteMacrosError(Exception):
    """A folder given as EL9's macros lacks something; the text says what, and from which RPM it comes."""


@dataclass(frozen=True, slots=True)
class MacroSet:
    """The macro files that rpm reads, in rpm's order, and nothing of the machine's own beside them."""

    name: str
    macros: tuple[str, ...]
    rcfiles: tuple[Path, ...]
    config: Path
    defines: tuple[tuple[str, str], ...]

    def run(self, *arguments: str, sources: Path) -> tuple[str, str]:
        """Return what rpmspec prints and its messages. An error of rpm fails the test."""
        options = [f"--rcfile={':'.join(map(str, self.rcfiles))}", f"--macros={':'.join(self.macros)}"]
        for name, value in (*self.defines, ("_topdir", "/builddir"), ("_sourcedir", str(sources))):
            options += ["--define", f"{name} {value}"]
        # HOME: no ~/.rpmmacros
        environment = {"PATH": os.environ["PATH"], "HOME": str(sources), "LC_ALL": "C.UTF-8"}
        environment["RPM_CONFIGDIR"] = str(self.config)
        command = ["rpmspec", *options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, f"with the macros of {self.name}: {done.stderr}"
        return done.stdout, done.stderr

    def expanded(self, spec: Path, sources: Path) -> str:
        """Return a spec's text after all macros. Whatever rpm or an interpreter complains of fails the test."""
        text, messages = self.run("-P", str(spec), sources=sources)
        assert not messages, f"with the macros of {self.name}: {messages}"
        return text

    def facts(self, spec: Path, sources: Path) -> set[str]:
        """Return what a spec's packages are called, require, provide and replace, and what their build needs."""
        binary, _ = self.run("-q", "--qf", _QUERY, str(spec), sources=sources)
        needed, _ = self.run("-q", "--srpm", "--qf", r"[B %{requirenevrs}\n]", str(spec), sources=sources)
        return {" ".join(line.split()) for line in (binary + needed).splitlines()}

    def values(self, spec: Path, names: tuple[str, ...], sources: Path) -> dict[str, str]:
        """Return the values that macros have at the end of a spec; the text that a name has itself if it is none."""
        probe = sources / f"probe-{spec.name}"
        lines = "".join(f"%{{echo:VALUE {name} %{{{name}}}}}\n" for name in names)
        before, title, after = spec.read_text().partition("%changelog\n")
        probe.write_text(before + lines + title + after)
        told, _ = self.run("-P", str(probe), sources=sources)
        found = re.findall(r"^VALUE (\S+) (.*)$", told, re.MULTILINE)
        return dict(found)


def el9_macros(folder: Path, work: Path) -> MacroSet:
    """Return EL9's macros from a folder of unpacked RPMs. Raises `IncompleteMacrosError` with all that is missing."""
    config = folder.resolve() / _RPM
    needed = {**_NEEDED, _PLATFORM: f"rpm for {os.uname().machine}"}
    missing = [f"{path} (of {package})" for path, package in needed.items() if not (config / path).is_file()]
    if missing:
        raise IncompleteMacrosError(f"{folder}/{_RPM} lacks {', '.join(missing)}; see {HOW_TO}")
    order = ("macros", "macros.d/macros.*", _PLATFORM, "fileattrs/*.attr", "redhat/macros")
    return MacroSet(
        name=str(folder),
        # the macros under test come last: an unpacked elpack-rpm-macros must not take their place
        macros=(*(f"{config}/{name}" for name in order), str(_OURS)),
        rcfiles=(config / "rpmrc", config / "redhat/rpmrc"),
        config=config,
        defines=(*_EL9, _UNCOMPRESS, *_interpreters(work)),
    )


def standin_macros(work: Path) -> MacroSet:
    """Return the macros of the stand-in, as its build roots have them, with EL9's dist tag."""
    host = Path("/") / _RPM
    ours = sorted(_STANDIN.glob("*/usr/lib/rpm/macros.d/macros.*"))
    # these two are set below, and by the spec
    ours = [path for path in ours if path.name not in {"macros.dist", "macros.python3.11"}]
    script = _STANDIN / "systemd-rpm-macros/usr/lib/rpm/elpack/sysusers-to-shell"
    return MacroSet(
        name="the stand-in",
        macros=(
            *map(str, (host / "macros", *ours)),
            str(host / _PLATFORM),
            str(_STANDIN / "redhat-rpm-config/usr/lib/rpm/debian/macros"),
            str(_OURS),
        ),
        rcfiles=(host / "rpmrc",),
        config=host,
        defines=(
            *_EL9,
            ("sysusers_create_compat()", f"%(bash {script} %{{?*}})"),
            *_interpreters(work),
        ),
    )


def _interpreters(work: Path) -> tuple[tuple[str, str], ...]:
    for python in _ALL_PYTHONS:
        path = work / f"python{python}"
        # the system's own Python, which a spec that names none gets, is 3.9
        path.write_text(_INTERPRETER.format(executable=sys.executable, minor=python.partition(".")[2] or "9"))
        path.chmod(0o755)
    return (("__python3", f"{work}/python%{{python3_pkgversion}}"),)


def all_specs() -> list[Path]:
    """Return every spec that is committed, and those of the folder that ELPACK_SPECS names."""
    folders = [REPOSITORY / "specs", REPOSITORY / "tests/golden/specs"]
    folders += [Path(more)] if (more := os.environ.get(MORE_SPECS)) else []
    return [spec for folder in folders for spec in sorted(folder.rglob("*.spec"))]


def label(spec: Path) -> str:
    """Return a short name of a spec: its folder's and its own."""
    return f"{spec.parent.parent.name}-{spec.parent.name}-{spec.stem}"


def generated_sources(spec: Path, folder: Path) -> Path:
    """Write stand-ins of the files that macros read while a spec is parsed; return their folder."""
    for name in re.findall(r"^Source\d*:\s*([^/\s]+\.conf)\s*$", spec.read_text(), re.MULTILINE):
        (folder / name).write_text('u crossbar - "Some service" /var/lib/crossbar -\n')
    return folder


def python_of(spec: Path) -> str | None:
    """Return the Python that a spec's macros are set to, None if it has no use for one."""
    found = re.search(r"^%global python3_pkgversion (\S+)$", spec.read_text(), re.MULTILINE)
    return found and found[1]


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that EL9's rpm or macros do not know."""

    pattern: re.Pattern[str]
    what: str
    source: str
    example: str


def lacks() -> list[Lack]:
    """Return what EL9 lacks, from the data file."""
    entries = tomllib.loads((REPOSITORY / "tests/data/el9-lacks.toml").read_text())["lack"]
    return [Lack(**{**entry, "pattern": re.compile(entry["pattern"], re.MULTILINE)}) for entry in entries]


def lacking(text: str) -> list[str]:
    """Return what a spec uses that EL9 lacks: line number, what, and since when others have it."""
    lines = [line.replace("%%", "") if not line.lstrip().startswith("#") else "" for line in text.splitlines()]
    return [
        f"{number}: {line.strip()}: EL9 lacks {lack.what} ({lack.source})"
        for number, line in enumerate(lines, 1)
        for lack in lacks()
        if lack.pattern.search(line)
    ]


def unexpanded(text: str, macros: MacroSet) -> list[str]:
    """Return what looks like a macro in a spec that rpm has expanded."""
    names = re.compile(rf"%(?:\{{|(?:{'|'.join(sorted(_defined(macros)))})\b|_?_?(?:elpack|py|python|systemd)\w*)")
    # a message about a macro, in EL9's own, names it
    return [line for line in _code(text) if names.search(re.sub(r"(WARNING|ERROR): .*", "", line))]


def _defined(macros: MacroSet) -> Iterator[str]:
    """Yield the names of the Python, systemd and own macros of a set."""
    for entry in macros.macros:
        path = Path(entry)
        for file in path.parent.glob(path.name):
            if re.search(r"py|systemd|sysusers|elpack|cmake", file.name):
                yield from re.findall(r"^%(\w+)", file.read_text(), re.MULTILINE)


def _code(text: str) -> Iterator[str]:
    """Yield the lines of an expanded spec that are no comments."""
    yield from (line for line in text.splitlines() if not line.lstrip().startswith("#"))
