"""The training loop: a pool of episodes, several clicks per step, resumable to the exact step.

Every slot of the pool holds one object on its way. A step encodes the crops once, decodes them for
each of the step's clicks with gradients, and lets the simulated annotator click on each prediction;
afterwards a slot either goes on with its object or gets a new one. Nothing random depends on
anything but the seed, the step and the crop's index.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcfi_core.engines.layout import points_of
from fcfi_core.errors import WeightsError
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.pyramid import Encoder
from fcfi_core.training.average import AveragedWeights
from fcfi_core.training.configuration import TrainingConfiguration
from fcfi_core.training.crops import CropSampler
from fcfi_core.training.episodes import Episode, start_episode
from fcfi_core.training.gradients import quicken_gradients
from fcfi_core.training.objective import round_loss
from fcfi_core.training.prefetch import Prefetcher

_POINTS_PER_SIGN = 24
_USUAL_WINDOW = 0.3


class Trainer:
    """Trains one network on crops of one sampler.

    Args:
        network: on its device already; pretrained parts filled in.
        sampler: draws crops by index.
        configuration: the run.
        device: of network and batches.
    """

    def __init__(
        self,
        network: InteractiveNetwork,
        sampler: CropSampler,
        configuration: TrainingConfiguration,
        device: torch.device,
    ) -> None:
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.type == "cpu":
            quicken_gradients(self.network)
        self.configuration = configuration
        self.step = 0
        self.crops_seen = 0
        self.seconds = 0.0
        self.longest_step = 0.0
        self._device = device
        self._sampler = sampler
        self._pool: list[Episode] = []
        self._frozen, groups = parameter_groups(network, configuration)
        self._optimizer = torch.optim.AdamW(groups, weight_decay=configuration.optimizer.weight_decay)
        corrections = (module for module in network.modules() if isinstance(module, FeedbackCorrection))
        # A network whose FFCM was taken out for an experiment is still asked to be right near the click.
        self._window_ratio = next((module.expansion_ratio for module in corrections), _USUAL_WINDOW)
        self.average = AveragedWeights(network, configuration.optimizer.average)
        self._prefetcher: Prefetcher | None = None
        self._annotators: ThreadPoolExecutor | None = None

    def run(self, after_step: Callable[[Trainer, dict[str, float]], bool]) -> None:
        """Train from the present step to the last one, or until ``after_step(self, figures)`` says no."""
        workers = self.configuration.workers
        try:
            goes_on = True
            self._annotators = ThreadPoolExecutor(workers, "annotator") if workers > 1 else None
            while goes_on and self.step < self.configuration.steps:
                started = time.perf_counter()
                figures = self._one_step()
                self.step += 1
                seconds = time.perf_counter() - started
                self.seconds += seconds
                self.longest_step = max(self.longest_step, seconds)
                goes_on = after_step(self, figures)
        finally:
            if self._prefetcher is not None:
                self._prefetcher.close()
                self._prefetcher = None
            if self._annotators is not None:
                self._annotators.shutdown()
                self._annotators = None

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, tensors and plain values only."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "crops_seen": self.crops_seen,
            "seconds": self.seconds,
            "pool": [episode.state() for episode in self._pool],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state` returned.

        Raises:
            WeightsError: if the checkpoint belongs to another architecture.
        """
        try:
            self.network.load_state_dict(state["network"])
            self.average.restore(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self.crops_seen = int(state["step"]), int(state["crops_seen"])
            self.seconds = float(state["seconds"])
            self._pool = [Episode.restored(episode) for episode in state["pool"]]
        except (KeyError, RuntimeError, ValueError) as error:
            raise WeightsError(
                f"the training checkpoint does not fit this configuration ({str(error).splitlines()[0]}); "
                "change 'out' or delete the checkpoint to start afresh."
            ) from None

    def _one_step(self) -> dict[str, float]:
        configuration, phase = self.configuration, self.configuration.phase_at(self.step)
        torch.manual_seed(configuration.seed * 1_000_003 + self.step)  # dropout, when a run is continued
        episodes = self._filled_pool(phase.size, phase.batch)
        self._set_learning_rate()
        self._train_mode()
        images = np.stack([episode.crop.image for episode in episodes])
        image = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float().div_(255)
        image = image.contiguous(memory_format=torch.channels_last)
        target = torch.from_numpy(np.stack([episode.crop.target for episode in episodes]))
        target = target.unsqueeze(1).to(self._device)
        exact = torch.tensor([episode.crop.exact for episode in episodes], device=self._device)
        total, figures = torch.zeros((), device=self._device), {}
        with torch.autocast(self._device.type, torch.bfloat16, enabled=configuration.precision == "bfloat16"):
            encoding = self.network.encode(image)
            for index in range(configuration.sampling.rounds):
                loss, probability = self._round(encoding, target, exact, episodes)
                total = total + loss
                figures[f"loss_{index + 1}"] = float(loss.detach())
                figures[f"iou_{index + 1}"] = _mean_iou(probability, target)
                self._correct(episodes, probability[:, 0].cpu().numpy())
        self._optimizer.zero_grad(set_to_none=True)
        (total / configuration.sampling.rounds).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), configuration.optimizer.clip)
        self._optimizer.step()
        self.average.update(self.network)
        self._retire(episodes)
        figures["gradient"] = float(norm)
        figures["clicks"] = float(np.mean([len(episode.clicks) for episode in episodes]))
        return figures

    def _correct(self, episodes: list[Episode], predictions: NDArray[np.float32]) -> None:
        """Let every episode's annotator click; each has random numbers of its own, so the order is free."""

        def correct(episode: Episode, prediction: NDArray[np.float32]) -> None:
            episode.correct(prediction, self.configuration.sampling)

        if self._annotators is None:
            for episode, prediction in zip(episodes, predictions, strict=True):
                correct(episode, prediction)
        else:
            list(self._annotators.map(correct, episodes, predictions))

    def _round(
        self, encoding: Any, target: Tensor, exact: Tensor, episodes: list[Episode]
    ) -> tuple[Tensor, Tensor]:
        configuration = self.configuration
        points, new_points, gate = batch_clicks(episodes)
        points, new_points, gate = points.to(self._device), new_points.to(self._device), gate.to(self._device)
        feedback = torch.from_numpy(np.stack([episode.feedback for episode in episodes])).unsqueeze(1)
        output = self.network.decode(
            encoding,
            feedback.to(self._device),
            points,
            new_points,
            gate,
            soft_window=configuration.loss.window == "soft",
        )
        with torch.autocast(self._device.type, enabled=False):
            loss = round_loss(
                output, target, exact, points, new_points, configuration.loss, self._window_ratio
            )
        return loss, torch.sigmoid(output.logits.detach().float())

    def _filled_pool(self, size: int, batch: int) -> list[Episode]:
        """Return one episode per slot, drawing crops for the empty slots."""
        if self._prefetcher is None or self._prefetcher.size != size:
            if self._prefetcher is not None:
                self._prefetcher.close()
            workers = self.configuration.workers
            self._prefetcher = Prefetcher(self._sampler, size, self.crops_seen, workers)
        fitting = [episode for episode in self._pool if episode.feedback.shape[0] == size]
        episodes = fitting[:batch]
        while len(episodes) < batch:
            crop, random = self._prefetcher.next()
            self.crops_seen += 1
            episodes.append(start_episode(crop, self.configuration.sampling, random))
        return episodes

    def _retire(self, episodes: list[Episode]) -> None:
        sampling = self.configuration.sampling
        self._pool = []
        for episode in episodes:
            episode.steps += 1
            goes_on = episode.random.random() < sampling.continuation
            if goes_on and not episode.finished and episode.steps < sampling.longest_episode:
                self._pool.append(episode)

    def _set_learning_rate(self) -> None:
        settings = self.configuration.optimizer
        warm = min((self.step + 1) / max(settings.warmup, 1), 1.0)
        progress = self.step / self.configuration.steps
        factor = warm * (settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * group["factor"] * factor

    def _train_mode(self) -> None:
        self.network.train()
        for module in self._frozen:
            module.eval()


def parameter_groups(
    network: InteractiveNetwork, configuration: TrainingConfiguration
) -> tuple[list[nn.Module], list[dict[str, Any]]]:
    """Return the frozen modules, and AdamW's groups with a learning-rate ``factor`` each."""
    settings = configuration.optimizer
    backbone = getattr(network, "backbone", None) or getattr(network, "feature_extractor", None)
    frozen: list[nn.Module] = []
    if isinstance(backbone, Encoder):
        frozen = list(backbone.features)[: settings.frozen_blocks]
    for module in frozen:
        module.requires_grad_(False)
    pretrained = {id(parameter) for parameter in backbone.parameters()} if backbone is not None else set()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if id(parameter) not in pretrained], "factor": 1.0},
        {
            "params": [parameter for parameter in trained if id(parameter) in pretrained],
            "factor": settings.encoder_factor,
        },
    ]
    return frozen, [{**group, "lr": settings.learning_rate} for group in groups if group["params"]]


def batch_clicks(episodes: list[Episode]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``points`` (B, 2N, 3), ``new_points`` (B, 1, 3) and ``gate`` (B, 1, 1, 1) float32.

    Where one sign has more than 24 clicks the newest are kept.
    """
    points, newest = points_of([episode.clicks for episode in episodes], most=_POINTS_PER_SIGN)
    gate = np.array([episode.gate for episode in episodes], np.float32).reshape(-1, 1, 1, 1)
    return torch.from_numpy(points), torch.from_numpy(newest).float(), torch.from_numpy(gate)


def _mean_iou(probability: Tensor, target: Tensor) -> float:
    mask, truth, known = probability > 0.49, target == 1, target != 255
    both = (mask & truth).sum(dim=(1, 2, 3)).float()
    either = ((mask | truth) & known).sum(dim=(1, 2, 3)).float().clamp(min=1)
    return float((both / either).mean())
