"""What overrides are judged by: files that they cite, and how other targets take the same dists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.unit.plans import LIB, OWN, RELEASE, Case, el9
from tests.unit.test_archives_sdist import make_sdist

from elpack.config import parse_release
from elpack.errors import LockError, Problem
from elpack.model import Layout, Policy
from elpack.naming import dist_name
from elpack.overrides import parse_overrides
from elpack.plan.policy import choose_file, target_tags
from elpack.steps.closure import Closure
from elpack.steps.gather_overrides import cited_files, taken_elsewhere

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.model import Target

PROOF = '[[bundled]]\nname = "x"\nversion = "{}"\nfile = "{}"\ntext = "x"\nreason = "y"\n'
BUILD_LOCK = """\
lock-version = "1.0"
created-by = "uv"
packages = []
[tool.elpack]
format = 1
environments = ["3.12 x86_64", "3.12 aarch64"]
"""


def test_cited_files_are_read_once_and_missing_ones_left_out(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, {"deps/a.h": b"one \xff", "deps/b.h": b"two"})
    overrides = parse_overrides(
        {
            "own.toml": PROOF.format("1", "deps/a.h") + PROOF.format("2", "gone.h"),
            "lib.toml": PROOF.format("1", "lib.py"),
        }
    )
    inputs = Case().inputs()
    assert cited_files(overrides, inputs.chosen, {OWN.sha256: path}) == {(OWN.sha256, "deps/a.h"): "one \ufffd"}


def closed(target: Target, version: str) -> Closure:
    dists = tuple(dist.selected() for dist in (OWN, replace(LIB, version=version)))
    ranks = target_tags(target)
    chosen = {dist.name: choose_file(dist, target, ranks, first_party=dist.name == "own") for dist in dists}
    selection = replace(Case().inputs().selection, dists=dists)
    return Closure(target=target, layout=Layout.STACK, version="2.0", selection=selection, chosen=chosen)


def test_other_targets_are_asked_and_this_one_is_not() -> None:
    release = parse_release(RELEASE + 'arches = ["x86_64", "aarch64"]\n')
    asked = []

    def close(target: Target, layout: Layout) -> Closure:
        asked.append((target.arch, layout))
        return closed(target, "0.9" if target.arch == "x86_64" else "1.0")

    found = taken_elsewhere(release, el9(), Layout.BUNDLE, close, BUILD_LOCK)
    assert asked == [("aarch64", Layout.STACK)]
    ((lib,), (own,)) = found[dist_name("lib")], found[dist_name("own")]
    assert (str(lib.version), lib.policy, lib.unasked) == ("1.0", Policy.WHEEL, Policy.WHEEL)
    assert (str(own.version), own.policy, own.unasked) == ("1.5", Policy.SDIST, Policy.SDIST)


def test_a_lock_that_cannot_serve_another_target_is_that_target_s_matter() -> None:
    release = parse_release(RELEASE + 'arches = ["x86_64", "aarch64"]\n')

    def close(_target: Target, _layout: Layout) -> Closure:
        raise LockError(Problem("not for this one"))

    assert taken_elsewhere(release, el9(), Layout.STACK, close, BUILD_LOCK) == {}
