"""The tests, by the part of the tree that they are about; and what they share: harness, mesh, seeds and checks of a run."""
