"""Data sets on disk: photos with their objects, one file per format, for evaluation, training and pipelines.

``opening`` asks the readers in turn: ``folder``, ``coco``, ``voc``, ``tables`` (CSV, JSON lines), ``yolo``,
``labelme``, ``datumaro``, and those of platform packages. Each gives a ``dataset.Dataset`` of
``objects.AnnotatedPhoto``. ``photos`` is the one rule of finding photos, ``left_out`` the one count of what
cannot be used, ``samples`` and ``split`` choose.
"""
