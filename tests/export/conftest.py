"""The small exported model of the runtime's tests."""

from runtime.conftest import bundle_dir, exported, model, video

__all__ = ["bundle_dir", "exported", "model", "video"]
