"""How many clicks does it take? The simulated annotator, metrics, data sets, comparison, reports.

>>> from fcfi_core.evaluation import Folder, evaluate      # doctest: +SKIP
>>> report = evaluate(predictor, [Folder("photos")])       # doctest: +SKIP
>>> report.main.datasets[0].metrics()["noc@90"]            # doctest: +SKIP
3.2
"""

from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.samples import Sample, Selection, choose
from fcfi_core.evaluation.benchmark import Rules, noc, trace
from fcfi_core.evaluation.clicker import Clicker, NearBorder, UniformJitter, next_click
from fcfi_core.evaluation.runner import Report, evaluate

__all__ = [
    "Clicker",
    "Dataset",
    "Folder",
    "NearBorder",
    "Report",
    "Rules",
    "Sample",
    "Selection",
    "UniformJitter",
    "choose",
    "evaluate",
    "next_click",
    "noc",
    "trace",
]
