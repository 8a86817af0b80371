"""Ray runs its workers at niceness 15: beside the other tests they would hardly get a core."""

import os

os.environ.setdefault("RAY_worker_niceness", "0")
