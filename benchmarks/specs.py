"""Specs for the whole closure: elpack's one run beside the peers, which take one package per run."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.measure import median, progress, run
from benchmarks.peers import PEERS, Dist, install, make
from benchmarks.project import planned, sdists
from benchmarks.table import Table
from elpack.model import SdistFacts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.peers import Made, Peer
    from benchmarks.project import Settings

# rpmautospec's macros, which Fedora's build service fills in and EL9 lacks: not held against a spec
AUTOSPEC = ("--define", "autorelease 1", "--define", "autochangelog %{nil}")
SHOWN = 3
NOTES = (
    "given: dists that the generator was run on, the peers once for each.",
    "parse: specs that rpmspec -P takes without an error, with rpmautospec's %autorelease and %autochangelog defined.",
    "CPU s per spec counts what failed as well. The peers run from local files and without network.",
    "elpack, first run: nothing is known about the archives yet, as for the peers. What it reads is kept by digest.",
)


def run_benchmark(settings: Settings) -> Table:
    """See the module."""
    work = settings.work / "specs"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    dists = settings.first(_dists(settings))
    table = Table(
        "specs",
        f"spec files for {settings.target}, CPU seconds (user and system, children and start-up included)",
        ("generator", "given", "specs", "parse", "CPU s", "CPU s per spec", "vs elpack"),
    )
    floor = _own(settings, work, table)
    for peer in PEERS:
        made = _run_peer(peer, dists, work)
        specs = [one.spec for one in made if one.spec]
        cpu = sum(one.cost.cpu for one in made)
        each = cpu / len(specs) if specs else None
        table.rows.append(
            (peer.name, len(made), len(specs), _parsed(specs), cpu, each, each / floor if each is not None else None)
        )
        table.notes += _notes(peer, dists, made)
    table.notes += [*NOTES, f"Python's own start-up: {_start_up(settings):.3f} CPU s."]
    if settings.out:
        inputs = shutil.ignore_patterns("venv-*", "home", "*.whl", "*.gz")
        shutil.copytree(work, settings.out, dirs_exist_ok=True, ignore=inputs)
    return table


def _own(settings: Settings, work: Path, table: Table) -> float:
    """Add elpack's rows; return its CPU seconds per spec when it reads all archives, as the peers do."""
    elpack = (sys.executable, "-m", "elpack", "spec", "--offline", "--quiet", "--target", settings.target)
    home, out = _fresh_home(settings, work / "home"), work / "elpack"
    first, later = [], []
    run((*elpack, "--out", str(out)), cwd=home)  # leaves byte code, as an installation does
    for _ in range(settings.repeat):
        shutil.rmtree(home / ".elpack" / "facts", ignore_errors=True)
        for costs in (first, later):
            cost, code, text = run((*elpack, "--out", str(out)), cwd=home)
            if code:
                raise SystemExit(f"elpack spec failed:\n{text}")
            costs.append(cost)
    specs = sorted(out.glob("*.spec"))
    parsed = _parsed(specs)
    one = median(first).cpu / len(specs)
    for name, costs in (("elpack, first run", first), ("elpack", later)):
        cpu = median(costs).cpu
        table.rows.append((name, len(specs), len(specs), parsed, cpu, cpu / len(specs), cpu / len(specs) / one))
        progress(f"{name}: {cpu:.2f} CPU s for {len(specs)} specs")
    return one


def _start_up(settings: Settings) -> float:
    return median([run((sys.executable, "-c", "pass"))[0] for _ in range(settings.repeat)]).cpu


def _fresh_home(settings: Settings, home: Path) -> Path:
    """Return a copy of the project without its cache of facts; the downloads are the same."""
    source = settings.file.parent
    home.mkdir()
    shutil.copy(settings.file, home / "elpack.toml")
    shutil.copy(settings.workspace.build_lock, home)
    shutil.copytree(source / "specs", home / "specs")
    (home / ".elpack").mkdir()
    (home / ".elpack" / "downloads").symlink_to(settings.workspace.downloads)
    return home


def _dists(settings: Settings) -> list[Dist]:
    session = planned(settings)
    inputs, paths = session.gathered.inputs, session.gathered.paths
    files = sdists(inputs.selection.dists, paths, settings.work / "sdists")
    dists = []
    for dist in inputs.selection.dists:
        file = inputs.chosen[dist.name].file
        is_wheel = file is not None and not isinstance(inputs.facts[file.sha256], SdistFacts)
        wheel = paths[file.sha256] if file is not None and is_wheel else None
        dists.append(Dist(dist.name, str(dist.version), files.get(dist.name), wheel))
    return dists


def _run_peer(peer: Peer, dists: list[Dist], work: Path) -> list[Made]:
    slug = peer.name.replace(" ", "-").replace(",", "")
    progress(f"{peer.name}: installing")
    program = install(peer, work / f"venv-{slug}")
    wanted = [dist for dist in dists[:: peer.every] if not peer.wants(dist)]
    made = [make(peer, program, dist, work / slug / dist.name) for dist in wanted]
    progress(f"{peer.name}: {sum(one.cost.cpu for one in made):.1f} CPU s for {len(made)} dists")
    return made


def _notes(peer: Peer, dists: list[Dist], made: list[Made]) -> list[str]:
    notes = []
    if skipped := Counter(filter(None, (peer.wants(dist) for dist in dists[:: peer.every]))):
        reasons = ", ".join(f"{count} with {reason}" for reason, count in skipped.items())
        notes.append(f"{peer.name} was not given {reasons}.")
    if peer.every > 1:
        notes.append(f"{peer.name} was given one dist in {peer.every} only, because it is slow.")
    failures = Counter(_kind(one) for one in made if one.spec is None)
    for reason, count in failures.most_common(SHOWN):
        notes.append(f"{peer.name} failed on {count}: {reason}")
    return notes


def _kind(made: Made) -> str:
    """Return what a peer said, without the dist's own name in it, so that equal reasons count as one."""
    words = [
        "…" if "/" in word or made.dist.name.replace("-", "_") in word.lower().replace("-", "_") else word
        for word in made.said.split()
    ]
    return " ".join(words)[:160]


def _parsed(specs: Iterable[Path]) -> int:
    count = 0
    for spec in specs:
        _, code, text = run(("rpmspec", "-P", *AUTOSPEC, str(spec)))
        count += code == 0 and not any(line.startswith("error:") for line in text.splitlines())
    return count
