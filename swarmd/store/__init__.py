"""The state directory (DESIGN 5): one writer thread, atomic files, a journal, stories."""

from swarmd.store.store import FileStore

__all__ = ["FileStore"]
