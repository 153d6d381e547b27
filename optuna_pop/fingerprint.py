"""Short digests by which equal descriptions are known in any process."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(description: Any) -> str:
    """Return 16 hexadecimal digits: equal for equal descriptions in JSON types."""
    return digest(json.dumps(description, sort_keys=True).encode())


def digest(content: bytes) -> str:
    """Return 16 hexadecimal digits of a content."""
    return hashlib.sha256(content).hexdigest()[:16]
