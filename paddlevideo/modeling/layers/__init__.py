"""Layers that are not of one network: activations, normalisation, initial values, input scaling.

May import what ``modeling`` may. Begin reading in `convolution`.
"""
