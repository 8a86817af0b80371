"""The web demo: ``python demo/app.py``. Drop a photo, see six predictions and what they rest on.

Nothing but the start: the processes that decode photos run this file's first lines again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

if __name__ == "__main__":
    from demo.server import main

    sys.exit(main())
