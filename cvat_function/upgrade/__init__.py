"""Shapes of a CVAT task turned into masks: ``fcfi cvat upgrade-task``.

``prompts``  a rectangle, polygon or set of points -> what the predictor needs
``server``   the task or job on the server, with its patience
``outcomes`` what became of each shape, so that an interrupted run goes on where it stopped
``run``      the work itself
"""
