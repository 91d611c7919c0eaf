"""A benchmark: artefacts x devices x threads, measured, merged into rows, and kept as one report."""
