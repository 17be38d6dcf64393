"""The images of the real release, pulled by a customer's podman under the documented policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.images.newer import newer_tools
from tests.contract.images.real import pulled_under_policy
from tests.contract.images.registry import NEEDED
from tests.integration.wamp import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.root]

TAG = "26.10.1-1.el9s"


@pytest.mark.parametrize("flavour", ["uv", "rpm"])
def test_a_real_image_is_judged_by_its_signature(
    images: dict[str, Any], needs: Callable[..., None], tmp_path: Path, flavour: str
) -> None:
    needs(*NEEDED)
    archive = OUTPUT / images[f"crossbar-{TAG}-{flavour}.oci.tar"]["path"]
    settings = pulled_under_policy(newer_tools(needs), tmp_path, [archive], f"{TAG}-{flavour}")
    assert (settings["User"], settings["Entrypoint"]) == ("1000:1000", ["crossbar"])
