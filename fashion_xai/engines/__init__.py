"""Runs over catalogues of any size: the same work on this machine, or on a Ray cluster.

:mod:`work` says what is made of a product, :mod:`parts` keeps what is finished, :mod:`local` and
:mod:`ray_data` compute what is not. All know a run as numbered chunks of products, so that a run
that stopped goes on with either engine.
"""
