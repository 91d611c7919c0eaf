"""What `edgekd.evaluate` measures of a bundle: one file each."""
