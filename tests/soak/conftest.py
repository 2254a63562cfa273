"""The edge's fixtures serve here too."""

from tests.edge.conftest import contract, key, mint

__all__ = ["contract", "key", "mint"]
