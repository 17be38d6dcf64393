"""Hostile texts in real builds: many wheels and one sdist, in one run of the bwrap builder on the stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hostile.corpus import EVIL, LOCK, RELEASE, sdist, wheel
from tests.hostile.text.metadata import core
from tests.hostile.text.names import FILES
from tests.hostile.text.payloads import ALL, LINE_ENDS, MACROS, SHELL
from tests.hostile.text.release import SERVICE, toml
from tests.shop import build_lock_table, sha256

from elpack.escape import summary_line

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.integration]

REPOSITORY = Path(__file__).parents[2]
OWN = {"installer", "packaging", "pip", "setuptools", "wheel"}
SITE = "/opt/shop/lib/python3.11/site-packages"
SUMMARIES = {
    **{f"macro-{name}": f"About {text} end" for name, text in MACROS.items()},
    **{f"line-{name}": f"About{end}%post{end}{EVIL}" for name, end in LINE_ENDS.items() if end.strip("\n\r\0")},
    "shell": ALL,
    "backslash": "About a \\",
}
NAMES = {f"file-{name}": text for name, text, code in FILES if not code}
ENTRY = """
[[package]]
name = "NAME"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://files.pythonhosted.org/STEM-1.0-py3-none-any.whl", hash = "sha256:DIGEST" },
]
"""
BACKEND = """\
import zipfile
from pathlib import Path

def build_wheel(folder, settings=None, metadata=None):
    files = {
        "app.py": "def main(): ...\\n",
        "app-1.0.dist-info/METADATA": Path("PKG-INFO").read_text(),
        "app-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "app-1.0.dist-info/entry_points.txt": "[console_scripts]\\napp = app:main\\n",
        "app-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(f"{folder}/app-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "app-1.0-py3-none-any.whl"
"""


def a_wheel(name: str) -> bytes:
    stem = name.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    names = [f"{NAMES[name]}.py", f"{stem}-1.0.data/data/share/{NAMES[name]}"] if name in NAMES else []
    files = {
        f"{stem}.py": b"",
        **dict.fromkeys(names, b""),
        f"{info}/METADATA": core(name, {"Summary": SUMMARIES.get(name, "A library")}, body=f"%post\n{ALL}\n"),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return wheel(files, info=info)


def write(home: Path) -> None:
    """Write a release with all of it: an application with a hostile service, file and changelog, and its wheels."""
    dists = sorted((*SUMMARIES, *NAMES))
    downloads = home / ".elpack" / "downloads"
    downloads.mkdir(parents=True)
    for path in (REPOSITORY / ".elpack" / "downloads").glob("*"):
        if path.name.partition("-")[0] in OWN:
            shutil.copy2(path, downloads)
    entries = []
    for name in dists:
        data, stem = a_wheel(name), name.replace("-", "_")
        (downloads / f"{stem}-1.0-py3-none-any.whl").write_bytes(data)
        entries.append(ENTRY.replace("NAME", name).replace("STEM", stem).replace("DIGEST", sha256(data)))
    head = LOCK.partition('\n[[package]]\nname = "lib"')[0]
    head = head.replace('[{ name = "lib" }]', "[" + ", ".join(f'{{ name = "{name}" }}' for name in dists) + "]")
    required = ", ".join(f'{{ name = "{name}" }}' for name in dists)
    head = head.replace('[{ name = "lib", specifier = ">=1" }]', f"[{required}]")
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "app"\nversion = "1.0"\ndependencies = {json.dumps(dists)}\n'
        '[project.scripts]\napp = "app:main"\n'
    )
    summary = core("app", {"Summary": f"An application {ALL}"}, *(f"Requires-Dist: {name}" for name in dists))
    files = {
        "PKG-INFO": summary,
        "pyproject.toml": project.encode(),
        "backend.py": BACKEND.encode(),
        "app.py": b"",
        "README.md": f"%post\n{EVIL}\n".encode(),
        f"LICENSE {SHELL}": b"",
        "uv.lock": (head + "".join(entries)).encode(),
    }
    source = sdist(files)
    (downloads / "app-1.0.tar.gz").write_bytes(source)
    service = SERVICE | {"description": f"It's {SHELL} $({EVIL}) `{EVIL}`", "exec": [*SERVICE["exec"], ALL[:-2], "%h"]}
    release = RELEASE.replace("SDIST_SHA256", sha256(source)).replace("[targets.el9]", "[targets.el9-standin]")
    release += 'python = "3.11"\n[[asset]]\nsource = "app.json"\ndestination = "/etc/app/app.json"\n[service]\n'
    release += "".join(f"{key} = {toml(value)}\n" for key, value in service.items())
    (home / "elpack.toml").write_text(release)
    (home / "app.json").write_text(f"{ALL}\n%post\n")
    (home / "specs").mkdir()
    text = toml([ALL, "%post", SHELL, "* Mon Nov 02 2026 Mallory <m@example.org> - 9"])
    entry = f'[[entry]]\ndist = "app"\nversion = "1.0"\nrevision = 1\ndate = 2026-11-01\ntext = {text}\n'
    (home / "specs" / "changelog.toml").write_text(entry)
    lock = (REPOSITORY / "pylock.build.toml").read_text().partition("\n[tool.elpack")[0]
    first, *blocks = lock.split("[[packages]]")
    kept = [block for block in blocks if block.split('"')[1] in OWN]
    table = build_lock_table("3.11 x86_64", sha256(source))
    (home / "pylock.build.toml").write_text("[[packages]]".join((first, *kept)) + "\n" + table)


@pytest.fixture(scope="module")
def built(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it all; return the release's folder."""
    needs("mmdebstrap", "dpkg-deb", "rpmbuild", "createrepo_c", "dnf", "bwrap", "rpm")
    home = tmp_path_factory.mktemp("shop")
    write(home)
    standin = Path(os.environ.get("ELPACK_STANDIN", REPOSITORY / ".elpack" / "standin"))
    standin.mkdir(parents=True, exist_ok=True)
    (home / ".elpack" / "standin").symlink_to(standin)
    options = ("--target", "el9-standin", "--arch", "x86_64", "--builder", "bwrap", "--unsigned")
    command = (sys.executable, "-m", "elpack", "rpm", *options)
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return home


def rpm_of(built: Path, name: str) -> Path:
    (path,) = built.glob(f"dist/el9-standin/x86_64/repo/**/{name}-1.0.0-1.el9s.*.rpm")
    return path


def query(built: Path, name: str, form: str) -> str:
    command = ["rpm", "-qp", "--nosignature", "--qf", form, str(rpm_of(built, name))]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_what_the_metadata_says(name: str, built: Path) -> None:
    package = f"shop-python3.11-{name}"
    expected = summary_line(SUMMARIES[name], name, 79)
    assert query(built, package, "%{SUMMARY}") == expected
    said = query(built, package, "%{DESCRIPTION}").replace("\n", " ")
    assert " ".join(said.split()).startswith(" ".join(f"{name}: {expected}.".split()))
    assert EVIL not in query(
        built, package, r"[%{REQUIRES}\n][%{PROVIDES}\n][%{FILENAMES}\n]%{PREIN}%{POSTIN}%{POSTUN}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_files_have_their_names(name: str, built: Path) -> None:
    files = query(built, f"shop-python3.11-{name}", r"[%{FILENAMES}\n]").splitlines()
    assert f"{SITE}/{NAMES[name]}.py" in files
    assert f"/opt/shop/share/{NAMES[name]}" in files


def test_the_application_says_it_all_and_does_none_of_it(built: Path, tmp_path: Path) -> None:
    changes = [line.rstrip() for line in query(built, "app", r"[%{CHANGELOGTEXT}\n]").splitlines()]
    assert changes == [f"- {ALL}", "- %post", f"- {SHELL}", "- * Mon Nov 02 2026 Mallory <m@example.org> - 9"]
    scripts = query(built, "app", "%{PREIN}%{POSTIN}%{PREUN}%{POSTUN}")
    assert not re.search(r"[`%]|\$\(" + EVIL, scripts), scripts
    assert f"-c 'Its ({EVIL}) ({EVIL}) {EVIL}'" in scripts
    unpack = ("rpm", "--root", tmp_path, "--dbpath", "/db", "-i", "--nodeps", "--noscripts", "--nosignature")
    subprocess.run([*unpack, rpm_of(built, "app")], check=True, capture_output=True)
    unit = (tmp_path / "usr/lib/systemd/system/app.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert start.startswith(f'/opt/shop/bin/app "%{SHELL} %%{{lua:')
    assert start.endswith(' "%%h"')
    assert f"Description=It's %{SHELL} $({EVIL}) `{EVIL}`\n" in unit
    assert (tmp_path / "etc/app/app.json").read_text() == f"{ALL}\n%post\n"


def test_nothing_was_started(built: Path) -> None:
    """The canary program is in no build root: who starts it there is told that it is not found."""
    logs = [path.read_text(errors="replace") for path in built.glob("dist/**/*.log")]
    assert logs
    started = [line for text in logs for line in text.splitlines() if EVIL in line and "not found" in line]
    assert not started
    assert not list(built.rglob(EVIL))
