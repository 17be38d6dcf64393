"""Where the files of a dist will be once installed, known before anything is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.model import WheelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.model import SdistFacts
    from elpack.plan.model import Package

_DATA = re.compile(r"[^/]+\.data/(?P<scheme>[a-z]+)/(?P<rest>.+)")
_VENDORED = re.compile(r"(?:^|/)[^/]+\.libs/(?P<soname>[^/]+\.so[^/]*)$")


def installed_paths(package: Package, facts: WheelFacts | SdistFacts, python: str) -> Iterator[str]:
    """Yield the paths that a package will own: all of a wheel's, of an sdist only the scripts that it declares.

    Bytecode is left out, and so is what the package's override drops.
    """
    dropped = {f"{package.prefix}/{path}" for path in package.drop}
    if isinstance(facts, WheelFacts):
        scripts = (*facts.console_scripts, *facts.gui_scripts)
        lib = "lib" if package.private or facts.root_is_purelib else "lib64"
        inside: Iterator[str] = (wheel_path(file.path, python, lib) for file in facts.files)
    else:
        scripts, inside = facts.scripts, iter(())
    for path in (*inside, *(f"bin/{script.name}" for script in scripts)):
        if (full := f"{package.prefix}/{path}") not in dropped:
            yield full + package.script_suffix if path.startswith("bin/") else full
    for file in package.installed:
        yield file.destination
    for command in package.expose:
        yield f"/usr/bin/{command}"


def wheel_path(member: str, python: str, lib: str = "lib") -> str:
    """Return where an installer puts a wheel's member, below the prefix (binary distribution format, *.data).

    python: CPython's version, or what another interpreter is called, such as pypy3.11.
    """
    name = f"python{python}" if python[:1].isdigit() else python
    site_packages = f"{lib}/{name}/site-packages"
    found = _DATA.fullmatch(member)
    if found is None:
        return f"{site_packages}/{member}"
    folder = {
        "purelib": f"lib/{name}/site-packages/",
        "platlib": f"{site_packages}/",
        "scripts": "bin/",
        "headers": f"include/{name}/",
        "data": "",
    }
    return folder.get(found["scheme"], "") + found["rest"]


def vendored_sonames(facts: WheelFacts) -> tuple[str, ...]:
    """Return the shared libraries that auditwheel put into the wheel; rpm must neither offer nor ask for them."""
    found = (_VENDORED.search(file.path) for file in facts.files)
    return tuple(sorted(match["soname"] for match in found if match))
