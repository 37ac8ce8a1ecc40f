"""Notice that every saved result carries, and cautions about a scan."""

from __future__ import annotations

from dataclasses import dataclass

RESEARCH_USE = "research use, not for diagnosis"


@dataclass(frozen=True)
class Caution:
    """One unusual property of a scan.

    Attributes
    ----------
    kind : str
        Headline of a few words, such as ``noise``.
    text : str
        One or two sentences: what was found, and what it means for the result.
    """

    kind: str
    text: str
