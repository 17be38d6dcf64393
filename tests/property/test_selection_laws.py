"""Laws of the selection, on locks made at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker

from elpack.lockfile import parse_uv_lock
from elpack.naming import dist_name
from elpack.selection import select

if TYPE_CHECKING:
    from elpack.model import Target

MARKERS = (
    "python_full_version < '3.12'",
    "python_full_version >= '3.12'",
    "platform_machine == 'aarch64'",
    "sys_platform == 'win32'",
    "implementation_name == 'cpython' and platform_machine != 'aarch64'",
)
Graph = dict[int, list[tuple[int, str | None]]]

edges = st.lists(st.tuples(st.integers(0, 7), st.none() | st.sampled_from(MARKERS)), max_size=4)
graphs = st.fixed_dictionaries(dict.fromkeys(range(8), edges))


def lock_text(graph: Graph) -> str:
    entries = ['version = 1\nrevision = 5\nrequires-python = ">=3.11"\n']
    for number, required in graph.items():
        source = 'editable = "."' if number == 0 else 'registry = "https://pypi.org/simple"'
        lines = [f'{{ name = "p{to}"' + (f', marker = "{marker}"' if marker else "") + " }" for to, marker in required]
        dependencies = f"dependencies = [{', '.join(lines)}]"
        head = f'[[package]]\nname = "p{number}"\nversion = "{number}"'
        entries.append(f"{head}\nsource = {{ {source} }}\n{dependencies}\n")
    return "\n".join(entries)


def reachable(graph: Graph, target: Target) -> set[int]:
    """Return the closure by the plainest means: repeat until nothing is new."""
    found = {0}
    while True:
        held = {
            to
            for number in found
            for to, marker in graph[number]
            if marker is None or Marker(marker).evaluate(target.marker_environment())
        }
        if held <= found:
            return found
        found |= held


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(graph=graphs)
def test_the_selection_is_what_can_be_reached(el9_targets: list[Target], graph: Graph) -> None:
    lock = parse_uv_lock(lock_text(graph), "uv.lock")
    for target in el9_targets:
        selection = select(lock, dist_name("p0"), target)

        assert {dist.name for dist in selection.dists} == {f"p{number}" for number in reachable(graph, target)}
        names = set(selection.by_name())
        assert all(names.issuperset(dist.requires) and dist.name not in dist.requires for dist in selection.dists)
        assert [dist.name for dist in selection.dists] == sorted(names)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(graph=graphs, order=st.permutations(range(8)))
def test_the_order_of_entries_does_not_matter(el9_targets: list[Target], graph: Graph, order: list[int]) -> None:
    shuffled = {number: list(reversed(graph[number])) for number in order}
    one = select(parse_uv_lock(lock_text(graph), "uv.lock"), dist_name("p0"), el9_targets[0])
    other = select(parse_uv_lock(lock_text(shuffled), "uv.lock"), dist_name("p0"), el9_targets[0])

    assert [(dist.name, dist.requires) for dist in one.dists] == [(dist.name, dist.requires) for dist in other.dists]
