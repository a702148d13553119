"""No array of the kit escapes: each belongs to a case, and each kind of case has its test."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def test_every_array_belongs_to_a_case(kit):
    claimed = {array for case in kit.cases for array in case.arrays.values()}
    assert sorted(kit.everything() - claimed) == []


def test_every_kind_of_case_has_a_test(kit):
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r'@pytest\.mark\.cases\("(\w+)"\)', tests))
    assert {case.kind for case in kit.cases} - tested == set()


def test_every_case_has_arrays(kit):
    assert [case.name for case in kit.cases if not case.arrays] == []


def test_arrays_are_as_the_manifest_says(kit):
    for file, described in kit.manifest["files"].items():
        if file.endswith(".npz"):
            found = {
                key: (list(values.shape), str(values.dtype)) for key, values in kit.content(file).items()
            }
            assert found == {key: (entry["shape"], entry["dtype"]) for key, entry in described.items()}


def test_calibrations_are_finite(kit):
    for weights in kit.manifest["weights"].values():
        if weights.get("calib"):
            assert all(np.isfinite(values).all() for values in kit.content(weights["calib"]).values())
