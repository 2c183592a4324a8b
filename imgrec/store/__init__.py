"""Versions of a model in one folder: which one answers, which is tried, and how to go back."""

from imgrec.store.state import ACTIVE, CANARY, ROLES, SHADOW, State
from imgrec.store.store import Listed, Store
from imgrec.store.versions import Entry

__all__ = ["ACTIVE", "CANARY", "ROLES", "SHADOW", "Entry", "Listed", "State", "Store"]
