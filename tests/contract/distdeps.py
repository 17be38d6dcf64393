"""rpm's own Python generator, asked about dists that exist as metadata only, with the options that EL9 gives it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GENERATOR = Path("/usr/lib/rpm/pythondistdeps.py")
REQUIRES = ("--requires", "--require-extras-subpackages", "--console-scripts-nodep-setuptools-since", "3.10")
PROVIDES = ("--provides", "--normalized-names-provide-both", "--majorver-provides-versions", "3.9")
# The generator runs once for each dist in an RPM build; here one process runs it for all, which takes a tenth.
_DRIVER = """
import contextlib, io, json, runpy, sys
script, answers = sys.argv[1], []
for arguments in json.load(sys.stdin):
    out, sys.argv = io.StringIO(), [script, *arguments]
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(script, run_name="__main__")
        answers.append(out.getvalue().splitlines())
    except (Exception, SystemExit) as error:
        answers.append([f"failed: {error.__cause__ or error}"])
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Metadata:
    """What the generator sees of a dist. `extra` asks for the metapackage of that extra."""

    name: str = "dist"
    version: str = "1.0"
    requires_dist: tuple[str, ...] = ()
    extra: str = ""


def missing() -> str:
    """Return why the generator cannot be asked, or nothing."""
    if not GENERATOR.exists():
        return f"{GENERATOR}, rpm's Python generator"
    if "--namespace" in GENERATOR.read_text():
        return "rpm's Python generator of EL9's age; the one here is newer and has other differences"
    done = subprocess.run([_interpreter(), "-c", "import packaging"], capture_output=True, check=False)
    return f"packaging for {_interpreter()}" if done.returncode else ""


def ask(folder: Path, options: tuple[str, ...], dists: list[Metadata]) -> list[list[str]]:
    """Return the lines that the generator prints for each dist; a failure is a line that begins with 'failed:'."""
    runs = []
    for number, dist in enumerate(dists):
        path = folder / str(number) / "python3.12" / "site-packages" / f"{dist.name}.dist-info"
        path.mkdir(parents=True, exist_ok=True)
        lines = ["Metadata-Version: 2.1", f"Name: {dist.name}", f"Version: {dist.version}"]
        lines += [f"Provides-Extra: {dist.extra}"] if dist.extra else []
        lines += [f"Requires-Dist: {text}" for text in dist.requires_dist]
        (path / "METADATA").write_text("\n".join(lines) + "\n")
        rpm = f"python3.12-{dist.name}" + (f"+{dist.extra}" if dist.extra else "")
        runs.append([*options, "--normalized-names-format", "pep503", "--package-name", rpm, str(path)])
    done = subprocess.run(
        [_interpreter(), "-c", _DRIVER, str(GENERATOR)],
        input=json.dumps(runs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


def clauses(lines: list[str]) -> dict[str, frozenset[str]]:
    """Return what is said of each capability, whether in one expression or in several; X stands for its name."""
    found: dict[str, set[str]] = {}
    for line in lines:
        match = re.search(r"python3\.12dist\([^)]*\)", line)
        if match is None:
            assert line == "python(abi) = 3.12", line
            continue
        text = line.replace(match.group(), "X")
        assert not re.search(r" (and|if|unless|without) ", text), line
        # theirs puts a `with` into another one; how they are nested means nothing
        parts = re.findall(r"\(X [^()]+ or X [^()]+\)|X [<>=]+ [^ ()]+", text)
        found.setdefault(match.group(), set()).update(parts)
    return {name: frozenset(said) for name, said in found.items()}


def _interpreter() -> str:
    """Return the Python that rpm runs the generator with, which must have `packaging`."""
    shebang = GENERATOR.read_text().partition("\n")[0] if GENERATOR.exists() else ""
    return shebang.removeprefix("#!").split()[0] if shebang.startswith("#!") else sys.executable
