"""Replay: traces of the model on a real server, and random walks of the model and the server in step."""
