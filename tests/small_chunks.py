"""The command line with chunks of eight products, so that little work is many chunks:
``python -m tests.small_chunks audit …``."""

import sys

from fashion_xai import classifier
from fashion_xai.__main__ import main
from fashion_xai.engines import parts

SIZE = 8

if __name__ == "__main__":
    parts.CHUNK = SIZE
    classifier.FashionClassifier.__init__.__defaults__ = (SIZE, None, None)  # its batch_size
    sys.exit(main(sys.argv[1:]))
