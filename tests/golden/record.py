"""Write the plans that the golden specs are rendered from: python -m tests.golden.record [FOLDER], with a network.

The release is that of this repository, or of a copy of it in FOLDER.
"""

from __future__ import annotations

import io
import sys
from itertools import product
from pathlib import Path

from rich.console import Console
from tests.golden.recorded import LAYOUTS, PYTHONS, record_of, save

from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.workspace import Workspace

HERE = Path(__file__).parent


def main() -> None:
    """Plan the WAMP release for each target in each layout and write what the golden packages are."""
    home = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE.parents[1]
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    for target, layout in product(PYTHONS, LAYOUTS):
        session = Session(
            workspace,
            Options(target=target, arch="x86_64", layout=layout),
            Terminal(Console(file=io.StringIO()), quiet=True),
        )
        carry_out(session, "plan")
        save(session.plan, record_of(HERE, target, layout))


if __name__ == "__main__":
    main()
