"""Debian's crates for what is Rust on PyPy: which they are, and how a source is made to take them."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from elpack.errors import BuildError
from elpack.images.crates import cargo_config, crates, with_versions
from elpack.images.model import RustDist
from elpack.naming import dist_name
from elpack.steps.images.pypy_rust import take_crates

if TYPE_CHECKING:
    from pathlib import Path

CARGO = """\
[package]
name = "fast"
version = "1.0.8"
[dependencies]
hex = "0.4.3"
pyo3 = { version = "0.26.0", features = ["extension-module"] }
pyo3-log = "0.13"
"""


def test_every_crate_is_pinned_once_and_comes_from_the_pool_of_a_mirror() -> None:
    found = crates("https://mirror.example/debian/")
    assert {file.url.partition("/pool/main/")[0] for file in found} == {"https://mirror.example/debian"}
    assert (
        len({file.filename.partition("_")[0] for file in found}) == len({file.sha256 for file in found}) == len(found)
    )
    assert all(file.size and file.filename.startswith("librust-") for file in found)
    assert {"librust-pyo3-dev", "librust-pyo3-ffi-dev"} <= {file.filename.partition("_")[0] for file in found}


def test_a_cargo_knows_the_folder_alone() -> None:
    config = tomllib.loads(cargo_config("/crates"))
    replaced = config["source"][config["source"]["crates-io"]["replace-with"]]
    assert (replaced, config["net"]) == ({"directory": "/crates"}, {"offline": True})


def test_other_versions_are_asked_for_of_the_crates_that_are_named_and_of_no_other() -> None:
    before, after = tomllib.loads(CARGO), tomllib.loads(with_versions(CARGO, {"pyo3": "0.28", "hex": "0.5"}))
    before["dependencies"]["pyo3"]["version"], before["dependencies"]["hex"] = "0.28", "0.5"
    assert after == before


def test_crates_that_are_asked_for_nowhere_are_told_all_at_once() -> None:
    with pytest.raises(ValueError, match="asks for no version of pyo, rayon"):
        with_versions(CARGO, {"rayon": "1.0", "pyo": "0.28", "hex": "0.5"})


def test_a_source_loses_its_pinned_crates_and_nothing_outside_of_it_changes(tmp_path: Path) -> None:
    outside, source = tmp_path / "outside", tmp_path / "fast-1.0"
    outside.write_text(CARGO)
    (source / "part").mkdir(parents=True)
    for name in ("Cargo.lock", "part/Cargo.lock"):
        (source / name).write_text("")
    (source / "Cargo.toml").symlink_to(outside)
    take_crates(source, RustDist(dist_name("fast"), {"pyo3": "0.28"}, "x"))
    assert outside.read_text() == CARGO
    assert [path.name for path in source.rglob("Cargo.*")] == ["Cargo.toml"]
    assert 'version = "0.28"' in (source / "Cargo.toml").read_text()


def test_a_source_that_asks_for_other_crates_is_told(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text(CARGO)
    with pytest.raises(BuildError, match=r"fast cannot take Debian's crates: .*no version of rayon"):
        take_crates(tmp_path, RustDist(dist_name("fast"), {"rayon": "1.0"}, "x"))
