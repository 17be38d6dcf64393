"""The real rpm, asked about specs with EL9's macros; those of the stand-in have the same names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_STANDIN = REPOSITORY / "src" / "elpack" / "standin" / "files"
_ASSETS = REPOSITORY / "src" / "elpack" / "assets"


def macro_options(dist: str = ".el9", sources: Path | None = None) -> list[str]:
    """Return the options that give rpmspec and rpmbuild EL9's macros. `sources` is the folder of the spec's sources."""
    files = sorted(_STANDIN.glob("*/usr/lib/rpm/macros.d/macros.*"))
    # that one is a template for the dist tag, which is set here
    files = [path for path in files if path.name != "macros.dist"]
    files += [_STANDIN / "redhat-rpm-config/usr/lib/rpm/debian/macros", _ASSETS / "macros.elpack"]
    options = [f"--load={path}" for path in files] + ["--define", f"dist {dist}"]
    # the one script of those macros that parsing a spec starts, from where it lies in the source
    script = _STANDIN / "systemd-rpm-macros/usr/lib/rpm/elpack/sysusers-to-shell"
    options += ["--define", f"sysusers_create_compat() %(bash {script} %{{?*}})"]
    return options + (["--define", f"_sourcedir {sources}"] if sources else [])


def rpmspec(*arguments: str, cwd: Path | None = None) -> str:
    """Return what rpmspec prints. An error or a warning of rpm fails the test."""
    done = subprocess.run(["rpmspec", *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def rpmlint(*paths: Path) -> list[str]:
    """Return the lines of rpmlint's findings under the project's configuration, errors and warnings."""
    # the machine's own configuration is not ours
    environment = {**os.environ, "CONFIG_DISABLE_AUTOLOADING": "1"}
    start = "from rpmlint.cli import lint; lint()"
    command = [sys.executable, "-c", start, "-c", str(REPOSITORY / "rpmlint.toml"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    text = done.stdout + done.stderr
    assert "specfiles checked" in text, text
    return [line for line in text.splitlines() if ": E: " in line or ": W: " in line]
