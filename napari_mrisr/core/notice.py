"""Notice that every saved result carries."""

from __future__ import annotations

RESEARCH_USE = "research use, not for diagnosis"
