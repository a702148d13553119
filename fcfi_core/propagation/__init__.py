"""A mask carried from one frame of a video to the others.

The last frame's mask is the prior mask of the next one, and its innermost point the click, so a model that
corrects a given mask follows an object that moves by less than its own size. What keeps the mask on the same
object is its appearance (:mod:`fcfi_core.appearance`), fitted on the frames that a person has seen and on no
others.

:mod:`~fcfi_core.propagation.state` is what is known of an object between two frames, ``following`` one step
from frame to frame, ``track`` a whole video with the corrections that a person makes.
"""

from fcfi_core.propagation.following import LOST, Limits, Step, begin, follow
from fcfi_core.propagation.state import State
from fcfi_core.propagation.track import Track, Tracked

__all__ = ["LOST", "Limits", "State", "Step", "Track", "Tracked", "begin", "follow"]
