"""What the clips of a batch are called: the agreement between pipelines and models.

A pipeline with one input gives ``clip``. One with several, for a model that wants a video
at several sizes, gives ``clip_<input>`` for each.
"""

CLIP = "clip"


def clip_name(name: str) -> str:
    """The name of the clip of one of several inputs."""
    return f"{CLIP}_{name}"
