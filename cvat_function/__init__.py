"""CVAT: a nuclio interactor and tracker, functions for CVAT's agents, and a script that upgrades tasks.

Everything here translates between CVAT's words and ``fcfi_core``; nothing computes on pixels.
``main.py`` and ``tracker.py`` are also what nuclio runs: it copies this folder to ``/opt/nuclio`` and
imports them as top-level modules, while the rest comes from the installed package.
"""
