"""`elpack universe` on small checkouts: what changed and what depends on it is built, and nothing else."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.integration.universe import TARGET, Cosmos, cosmos
from tests.integration.wamp import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.integration, pytest.mark.root]

PLACE = "el9-standin/x86_64"
SAME = dict.fromkeys(("app", "base", "ghost", "lib"), "not changed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Cosmos:
    """Return the small universe after its first run."""
    needs(*TOOLS)
    found = cosmos(tmp_path_factory.mktemp("cosmos"))
    found.run("lock")
    done = found.run("universe", *TARGET)
    assert "no checkout at ../ghost: sdists from the index take their place" in done.stderr
    assert done.stderr.count("no checkout at") == 1, "told once, not for each part of the run"
    assert "image: skipped, because elpack.toml has no [images]" in done.stdout
    assert done.stdout.index("\n base 1.0") < done.stdout.index("\n lib 1.0") < done.stdout.index("\n app 1.0")
    return found


def test_everything_lies_where_it_is_looked_for(made: Cosmos) -> None:
    assert sorted(path.name for path in (made.dist / "sdists").iterdir()) == [
        *(f"{name}-1.0.tar.gz" for name in ("app", "base", "ghost", "lib")),
    ]
    assert len(list((made.dist / PLACE / "repo").glob("*.rpm"))) == 5
    record = json.loads((made.dist / "universe.json").read_text())
    assert sorted(record["places"]) == [PLACE, "sdists", "wheels"]
    assert [path.name for path in (made.dist / "wheels").glob("*.whl")] == ["lib-1.0-py3-none-any.whl"]
    assert made.run("verify", "--dist", "dist-universe", "--json").returncode == 0


def test_without_a_change_there_is_nothing_to_do(made: Cosmos) -> None:
    before, built = made.content(), made.built()
    assert made.universe("--offline") == {"sdists": SAME, "wheels": {"lib": "not changed"}, PLACE: SAME}
    assert made.content() == before
    assert made.built() == built


def test_a_change_rebuilds_what_depends_on_it_and_a_failure_keeps_what_was_finished(made: Cosmos) -> None:
    before, built = made.content(), made.built()
    source = made.folder / "lib" / "lib.py"
    text = source.read_text()
    source.write_text(f"{text}ANSWER = 42\n")
    found = made.universe("--offline")
    assert found["sdists"] == {**SAME, "lib": "its source changed"}
    assert found["wheels"] == {"lib": "its source changed"}
    again = {name.removeprefix("crossbar-python3.11-").split("-")[0] for name in made.built()[len(built) :]}
    assert "lib" in again
    assert again <= {"lib", "app"}
    reasons = {"lib": "its source changed", "app": "lib changed"}
    assert found[PLACE] == {**SAME, **{name: reasons[name] for name in again}}

    record = json.loads((made.dist / "universe.json").read_text())["places"]
    source.write_text(f"{text}raise SystemExit('broken on purpose')\n")
    carriers = ("--carrier", "sdist", "--carrier", "rpm")
    done = made.run("universe", *TARGET, *carriers, "--offline", "--keep-going", code=18)
    assert "lib 1.0" in done.stdout
    assert "broken on purpose" in done.stderr
    failed = json.loads((made.dist / "universe.json").read_text())["places"]
    assert failed["sdists"]["lib"] != record["sdists"]["lib"]
    assert failed[PLACE] == record[PLACE], "the RPMs are those of the source before"

    source.write_text(text)
    built = made.built()
    shutil.rmtree(made.dist)
    found = made.universe("--offline")
    assert set(found[PLACE].values()) == {"built before"}, "results that were removed are laid out again"
    assert made.content() == before, "the same sources give the same bytes"
    assert made.built() == built


def test_wrong_usage_and_carriers_that_the_release_does_not_have(made: Cosmos) -> None:
    assert "no such carrier: floppy" in made.run("universe", "--carrier", "floppy", code=2).stderr
    assert "elpack.toml has no [images]" in made.run("universe", "--carrier", "image", "--offline", code=10).stderr
