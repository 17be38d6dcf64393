"""Asks a PEP 517 backend what it needs to build. Runs in a sandbox, with the backend's own Python.

Arguments: the sdist, an empty folder to unpack it into, the question (JSON: the sdist's top folder, backend,
backend-path and hook), and the file for the answer (JSON: an array of requirements). Without an sdist, the second
argument is a checkout.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import sys
import tarfile


def main(sdist: str, build: str, question: str, answer: str) -> None:
    """Write the answer."""
    asked = json.loads(question)
    if sdist:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") and not sdist.endswith(".zip") else {}
        shutil.unpack_archive(sdist, build, **safe)  # type: ignore[arg-type]
    os.chdir(os.path.join(build, asked["folder"]))  # noqa: PTH118 - a checkout's own path is absolute
    sys.path[:0] = [os.path.abspath(path) for path in asked["backend_path"]]  # noqa: PTH100 - strings go there
    module, _, attributes = asked["backend"].partition(":")
    backend = importlib.import_module(module)
    if attributes:
        backend = functools.reduce(getattr, attributes.split("."), backend)
    hook = getattr(backend, asked["hook"], list)
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would have to be imported
        json.dump(list(hook()), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
