"""Transforms of a whole clip: an array in, an array out. One file each."""
