"""What can stop the mesh from running, each said in one sentence."""


class MeshFault(Exception):
    """The mesh cannot go on. The message is one sentence: what is wrong, and what to do about it."""
