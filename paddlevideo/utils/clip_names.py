"""What the clips of a batch are called: the agreement between pipelines and models.

A pipeline with one view of a video gives ``clip``. One with several, for a model that wants a video
at several sizes, gives ``clip_<view>`` for each.
"""

CLIP = "clip"


def clip_name(view: str) -> str:
    """The name of the clip of one of several views."""
    return f"{CLIP}_{view}"
