"""edgekd: an image folder and a large teacher in, a small network that can be trusted on a phone out."""

__version__ = "0.1.0"
