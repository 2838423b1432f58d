"""Stub: everything is in setup.cfg; this adds the plugin file to the namespace twisted.plugins."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["dragonfly", "dragonfly.*"]), "twisted.plugins"])
