"""What the user reads about images that were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from elpack.steps.images.build import BuiltImage
    from elpack.steps.images.joint import Joined


def built_lines(made: Iterable[BuiltImage]) -> str:
    """Return some lines for each image."""
    return "\n".join(
        f"{one.archive.name}: {one.size / 1e6:.0f} MB, {one.platform}, "
        f"{'made before' if one.cached else f'made in {one.seconds:.0f} s'}\n  {one.index}\n  {one.archive}"
        for one in made
    )


def built_json(made: Iterable[BuiltImage], output: Path) -> dict[str, Any]:
    """Return the images as values for machines, by file name."""
    return {
        one.archive.name: {
            "flavour": one.flavour,
            "mode": one.mode,
            "tag": one.tag,
            "path": str(one.archive.relative_to(output)),
            "index": one.index,
            "manifest": one.manifest,
            "platform": one.platform,
            "size": one.size,
            "seconds": round(one.seconds, 1),
            "cached": one.cached,
        }
        for one in made
    }


def joined_lines(made: Iterable[Joined]) -> str:
    """Return some lines for each image of several platforms."""
    lines = []
    for one in made:
        how = "made before" if one.cached else "made now"
        lines += [f"{one.archive.name}: {one.size / 1e6:.0f} MB, {how}", f"  {one.index}"]
        lines += [f"  {platform}: {digest}" for platform, digest in one.platforms.items()]
        lines.append(f"  {one.archive}")
    return "\n".join(lines)


def joined_json(made: Iterable[Joined], dist: Path) -> list[dict[str, Any]]:
    """Return the images as values for machines."""
    return [
        {
            "target": one.target,
            "tag": one.tag,
            "path": str(one.archive.relative_to(dist)),
            "index": one.index,
            "platforms": dict(one.platforms),
            "size": one.size,
            "cached": one.cached,
        }
        for one in made
    ]
