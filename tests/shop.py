"""A tiny application, app, and the one dist that it needs: its files, its lock and its build lock, for many tests."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

from elpack.buildlock import OWN_REQUIRES, BuildInputs

if TYPE_CHECKING:
    from collections.abc import Mapping

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "app"
version = "1.0"
dependencies = ["lib>=1"]
"""
METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
UV_LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "lib" }}]

[package.metadata]
requires-dist = [{{ name = "lib", specifier = ">=1" }}]

[[package]]
name = "lib"
version = "1.0"
source = {{ registry = "{index}" }}
wheels = [
    {{ url = "{url}", hash = "sha256:{sha256}", size = {size} }},
]
"""
BUILD_LOCK = """\
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.11"

[[packages]]
name = "installer"
version = "1.0"
wheels = [{{ url = "https://files.invalid/{name}", size = {size}, hashes = {{ sha256 = "{sha256}" }} }}]

"""


def build_lock_table(environment: str, digest: str) -> str:
    """Return elpack's own table of a build lock that was made for app's sdist, which needs nothing to be built."""
    inputs = BuildInputs({"app-1.0.tar.gz": (digest, ())}, tuple(sorted(OWN_REQUIRES)), (), (environment,))
    return (
        f'[tool.elpack]\nformat = 1\ndigest = "{inputs.digest()}"\nenvironments = ["{environment}"]\n'
        f"own = {json.dumps(inputs.own)}\noverrides = []\n\n"
        f'[tool.elpack.sdists."app-1.0.tar.gz"]\nsha256 = "{digest}"\nrequires = []\ndynamic = []\n'
    )


def wheel(
    name: str, version: str = "1.0", filler: int = 0, tag: str = "py3-none-any", more: Mapping[str, bytes] | None = None
) -> bytes:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"",
        f"{info}/METADATA": METADATA.format(name=name, version=version).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {str('any' in tag).lower()}\nTag: {tag}\n".encode(),
        **(more or {}),
    }
    if filler:
        files[f"{name}.bin"] = os.urandom(filler)
    record = "".join(f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return out.getvalue()


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def sdist(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"app-1.0/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
