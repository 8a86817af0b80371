"""What the server says when it has enough to do."""


class Busy(RuntimeError):
    """Too much is waiting; a sentence for the visitor."""
