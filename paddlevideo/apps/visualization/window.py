"""A window with the frames of a stream and the best classes so far on them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.apps.visualization.overlay import Overlay
from paddlevideo.apps.visualization.visualizations import best_shown
from paddlevideo.apps.visualization.window_closed import WindowClosedError
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import DeviceError

if TYPE_CHECKING:
    from PIL import ImageTk


class OverlayWindow:
    """Shows every frame as it comes; `Visualization`'s form.

    Args:
        title: of the window.
        labels: of all classes, where they are known.

    Raises:
        DeviceError: there is no display, or Python has no tkinter.
    """

    def __init__(self, title: str, labels: Sequence[str] | None) -> None:
        try:
            import tkinter

            self._root = tkinter.Tk()
        except Exception as error:  # noqa: BLE001 - TclError, of a module that may be missing
            raise DeviceError(_no_window(error)) from None
        self._root.title(title)
        self._closed = False
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._picture = tkinter.Label(self._root)
        self._picture.pack()
        self._labels = labels
        self._overlay: Overlay | None = None
        self._top: tuple[ClassScore, ...] = ()
        self._image: ImageTk.PhotoImage | None = None  # what Tk shows must be held

    def add(
        self, picture: Callable[[], np.ndarray], time_seconds: float, result: StreamResult | None
    ) -> None:
        """Show a frame, with the newest result on it.

        Raises:
            WindowClosedError: the user has closed the window.
        """
        from PIL import Image, ImageTk

        if result is not None:
            self._top = best_shown(result, self._labels)
        frame_HWC = picture()
        if self._top:
            height, width = frame_HWC.shape[:2]
            if self._overlay is None:
                names = tuple(self._labels or ())
                self._overlay = Overlay((width, height), len(self._top), names)
            frame_HWC = self._overlay.draw(frame_HWC, self._top, time_seconds)
        self._image = ImageTk.PhotoImage(Image.fromarray(frame_HWC))
        self._picture.configure(image=self._image)
        self._root.update()
        if self._closed:
            raise WindowClosedError

    def finish(self) -> None:
        """Close the window."""
        if not self._closed:
            self._root.destroy()
            self._closed = True

    def _close(self) -> None:
        self._closed = True
        self._root.destroy()


def _no_window(error: Exception) -> str:
    return f"--show: no window can be opened here ({error}); leave it out, or use --save_video FILE"
