"""From a bundle to files that ship: written from one graph, verified in a fresh process, recorded in the manifest."""
