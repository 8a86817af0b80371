"""What pyproject.toml cannot say: a wheel brings the demo and the training in fashion_xai/apps.

An editable install does not: there they are the checkout's own folders.
"""

import sys

from setuptools import find_packages, setup

PROGRAMS = ("demo", "training")

packages = find_packages(include=["fashion_xai", "fashion_xai.*"])
places = {}
if "editable_wheel" not in sys.argv:
    for name in PROGRAMS:
        places[f"fashion_xai.apps.{name}"] = name
        packages += [f"fashion_xai.apps.{p}" for p in find_packages(include=[name, f"{name}.*"])]
setup(packages=packages, package_dir=places)
