"""Layers that are not of one network: activations, normalisation, initial values, input scaling."""
