"""The documentation says what the program does: links, commands, options, exit codes, keys and recipes are there."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from packaging.version import Version

from elpack.cli import app
from elpack.config import parse_release
from elpack.errors import ElpackError
from elpack.naming import rpm_version
from elpack.overrides import parse_overrides
from elpack.tables import Table
from elpack.targets import known_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


def commands(group: Any, before: str = "") -> dict[str, Any]:
    """Return all commands by their words, those of a group such as `image` behind its name."""
    found: dict[str, Any] = {}
    for name, one in group.commands.items():
        found |= commands(one, f"{before}{name} ") if hasattr(one, "commands") else {f"{before}{name}": one}
    return found


COMMANDS = commands(typer.main.get_command(app))
GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def cells(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of every table."""
    for row in ROW.findall(text):
        yield [cell.strip() for cell in row.split("|")]


def codes(text: str) -> set[str]:
    return set(CODE.findall(text))


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#|\Z)", FENCE.sub("", text), re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {heading}"
    return found[1]


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def typed(text: str) -> str:
    """Return all that a reader may type: code blocks and code spans."""
    return "\n".join([*(block for _, block in FENCE.findall(text)), *CODE.findall(FENCE.sub("", text))])


def kinds(error: type[ElpackError]) -> Iterator[type[ElpackError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return what tables were asked for, by their heading in the reference."""
    found: dict[str, set[str]] = {}
    done = Table.done

    def recorded(table: Table) -> None:
        key = re.sub(r"^(first-party|targets)\..*", lambda match: f"{match[1]}.<{match[1]}>", table.key)
        name = re.sub(r"\[\d+\]$", "", key)
        heading = f"[{name}]" if name == key else f"[[{name}]]"
        found.setdefault(heading, set()).update(table._asked)
        done(table)

    monkeypatch.setattr(Table, "done", recorded)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    text = FENCE.sub("", path.read_text())
    wrong = []
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        goal = (path.parent / name).resolve() if name else path
        if not goal.exists() or (anchor and anchor not in anchors(goal.read_text())):
            wrong.append(link)
    assert not wrong


def test_every_page_can_be_found() -> None:
    linked = {
        (source.parent / link.partition("#")[0]).resolve()
        for source in PAGES
        for link in LINK.findall(source.read_text())
        if "://" not in link
    }
    linked |= {ROOT / "README.md", *(ROOT / "docs" / "decisions").iterdir()}
    assert not [path for path in PAGES if path not in linked]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_and_its_options(name: str) -> None:
    rows = {row[0]: row for row in cells(section(page("command-line.md"), "Commands"))}
    options = section(page("command-line.md"), "Options")
    described = rows[f"`elpack {name}`"][2].strip("`").split()
    parameters = [parameter for parameter in COMMANDS[name].params if parameter.name != "help"]
    assert len(described if described != ["none"] else []) == len(parameters)
    for parameter in parameters:
        assert set(parameter.opts) & set(described), parameter.opts
        assert set(parameter.opts) <= codes(options), parameter.opts


def test_no_command_is_invented() -> None:
    form = rf"\belpack ((?:(?:{'|'.join(sorted(GROUPS))}) )?[a-z][a-z-]*)"
    named = chain.from_iterable(re.findall(form, typed(path.read_text())) for path in PAGES)
    assert set(named) <= COMMANDS.keys() | GROUPS


def test_exit_codes() -> None:
    table = {row[0]: row[1] for row in cells(section(page("command-line.md"), "Exit codes")) if row[0].isdigit()}
    for kind in kinds(ElpackError):
        assert f"`{kind.__name__}`" in table[str(kind.exit_code)], kind
    known = {str(kind.exit_code) for kind in kinds(ElpackError)}
    assert table.keys() == known | {"0", "2"}


def test_keys_of_the_release_file(asked: dict[str, set[str]]) -> None:
    text = page("release-file.md")
    parse_release((ROOT / "elpack.toml").read_text())
    top = asked.pop("[]")
    headings = {"[first-party.<first-party>]": "[first-party.<dist>]", "[targets.<targets>]": "[targets.<target>]"}
    for table, keys in asked.items():
        heading = f"`{headings.get(table, table)}`"
        described = {key for row in cells(section(text, heading)) for key in codes(row[0])}
        assert described == keys, heading
    named = re.findall(r"^#+ `\[+([a-z-]+)", text, re.MULTILINE)
    assert top == set(named)


def test_examples_of_the_release_file() -> None:
    blocks = [block for kind, block in FENCE.findall(page("release-file.md")) if kind == "toml"]
    assert parse_release("\n".join(blocks)).application.name == "crossbar"


def test_keys_of_override_files(asked: dict[str, set[str]]) -> None:
    text = page("override-files.md")
    parse_overrides({"any.toml": ""})
    described = {re.sub(r"[`\[\]]", "", row[0]) for row in cells(text) if row[0].startswith("`[")}
    assert described == asked["[]"]
    for kind, block in FENCE.findall(text):
        assert kind == "toml"
        assert parse_overrides({"any.toml": block})


def test_targets() -> None:
    head = next(cells(page("targets.md")))
    assert {name.strip("`") for name in head[1:]} == set(known_targets())


def test_versions() -> None:
    rows = [row for row in cells(page("names-and-versions.md")) if row[0].startswith("`") and row[0][1].isdigit()]
    assert rows
    for upstream, rpm, _ in rows:
        version = Version(upstream.strip("`"))
        if rpm == "refused":
            with pytest.raises(ValueError, match="cannot order"):
                rpm_version(version)
            continue
        assert re.findall("`(.+?)`", rpm)[0] == rpm_version(version)
        assert (f"Epoch: {version.epoch}" in rpm) == bool(version.epoch)


def test_recipes() -> None:
    recipes = set(re.findall(r"^([a-z][a-z0-9-]*)(?: [^:\n]+)?:", (ROOT / "justfile").read_text(), re.MULTILINE))
    named = set(chain.from_iterable(re.findall(r"\bjust ([a-z][a-z0-9-]*)", typed(path.read_text())) for path in PAGES))
    assert "rpm-all" in named
    assert named <= recipes


def test_makefile() -> None:
    goals = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile.rpm").read_text(), re.MULTILINE))
    named = set(re.findall(r"make -f Makefile.rpm ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named == goals - {"help"}
