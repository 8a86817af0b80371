"""What pyproject.toml cannot say: a wheel brings the demo and the training in fashion_xai/apps.

An editable install does not: there they are the checkout's own folders.
"""

import sys

from setuptools import find_namespace_packages, setup

PROGRAMS = ("demo", "training")


def found(name: str) -> list[str]:
    """A package and those below it, folders of data too."""
    return find_namespace_packages(include=[name, f"{name}.*"], exclude=["*.__pycache__"])


packages = found("fashion_xai")
places = {}
if "editable_wheel" not in sys.argv:
    for name in PROGRAMS:
        places[f"fashion_xai.apps.{name}"] = name
        packages += [f"fashion_xai.apps.{package}" for package in found(name)]
setup(packages=packages, package_dir=places)
