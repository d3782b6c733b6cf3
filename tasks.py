"""The tasks of this repository are the tasks of k8sbuild."""

from k8sbuild.tasks import ns

__all__ = ["ns"]
