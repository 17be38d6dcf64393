"""Write what every dist of the WAMP closure requires: python -m tests.contract.record_requirements, with a network."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.workspace import Workspace

RECORD = Path(__file__).parents[1] / "data" / "requirements" / "crossbar-closure.json"


def main() -> None:
    """Plan the release for Python 3.12 and write each dist's version and Requires-Dist."""
    home = RECORD.parents[3]
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    session = Session(
        workspace, Options(target="el9", arch="x86_64"), Terminal(Console(file=io.StringIO()), quiet=True)
    )
    carry_out(session, "plan")
    inputs = session.gathered.inputs
    found = {}
    for dist in inputs.selection.dists:
        file = inputs.chosen[dist.name].file
        assert file is not None
        metadata = inputs.facts[file.sha256].metadata
        found[dist.name] = {"version": metadata.version, "requires_dist": list(metadata.requires_dist)}
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
