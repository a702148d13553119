"""An exponential moving average of a network's weights: what is measured and shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Keeps ``average = decay * average + (1 - decay) * weights`` after each step.

    The decay starts small and grows to ``decay``, so that the random start is forgotten quickly.
    Buffers (running statistics) are averaged alike; integer buffers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self.weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the present weights of ``network`` into the average."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        averaged, present = [], []
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                averaged.append(self.weights[name])
                present.append(tensor)
            else:
                self.weights[name].copy_(tensor)
        torch._foreach_lerp_(averaged, present, 1 - decay)

    def state(self) -> dict[str, Tensor | int]:
        """Return the average for a training checkpoint."""
        return {
            "updates": self._updates,
            **{f"weights.{name}": tensor for name, tensor in self.weights.items()},
        }

    def restore(self, state: dict[str, Tensor | int]) -> None:
        """Continue from what :meth:`state` returned."""
        self._updates = int(state["updates"])
        for name, tensor in self.weights.items():
            tensor.copy_(state[f"weights.{name}"])
