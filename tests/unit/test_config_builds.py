from __future__ import annotations

import pytest

from elpack.config.builds import Limits, read_builds, size, spelled
from elpack.naming import dist_name
from elpack.tables import parse_toml


def test_a_dist_has_the_general_limits_but_for_its_own() -> None:
    builds = read_builds(parse_toml("f", 'memory = "8G"\n[dist.Zlm_db]\ntime = 60\ndisk = "1T"'))
    assert builds.of(dist_name("txaio")) == Limits(memory=8 << 30)
    assert builds.of(dist_name("zlm-db")) == Limits(memory=8 << 30, time=60, disk=1 << 40)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('memory = "8"', "memory", "is not a size such as 500M"),
        ('memory = "0G"', "memory", "is not a size"),
        ('disk = "1M"', "disk", "expected 64M or more"),
        ("time = 0", "time", "expected 1 or more"),
        ("[dist.x]\nmemroy = 1", "dist.x.memroy", "unknown key"),
        ("[dist.x-y]\n[dist.x_y]", "dist.x_y", "twice, in two spellings"),
    ],
)
def test_mistakes_are_told_at_their_keys(text: str, where: str, what: str) -> None:
    table = parse_toml("f", text)
    read_builds(table)
    (problem,) = table.problems
    assert problem.where == f"f: {where}"
    assert what in problem.what


@pytest.mark.parametrize("text", ["500M", "8G", "1T"])
def test_sizes_are_spelled_as_they_are_read(text: str) -> None:
    assert spelled(size(text)) == text
