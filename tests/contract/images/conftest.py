"""What the tests of images under a policy share: the newer tools, and a publisher with two releases in a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.images.engines import build, context, engine, look
from tests.contract.images.newer import newer_tools
from tests.contract.images.publisher import OLD, TAG, Publisher
from tests.contract.images.registry import NEEDED, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.images.newer import Newer


@pytest.fixture(scope="session")
def newer(needs: Callable[..., None]) -> Newer:
    needs(*NEEDED)
    return newer_tools(needs)


@pytest.fixture(scope="session")
def publisher(newer: Newer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    folder = tmp_path_factory.mktemp("publisher")
    with serving(folder / "registry") as registry:
        publisher = Publisher(registry, folder)
        publisher.release(OLD)
        publisher.release(TAG)
        yield publisher


__all__ = ["build", "context", "engine", "look"]  # fixtures
