"""That the user closed the window; here, as the window itself imports what draws."""


class WindowClosedError(Exception):
    """The user has closed the window: the stream ends, cleanly."""
