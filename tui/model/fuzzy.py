"""Filters as one remembers names: some of the letters, in their order."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=64)
def fuzzy(text: str) -> Callable[[str], bool]:
    """A test whether facts, words with spaces between them, fit what somebody typed.

    Each word that was typed fits if its letters stand in this order in one word of the facts:
    ``hw3`` finds ``homework-3``. Capital letters do not count.

    Args:
        text: What was typed.
    """
    words = [
        re.compile("[^ ]*?".join(map(re.escape, word)), re.IGNORECASE).search
        for word in text.split()
    ]
    return lambda facts: all(fits(facts) is not None for fits in words)
