"""Gives a tree that uv made its final form: a venv in form, as the RPMs have it, with bytecode that is never stale.

Run by the target's own Python, in a sandbox or in the first stage of a Containerfile; needs nothing but the standard
library. ``finish_tree.py bare TREE`` follows `uv venv`, ``finish_tree.py finish TREE`` comes last. TREE is a JSON file:
the prefix, the interpreter, the text of pyvenv.cfg, the paths below site-packages that are not byte-compiled, folders
with bytecode of dists that were compiled before, and all files that there may be below the prefix, with their digests
as far as they are known before.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import py_compile
import shutil
import sys
from pathlib import Path

IS_PYPY = sys.implementation.name == "pypy"
PYTHON = f"{'pypy' if IS_PYPY else 'python'}{sys.version_info.major}.{sys.version_info.minor}"
NOT_SHIPPED = ("direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER")
TAG = sys.implementation.cache_tag
LINKS = {Path("lib64"), *(Path("bin", name) for name in ("python", "python3", PYTHON))}
ELF = b"\x7fELF"
RELOCATABLE = b"#!/bin/sh\n'''exec' "
"""How uv begins a command of a relocatable tree: with a shell, which an image need not have."""


def main() -> None:
    """Parse the command line and do what it says; a problem ends the work with one line."""
    _, action, file = sys.argv
    told = json.loads(Path(file).read_text(encoding="utf-8"))
    prefix = Path(told["prefix"])
    if action == "bare":
        bare(prefix, told["python"])
    else:
        finish(prefix, told["pyvenv"], told["keep_source"], told["bytecode"])
        check(prefix, told["files"], told["keep_source"])


def bare(prefix: Path, interpreter: str) -> None:
    """Leave of an empty tree what the RPM of the private prefix brings: links to the interpreter, and folders."""
    config = (prefix / "pyvenv.cfg").read_bytes()
    shutil.rmtree(prefix / "bin")
    for path in prefix.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (prefix / "bin").mkdir()
    (prefix / "bin" / PYTHON).symlink_to(interpreter)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(PYTHON)
    site_packages(prefix).mkdir(parents=True)
    (prefix / "lib64").symlink_to("lib")
    # uv looks at it, finish() writes it anew
    (prefix / "pyvenv.cfg").write_bytes(config)


def finish(prefix: Path, pyvenv: str, keep_source: list[str], bytecode: dict[str, str]) -> None:
    """Make modes, commands and records the same wherever the tree was made; compile it."""
    (prefix / "pyvenv.cfg").write_text(pyvenv, encoding="utf-8")
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (prefix / name).unlink(missing_ok=True)
    site = site_packages(prefix)
    for name in NOT_SHIPPED:
        for path in site.glob(f"*.dist-info/{name}"):
            path.unlink()
    for path in site.rglob("__pycache__/*.pyc"):
        path.unlink()  # some wheels bring their packer's
    for path in files_below(prefix):
        normalise(prefix, path)
    for record in sorted(site.glob("*.dist-info/RECORD")):
        write_record(record)
    compile_all(site, frozenset(keep_source), bytecode)


def site_packages(prefix: Path) -> Path:
    """Return where the tree keeps its modules."""
    return prefix / "lib" / PYTHON / "site-packages"


def files_below(top: Path) -> list[Path]:
    """Return all files below a folder, sorted; links are none."""
    found = []
    for folder, folders, names in os.walk(top):
        Path(folder).chmod(0o755)
        folders.sort()
        found += [path for name in names if not (path := Path(folder, name)).is_symlink()]
    return sorted(found)


def normalise(prefix: Path, path: Path) -> None:
    """Fix mode and shebang of one file by the rules that the RPMs follow (elpack_buildroot.py)."""
    with path.open("rb") as file:
        head = file.read(256)
    in_bin = path.parent == prefix / "bin"
    is_elf, is_script = head.startswith(ELF), head.startswith(b"#!")
    speaks_python = is_script and (head.startswith(RELOCATABLE) or b"python" in head.splitlines()[0])
    was_executable = bool(path.stat().st_mode & 0o111)
    if in_bin and speaks_python:
        lines = 3 if head.startswith(RELOCATABLE) else 1
        rest = path.read_bytes().split(b"\n", lines)[-1]
        path.unlink()  # its content may be the cache's as well
        path.write_bytes(f"#!{prefix}/bin/python\n".encode() + rest)
    executable = in_bin or (is_elf and (was_executable or ".so" in path.name))
    executable = executable or (is_script and was_executable and not speaks_python)
    path.chmod(0o755 if executable else 0o644)


def write_record(record: Path) -> None:
    """List what a dist has installed as it is by now, sorted; what is not there any more is left out."""
    site, own = record.parents[1], f"{record.parent.name}/RECORD"
    with record.open(encoding="utf-8", newline="") as file:
        names = sorted({row[0] for row in csv.reader(file) if row and row[0] != own and not row[0].endswith(".pyc")})
    rows = []
    for name in names:
        path = site / name
        if path.is_file():
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append((name, f"sha256={digest}", str(len(content))))
    record.unlink()
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*rows, (own, "", "")])
    record.chmod(0o644)


def compile_all(site: Path, keep_source: frozenset[str], ready: dict[str, str]) -> None:
    """Compile every module, but for dists whose bytecode is `ready`: a folder with it, by the name of their dist-info.

    Python writes a reference into bytecode for a string that happens to be in memory already. So the modules of one
    package of one dist have a process of their own: what they become does not hang on who else is there.
    """
    groups: dict[tuple[str, ...], list[Path]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        info = record.parent.name
        if info in ready:
            shutil.copytree(ready[info], site, dirs_exist_ok=True)
            continue
        for path in recorded(record):
            if path.suffix == ".py":
                inside = path.relative_to(site)
                groups.setdefault((info, *inside.parent.parts[:2]), []).append(path)
    running: set[int] = set()
    failed = False
    # the one that takes longest is not to be the last
    for paths in sorted(groups.values(), key=lambda paths: (-sum(path.stat().st_size for path in paths), paths)):
        while len(running) >= (os.cpu_count() or 1):
            failed |= wait_one(running)
        child = os.fork()
        if child == 0:
            os._exit(compile_each(site, paths, keep_source))
        running.add(child)
    while running:
        failed |= wait_one(running)
    if failed:
        sys.exit("elpack: a module cannot be byte-compiled; name it under [[no-bytecompile]] with the reason")


def recorded(record: Path) -> list[Path]:
    """Return the files below site-packages that a dist has installed, sorted."""
    with record.open(encoding="utf-8", newline="") as file:
        names = sorted({row[0] for row in csv.reader(file) if row})
    return [record.parents[1] / name for name in names if not name.startswith(("../", "/"))]


def wait_one(running: set[int]) -> bool:
    """Wait until one child ended; tell whether it failed."""
    child, status = os.wait()
    running.discard(child)
    return status != 0


def compile_each(site: Path, paths: list[Path], keep_source: frozenset[str]) -> int:
    """Compile modules; return an exit code."""
    code = 0
    for path in paths:
        inside = str(path.relative_to(site))
        if inside in keep_source:
            continue
        try:
            # nobody will look whether the source is newer: an image does not change
            py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except py_compile.PyCompileError as error:
            print(f"elpack: {inside}: {error.msg}", file=sys.stderr, flush=True)
            code = 1
    return code


def check(prefix: Path, expected: dict[str, str], keep_source: list[str]) -> None:
    """Compare the tree with what the locked wheels hold: nothing is missing, changed or added."""
    site = site_packages(prefix).relative_to(prefix)
    sources = {Path(path) for path in expected if path.endswith(".py") and path.startswith(f"{site}/")}
    sources -= {site / path for path in keep_source}
    compiled = {str(path.parent / "__pycache__" / f"{path.stem}.{TAG}.pyc") for path in sources}
    found = {str(path.relative_to(prefix)) for path in files_below(prefix)} - {"pyvenv.cfg"}
    bad = [f"{path}: is in no wheel" for path in found - expected.keys() - compiled]
    bad += [f"{path}: is missing" for path in (expected.keys() | compiled) - found]
    for path in found & expected.keys():
        digest = hashlib.sha256((prefix / path).read_bytes()).hexdigest() if expected[path] else ""
        if digest != expected[path]:
            bad.append(f"{path}: is not as in the wheel")
    for folder, folders, names in os.walk(prefix):
        links = [Path(folder, name) for name in (*folders, *names) if Path(folder, name).is_symlink()]
        bad += [f"{path.relative_to(prefix)}: is a link" for path in links if path.relative_to(prefix) not in LINKS]
    if bad:
        print(f"elpack: the tree is not what was locked, in {len(bad)} files", file=sys.stderr)
        sys.exit("\n".join(sorted(bad)[:20]))


if __name__ == "__main__":
    main()
