"""Content-addressed storage of trees and results, and work trees made from it."""

from k8sbuild.store.audit import Damage
from k8sbuild.store.result import Result
from k8sbuild.store.store import Store
from k8sbuild.store.tree import EMPTY, Entry, Tree

__all__ = ["EMPTY", "Damage", "Entry", "Result", "Store", "Tree"]
