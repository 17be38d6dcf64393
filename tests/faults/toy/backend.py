"""A build backend without requirements: the smallest release is the fastest to break."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

_NAME = "toy-1.0"
_METADATA = """\
Metadata-Version: 2.4
Name: toy
Version: 1.0
Summary: An application to break runs with
License-Expression: MIT
License-File: LICENSE
Requires-Python: >=3.11
Requires-Dist: attrs==25.4.0
Requires-Dist: six==1.17.0
"""


def build_wheel(folder: str, _settings: object = None, _metadata: object = None) -> str:
    """Write the wheel."""
    info = f"{_NAME}.dist-info"
    files = {
        "toy/__init__.py": Path("src/toy/__init__.py").read_text(),
        f"{info}/METADATA": _METADATA,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntoy = toy:main\n",
        f"{info}/licenses/LICENSE": Path("LICENSE").read_text(),
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(Path(folder) / f"{_NAME}-py3-none-any.whl", "w") as wheel:
        for name, text in (*files.items(), (f"{info}/RECORD", record)):
            wheel.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return f"{_NAME}-py3-none-any.whl"


def build_sdist(folder: str, _settings: object = None) -> str:
    """Write the source distribution."""
    with tarfile.open(Path(folder) / f"{_NAME}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name in ("LICENSE", "backend.py", "pyproject.toml", "src/toy/__init__.py"):
            archive.add(name, f"{_NAME}/{name}")
        metadata = tarfile.TarInfo(f"{_NAME}/PKG-INFO")
        metadata.size = len(_METADATA)
        archive.addfile(metadata, io.BytesIO(_METADATA.encode()))
    return f"{_NAME}.tar.gz"
