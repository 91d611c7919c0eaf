"""The int8 scheme: the graph that every artefact is written from, fake quantization, learnt ranges, exact integers."""
