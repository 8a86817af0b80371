"""Notebooks, drawn photos, and files for clusters; no part of the package."""
