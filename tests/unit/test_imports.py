"""The shape of the program, kept by its import graph: pure code decides, and few modules touch the world."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

PURE = (
    "errors",
    "model",
    "naming",
    "openpgp",
    "requirements",
    "tables",
    "changelog",
    "delivery",
    "config",
    "cross",
    "targets",
    "listed",
    "lockfile",
    "selection",
    "freshness",
    "buildlock",
    "buildlock_text",
    "dsse",
    "overrides",
    "init",
    "licence_texts",
    "licences",
    "lineage",
    "escape",
    "images",
    "wheels",
    "pieces",
    "plan",
    "provenance",
    "plain",
    "sound_elf",
    "publication",
    "pylock",
    "strict",
    "render",
    "sbom",
    "sigstore",
    "checks",
    "service",
    "smoke",
    "standin",
)
"""What decides. Reading a data file of elpack's own is no effect; reading anybody else's is."""

EFFECTS = (
    "run",
    "supervise",
    "leftovers",
    "atomic",
    "intact",
    "engine",
    "fetch",
    "store",
    "archives",
    "tools",
    "builders",
    "steps",
    "pipeline",
    "each_arch",
    "universe",
    "session",
    "manifest",
    "workspace",
    "report",
    "cli",
)
"""What reads, writes, runs or shows. `manifest` reads and writes its file; `archives` reads what others made."""

EXEMPT = ("assets", "__main__")
"""assets are programs for the roots that elpack makes: they import nothing of elpack, and run on their own there."""

CONNECTING = ("asyncio", "ftplib", "http.client", "socket", "ssl", "urllib.request")
PROCESSES = ("multiprocessing", "pty", "subprocess")
EXITS = {"exit", "_exit", "abort", "SystemExit", "quit"}
LAYERS = ("cli", "report", "universe", "each_arch", "pipeline", "steps", "builders", "engine", "tools")
"""An upper one may import those after it, never the other way round."""


@dataclass(frozen=True)
class Module:
    """One file of elpack: its part, such as `steps`, and all that it imports, for types only or not."""

    name: str
    imports: frozenset[str]
    typing_only: frozenset[str]
    tree: ast.Module

    @property
    def part(self) -> str:
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def at_run_time(self) -> frozenset[str]:
        return self.imports - self.typing_only


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(SOURCE.glob("elpack/**/*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text())
        typing_only: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                typing_only |= _imports(ast.Module(node.body, []))
        elsewhere = _imports(tree, skip_typing=True)
        found.append(Module(name, frozenset(typing_only | elsewhere), frozenset(typing_only - elsewhere), tree))
    return tuple(found)


def _imports(tree: ast.AST, *, skip_typing: bool = False) -> set[str]:
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole module"
            # `from http import client` imports http.client, `from elpack import x` elpack.x
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif skip_typing and isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            found |= _imports(ast.Module(node.orelse, []))
        else:
            found |= _imports(node, skip_typing=skip_typing)
    return found


def checked() -> list[Module]:
    return [module for module in modules() if module.part not in EXEMPT]


def _parts(names: frozenset[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("elpack.")}


def _named(module: Module, wanted: tuple[str, ...]) -> set[str]:
    return {name for name in module.imports for want in wanted if name == want or name.startswith(f"{want}.")}


def test_the_graph_was_read() -> None:
    found = {module.name: module for module in modules()}
    assert "elpack.run" in found["elpack.session"].at_run_time
    assert "elpack.model" in found["elpack.steps.results"].imports
    assert "elpack.model" not in found["elpack.steps.results"].at_run_time
    assert "subprocess" in found["elpack.run"].imports
    assert "elpack.pipeline" in found["elpack.cli.build"].at_run_time, "imports inside of functions count"


def test_every_module_is_pure_or_has_effects() -> None:
    parts = {module.part for module in modules() if module.part}
    assert parts == {*PURE, *EFFECTS, *EXEMPT}
    assert not set(PURE) & set(EFFECTS)


@pytest.mark.parametrize("part", PURE)
def test_pure_code_never_imports_code_with_effects(part: str) -> None:
    for module in checked():
        if module.part == part:
            assert _parts(module.imports) & set(EFFECTS) == set(), module.name


def test_only_run_starts_processes() -> None:
    for module in checked():
        if module.name != "elpack.run":
            assert _named(module, PROCESSES) == set(), module.name
            forking = {name for name in _used_of(module, "os") if name.startswith(("exec", "spawn", "fork", "posix_s"))}
            assert forking == set(), module.name
            assert _used_of(module, "os") & {"system", "popen"} == set(), module.name


def test_only_fetch_opens_connections() -> None:
    for module in checked():
        if module.part != "fetch":
            assert _named(module, CONNECTING) == set(), module.name


def test_a_run_opens_its_store_once() -> None:
    """A second one waits for the first in vain, which the builds of other architectures hold while results are made."""
    openers = {module.name for module in checked() if "elpack.store.Store" in module.at_run_time}
    assert openers == {"elpack.session", "elpack.steps.airgap.make"}


def test_only_the_command_line_ends_the_process() -> None:
    for module in checked():
        if module.part != "cli":
            assert (_used_of(module, "sys") | _used_of(module, "os")) & EXITS == set(), module.name
            called = {node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
            raised = {node.exc for node in ast.walk(module.tree) if isinstance(node, ast.Raise)}
            names = {node.id for node in called | raised if isinstance(node, ast.Name)}
            assert names & EXITS == set(), module.name
    (guard,) = (module for module in checked() if module.name == "elpack.cli.guard")
    assert "exit" in _used_of(guard, "sys")


def test_only_the_terminal_s_modules_print() -> None:
    for module in checked():
        if module.part not in {"cli", "report"}:
            assert "rich" not in {name.split(".")[0] for name in module.imports}, module.name
            names = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
            assert "print" not in {name.id for name in names if isinstance(name, ast.Name)}, module.name


def test_layers_are_imported_downwards_only() -> None:
    for module in checked():
        if module.part in LAYERS:
            above = LAYERS[: LAYERS.index(module.part)]
            assert _parts(module.at_run_time) & set(above) == set(), module.name


def test_nothing_changes_the_process_itself() -> None:
    for module in checked():
        assert _used_of(module, "os") & {"chdir", "fchdir", "putenv", "unsetenv", "umask"} == set(), module.name
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign | ast.Delete):
                written = (ast.unparse(target) for target in node.targets)
                assert not any(text.startswith("os.environ") for text in written), module.name


def test_programs_for_the_roots_import_nothing_of_elpack() -> None:
    for module in modules():
        if module.part == "assets":
            assert _parts(module.imports) == set(), module.name


def _used_of(module: Module, name: str) -> set[str]:
    """Return the attributes that a module uses of another one."""
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == name}
