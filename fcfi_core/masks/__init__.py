"""Masks: cleaning, outlines, run-length codes.

Conventions, the same in every function here:

* A *mask* is an (H, W) array of bool, True inside the object, rows from the top. Numbers are refused.
* Pixels are named ``(x, y)``, column first, and the pixel ``(x, y)`` covers the square from ``(x, y)``
  to ``(x + 1, y + 1)`` of the continuous image plane. *Polygons* live in that plane: they run along
  pixel **edges**, ``0 <= x <= W`` and ``0 <= y <= H``. One pixel is a unit square, a line of pixels has
  an area, and the whole image is the rectangle from ``(0, 0)`` to ``(W, H)``. COCO uses
  the same plane, and so do percentages whose 100 is the right edge: none needs half a pixel added or taken
  away.
* A pixel belongs to a polygon if its centre ``(x + 0.5, y + 0.5)`` does; a centre on an edge belongs
  to the polygon on one side only, so neighbours neither overlap nor leave gaps.
* Diagonal neighbours hang together inside the object and not outside it (in holes).
* Nothing here changes its arguments.

One module per run-length code, each with ``encode`` and ``decode``: :mod:`~fcfi_core.masks.coco`,
:mod:`~fcfi_core.masks.label_studio`, :mod:`~fcfi_core.masks.cvat`.
"""

from fcfi_core.masks.cleaning import clean
from fcfi_core.masks.extent import box_of, crop
from fcfi_core.masks.finish import RAW, USUAL, Finish
from fcfi_core.masks.points import innermost
from fcfi_core.masks.polygons import Polygon, Polygons, from_polygons, to_polygons

__all__ = [
    "RAW",
    "USUAL",
    "Finish",
    "Polygon",
    "Polygons",
    "box_of",
    "clean",
    "crop",
    "from_polygons",
    "innermost",
    "to_polygons",
]
