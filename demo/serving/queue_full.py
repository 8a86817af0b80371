"""What the server says when it has enough to do."""


class QueueFull(RuntimeError):
    """Too much is waiting; a sentence for the visitor."""
