"""Runs inside a build root: installs wheels, normalises, byte-compiles and lists what a package will hold.

Called by macros.elpack with the target's own Python; needs nothing but the standard library and, to install
a wheel, the installer wheel that lies beside this file.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
NOT_SHIPPED = ("RECORD", "REQUESTED", "direct_url.json")
LICENCE = re.compile(r"[^/]+\.dist-info/(licenses/.*|(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*)$", re.IGNORECASE)
# Below /usr, the folders that other packages own: the interpreter's, filesystem's, those of well-known tools.
SYSTEM_FOLDER = re.compile(
    r"s?bin|libexec|src|lib(64)?(/(systemd|sysusers\.d|tmpfiles\.d|python[^/]*(/site-packages)?)(/system|/user)?)?"
    r"|include(/python[^/]*)?|share(/(doc|info|man(/.*)?|locale(/.*)?|licenses|applications|metainfo|icons(/.*)?"
    r"|bash-completion(/completions)?|zsh(/site-functions)?|fish(/vendor_completions\.d)?))?"
)
UNLISTABLE = re.compile(r'[%"\\\x00-\x1f\x7f]')
ELF = b"\x7fELF"
RELOCATABLE = 1
"""The type of an object file that is not linked yet (ET_REL)."""
MARKS = ((1 << 1, "%doc"), (1 << 7, "%license"))
"""rpm's flags of files, and how a spec spells them (rpmfiles.h)."""


def main() -> None:
    """Parse the command line and do what it says; a problem ends the build with one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, function in (("wheel", wheel), ("finish", finish)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--root", required=True)
        command.add_argument("--prefix", required=True)
        command.add_argument("--files", required=True)
        command.add_argument("-d", "--drop", action="append", default=[])
        command.add_argument("-k", "--keep-source", action="append", default=[])
        command.add_argument("-l", "--licence", action="append", default=[])
        command.add_argument("-m", "--must-have", action="append", default=[])
        command.add_argument("-n", "--native", action="store_true")
        command.add_argument("-s", "--script-suffix", default="")
        command.add_argument("-p", "--pure", action="store_true")
        if name == "wheel":
            command.add_argument("wheel")
    command = commands.add_parser("build")
    command.set_defaults(function=build)
    command.add_argument("into")
    command = commands.add_parser("copy")
    command.set_defaults(function=copy)
    command.add_argument("--root", required=True)
    command.add_argument("--prefix", required=True)
    command.add_argument("--files", required=True)
    command.add_argument("-x", "--leave-out", action="append", default=[])
    command.add_argument("packages", nargs="+")
    command = commands.add_parser("check")
    command.set_defaults(function=check)
    command.add_argument("--root", required=True)
    command.add_argument("--prefix", required=True)
    command.add_argument("modules", nargs="+")
    options = parser.parse_args()
    options.function(options)


class Tree:
    """The prefix inside the build root, and where Python keeps its modules there."""

    def __init__(self, root: str, prefix: str) -> None:
        self.root = Path(root)
        self.prefix = prefix
        self.private = prefix != "/usr"
        self.top = self.root / prefix.lstrip("/")
        # a private prefix is a venv in form: lib64 is a link to lib
        self.purelib = self.top / "lib" / PYTHON / "site-packages"
        self.platlib = self.purelib if self.private else self.top / "lib64" / PYTHON / "site-packages"
        self.interpreter = f"{prefix}/bin/python" if self.private else f"/usr/bin/{PYTHON}"

    def sites(self) -> list[Path]:
        """Return the site-packages folders that exist."""
        return [path for path in dict.fromkeys((self.purelib, self.platlib)) if path.is_dir()]

    def entries(self) -> list[Path]:
        """Return everything below the prefix, sorted, parents first; links are not followed."""
        found = []
        for folder, folders, files in os.walk(self.top):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            found += [Path(folder, name) for name in (*folders, *files)]
            folders[:] = [name for name in folders if name not in links]
        return sorted(found)


def wheel(options: argparse.Namespace) -> None:
    """Install a wheel into the build root, then finish it."""
    sys.path[:0] = [str(path) for path in Path(__file__).parent.glob("installer-*.whl")]
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    tree = Tree(options.root, options.prefix)
    scheme = {
        "purelib": tree.purelib,
        "platlib": tree.platlib,
        "headers": tree.top / "include" / PYTHON,
        "scripts": tree.top / "bin",
        "data": tree.top,
    }
    with WheelFile.open(options.wheel) as source:
        destination = SchemeDictionaryDestination(
            {name: str(path) for name, path in scheme.items()}, interpreter=tree.interpreter, script_kind="posix"
        )
        install(source, destination, additional_metadata={"INSTALLER": b"rpm\n"})
    finish(options)


def finish(options: argparse.Namespace) -> None:
    """Make what is installed fit for an RPM: dropped files gone, modes, shebangs, bytecode, file list."""
    tree = Tree(options.root, options.prefix)
    drop(tree, options.drop)
    if "wheel" not in options:
        drop_objects(tree)
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    extensions = [normalise(tree, path, epoch) for path in tree.entries() if path.is_file() and not path.is_symlink()]
    if options.native and not any(extensions):
        sys.exit("elpack: no extension module was compiled, although the package is meant to hold one")
    if options.pure and any(extensions):
        sys.exit('elpack: machine code in a package that is meant to be noarch; set [native] is = "yes"')
    add_suffix(tree, options.script_suffix)
    insist(tree, options.must_have)
    byte_compile(tree, options.keep_source)
    write_list(tree, Path(options.files), options.licence)


def drop(tree: Tree, paths: list[str]) -> None:
    """Remove what the override leaves out, and what only an installer on a running system would need."""
    for inside in paths:
        victim = tree.top / inside
        if not victim.is_file():
            sys.exit(f"elpack: {inside} is to be dropped, but is not there: the override is out of date")
        victim.unlink()
    for site in tree.sites():
        for name in NOT_SHIPPED:
            for path in site.glob(f"*.dist-info/{name}"):
                path.unlink()
        for path in site.glob("*.dist-info/INSTALLER"):
            path.write_text("rpm\n")
        for path in list(site.rglob("__pycache__/*.pyc")):
            path.unlink()


def drop_objects(tree: Tree) -> None:
    """Remove the object files that a build hook left beside the modules it linked of them."""
    for path in (path for site in tree.sites() for path in sorted(site.rglob("*.o"))):
        with path.open("rb") as file:
            head = file.read(18)
        if head.startswith(ELF) and int.from_bytes(head[16:18], sys.byteorder) == RELOCATABLE:
            print(f"elpack: left out, an object file: {path.relative_to(tree.top)}")
            path.unlink()


def normalise(tree: Tree, path: Path, epoch: int) -> bool:
    """Fix mode, time and shebang of one file; return whether it is an extension module or other machine code."""
    with path.open("rb") as file:
        head = file.read(256)
    is_elf = head.startswith(ELF)
    is_script = head.startswith(b"#!")
    speaks_python = is_script and b"python" in head.splitlines()[0]
    in_bin = path.parent == tree.top / "bin"
    if in_bin and speaks_python:
        rest = path.read_bytes().partition(b"\n")[2]
        path.write_bytes(f"#!{tree.interpreter}\n".encode() + rest)
    # rpm looks for requirements in executable files only; a module with a stray x bit is no command
    was_executable = bool(path.stat().st_mode & 0o111)
    executable = in_bin or (is_elf and (was_executable or ".so" in path.name))
    executable = executable or (is_script and was_executable and not speaks_python)
    path.chmod(0o755 if executable else 0o644)
    os.utime(path, (epoch, epoch))
    return is_elf


def add_suffix(tree: Tree, suffix: str) -> None:
    """Rename the commands, so that those of the default Python keep the plain names."""
    if suffix:
        for path in sorted((tree.top / "bin").glob("*")):
            path.rename(path.with_name(f"{path.name}-{suffix}"))


def insist(tree: Tree, wanted: list[str]) -> None:
    """Check that the files are there without which the package is broken, each given as PATTERN=COUNT."""
    short = []
    for pattern, _, least in (one.rpartition("=") for one in wanted):
        count = sum(path.is_file() for site in tree.sites() for path in site.glob(pattern))
        if count < int(least):
            short.append(f"elpack: {pattern}: {count} files are there, [[must-have]] asks for at least {least}")
    if short:
        sys.exit("\n".join(short) + "\nThe package would be broken: look why its build left them out.")


def byte_compile(tree: Tree, keep_source: list[str]) -> None:
    """Compile every module; one that cannot be compiled is an error unless an override names it."""
    outdated = [path for path in keep_source if not fails(tree, path)]
    if outdated:
        names = ", ".join(outdated)
        sys.exit(f"elpack: [[no-bytecompile]] is out of date: these compile or are not there: {names}")
    for site in tree.sites():
        kept = [re.escape(str(site / path)) for path in keep_source]
        skip = re.compile("|".join(f"^{path}$" for path in kept)) if kept else None
        good = compileall.compile_dir(
            site,
            maxlevels=100,
            quiet=1,
            rx=skip,
            stripdir=str(tree.root),
            prependdir="/",
            # EL's own build root policy makes both kinds below /usr
            optimize=-1 if tree.private else [0, 1],  # type: ignore[arg-type]  # typeshed knows one level only
            hardlink_dupes=not tree.private,
            invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
        )
        if not good:
            sys.exit("elpack: a module cannot be byte-compiled; name it under [[no-bytecompile]] with the reason")


def fails(tree: Tree, inside: str) -> bool:
    """Tell whether a file below site-packages is there and no compilable Python."""
    for path in (site / inside for site in tree.sites()):
        if path.is_file():
            try:
                compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
            except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
                return True
    return False


def write_list(tree: Tree, into: Path, licences: list[str]) -> None:
    """Write the list for %files -f: each file once, folders of its own, licences marked."""
    shared = {tree.top / "bin", tree.top / "lib", tree.top / "lib64", tree.top / "lib" / PYTHON, tree.purelib}
    shared |= {tree.top / "lib64" / PYTHON, tree.platlib}
    lines, licensed = [], False
    for path in tree.entries():
        if path in shared:
            continue
        name = "/" + quoted(str(path.relative_to(tree.root)))
        if path.is_dir() and not path.is_symlink():
            if tree.private or not SYSTEM_FOLDER.fullmatch(str(path.relative_to(tree.top))):
                path.chmod(0o755)
                lines.append(f'%dir "{name}"')
        elif any(LICENCE.match(str(path.relative_to(site))) for site in tree.sites() if site in path.parents):
            licensed = True
            lines.append(f'%license "{name}"')
        else:
            lines.append(f'"{name}"')
    if not licensed:
        lines += [f"%license {quoted(name)}" for name in licences]
    into.write_text("\n".join(lines) + "\n")


def quoted(path: str) -> str:
    """Return a path as %files takes it literally: glob characters in brackets, and braces as any one character.

    rpm expands macros in a list more than once, so that no escape holds, and drops backslashes: such names are refused.
    """
    if UNLISTABLE.search(path):
        sys.exit(f"elpack: {path!r} cannot stand in a file list: leave it out by [[drop]] with the reason")
    return re.sub(r"[{}]", "?", re.sub(r"([\[*?])", r"[\1]", path))


def build(options: argparse.Namespace) -> None:
    """Build a wheel of the source in the current folder by one call of its backend (PEP 517)."""
    import tomllib

    path = Path("pyproject.toml")
    system = tomllib.loads(path.read_text()).get("build-system", {}) if path.exists() else {}
    backend = system.get("build-backend", "setuptools.build_meta:__legacy__")
    sys.path[:0] = [str(Path.cwd() / folder) for folder in system.get("backend-path", [])]
    if backend.endswith(":__legacy__"):
        sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = backend.partition(":")
    hooks = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        hooks = getattr(hooks, name)
    Path(options.into).mkdir(parents=True, exist_ok=True)
    print(hooks.build_wheel(options.into))


def copy(options: argparse.Namespace) -> None:
    """Copy into the build root what installed packages own, and list it as they do: modes, owners, marks."""
    form = "[%{FILEFLAGS} %{FILEMODES} %{FILEMTIMES} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]"
    query = ["rpm", "--query", "--queryformat", form, *options.packages]
    lines: dict[str, str] = {}
    times: dict[Path, int] = {}
    for entry in subprocess.run(query, check=True, text=True, capture_output=True).stdout.splitlines():
        flags, mode, mtime, user, group, path = entry.split(" ", 5)
        if path in options.leave_out:
            continue
        into, is_folder = Path(options.root + path), stat.S_ISDIR(int(mode))
        into.parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            into.mkdir(exist_ok=True)
            times[into] = int(mtime)
        elif not os.path.lexists(path):
            sys.exit(f"elpack: {path} is not in the build root; were packages installed without documentation there?")
        elif not os.path.lexists(into):
            shutil.copy2(path, into, follow_symlinks=False)
        owned = "" if stat.S_ISLNK(int(mode)) else f"%attr({stat.S_IMODE(int(mode)):04o}, {user}, {group}) "
        marks = " ".join(mark for bit, mark in MARKS if int(flags) & bit)
        lines[path] = f'{owned}{"%dir " if is_folder else ""}{marks}{" " if marks else ""}"{quoted(path)}"'
    for folder, seconds in times.items():  # a folder's time is that of the last file to come
        os.utime(folder, (seconds, seconds))
    Path(options.files).write_text("".join(f"{lines[path]}\n" for path in sorted(lines)))


def check(options: argparse.Namespace) -> None:
    """Import each module in an interpreter of its own, from the build root and the private prefix."""
    tree = Tree(options.root, options.prefix)
    sites = os.pathsep.join(str(path) for path in tree.sites())
    environment = {**os.environ, "PYTHONPATH": sites, "PYTHONDONTWRITEBYTECODE": "1"}
    bad = []
    for module in options.modules:
        code = f"import importlib; importlib.import_module({module!r}); print('imported', {module!r})"
        if subprocess.run([tree.interpreter, "-s", "-c", code], env=environment, cwd="/", check=False).returncode:
            bad.append(module)
    if bad:
        sys.exit(f"elpack: cannot import {', '.join(bad)}")


if __name__ == "__main__":
    main()
