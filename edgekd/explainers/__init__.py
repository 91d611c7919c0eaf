"""Explainers: which pixels spoke for a class. One file or folder per method; each gives maps [B, h, w] of classes [B].

White-box methods read a torch network, and their maps can be differentiated by its parameters, so that a loss can teach them.
"""
