"""The plugin manager: finds, checks, orders and asks plugins."""

from __future__ import annotations

from .manager import Broken, Plugin, Plugins, load

__all__ = ["Broken", "Plugin", "Plugins", "load"]
