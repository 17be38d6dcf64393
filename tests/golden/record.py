"""Write the plans that the golden specs are rendered from: python -m tests.golden.record, with a network."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from tests.golden.recorded import PYTHONS, save

from elpack.pipeline import Options, Session, carry_out
from elpack.report.terminal import Terminal
from elpack.workspace import Workspace

HERE = Path(__file__).parent


def main() -> None:
    """Plan the WAMP release for each target and write what the golden packages are."""
    home = HERE.parents[1]
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    for target in PYTHONS:
        session = Session(
            workspace,
            Options(target=target, arch="x86_64"),
            Terminal(Console(file=io.StringIO()), quiet=True),
        )
        carry_out(session, "plan")
        save(session.plan, HERE / f"{target}.json")


if __name__ == "__main__":
    main()
