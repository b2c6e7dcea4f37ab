"""A model over HTTP and WebSocket: a video in, its classes out; frames in, answers out.

May import ``runtime``, ``video``, ``utils`` and sources of frames, never Paddle. Begin reading in
`service`, then `app`.
"""
