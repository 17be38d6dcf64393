"""What of a release's smoke test is tried with its images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elpack.smoke import HOME, concrete

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from elpack.images.model import Pypy
    from elpack.smoke import Smoke, SmokeStep


@dataclass(frozen=True, slots=True)
class ImageSmoke:
    """Which steps of `Smoke` make sense for images, and how.

    steps: names of those that are each taken in a container of its own, where nothing else runs. outside: names of
    those that are taken in another container, on the host's network, while the application runs in one. kept: files
    below the volume that a restart keeps as they are.
    """

    steps: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def mistakes(self, smoke: Smoke) -> Iterator[tuple[str, str]]:
        """Yield what does not fit the release's own smoke test: the key and a sentence."""
        known = {step.name: step for step in smoke.steps}
        for key, names in (("steps", self.steps), ("outside", self.outside)):
            for name in names:
                step = known.get(name)
                if step is None:
                    yield key, f"there is no step {name!r}"
                elif not step.run or step.background or step.ends or step.user or step.state:
                    yield key, f"step {name!r} is not one command that runs by itself as the image's own user"


def image_steps(
    names: tuple[str, ...],
    smoke: Smoke,
    places: Mapping[str, str],
    versions: Mapping[str, str],
    ports: Mapping[int, int] | None = None,
) -> tuple[SmokeStep, ...]:
    """Return the named steps with nothing left to replace.

    places: prefix, python and home; ports: those of the image by what the host knows them as. Where a step starts
    in the ordinary user's home, it starts in that of the image. Raises `ConfigError`, see `concrete`.
    """
    by_name = {step.name: concrete(step, smoke, places, versions, ports) for step in smoke.steps if step.name in names}
    found = (by_name[name] for name in names)
    return tuple(replace(step, directory=places["home"]) if step.directory == HOME else step for step in found)


SLOWER = 3
"""How much longer PyPy may take: it starts cold each time, and its compiler earns that back after minutes only."""


def on_pypy(smoke: Smoke, pypy: Pypy) -> Smoke:
    """Return a smoke test with the commands that some steps have on PyPy, and the words that they say there."""
    steps = tuple(
        replace(step, run=pypy.run.get(step.name, step.run), expect=pypy.expect.get(step.name, step.expect))
        for step in smoke.steps
    )
    return replace(smoke, steps=steps)
