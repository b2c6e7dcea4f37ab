"""A model over HTTP and WebSocket: a video in, its classes out; frames in, answers out.

May import ``runtime``, ``video`` and ``utils``, never Paddle. Begin reading in `service`, then `app`.
"""
