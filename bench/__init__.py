"""Side-by-side measurements of Weft, its peers and its limits: `python -m bench [--quick] [row …]`."""
