"""A model: architecture, weights and the protocol they were trained for, ready to run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core.checkpoints import Checkpoint, catalogue, read_checkpoint, resolve
from fcfi_core.checkpoints.files import Description, describe
from fcfi_core.engines import registry
from fcfi_core.engines.base import Engine
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.protocol import Protocol, product
from fcfi_core.rating import Rating

if TYPE_CHECKING:
    from fcfi_core.networks.base import InteractiveNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What a :class:`~fcfi_core.Predictor` needs of a network; may be shared between predictors.

    Args:
        name: the file's name without its ending; "default" for the embedded one.
        version: from the model card, or the first digits of the weights' digest.
        variant: name of the architecture.
        engine: runs it.
        protocol: the rules it was trained for.
        digest: sha256 of the weights; masks are a function of it too.
        file: where it was loaded from; None: from a network in memory.
        rating: tells how good its answers to a first click are; None: nothing does.
    """

    name: str
    version: str
    variant: str
    engine: Engine
    protocol: Protocol
    digest: str
    file: Path | None = None
    rating: Rating | None = None

    def __repr__(self) -> str:
        return f"Model({self.name!r}, version={self.version!r}, engine={self.engine.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the name of the file, where there is one, and how it is run; else the network itself."""
        if self.file is None:
            parts = self.name, self.version, self.variant, self.engine, self.protocol, self.digest
            return Model, (*parts, None, self.rating)
        engine = self.engine
        opened = (self.file, engine.device, engine.name, engine.threads, getattr(engine, "fast", True))
        return _reopened, (*opened, self.digest)

    @property
    def key(self) -> tuple[str, ...]:
        """What the bits of a mask depend on besides what was asked: weights, engine, device, threads."""
        engine = self.engine
        return self.digest, engine.name, engine.version, engine.device, str(engine.threads)

    def require_key(self, key: tuple[str, ...]) -> None:
        """Raise SettingsError unless the bits of masks are those of the model with this ``key``."""
        if self.key != key:
            raise SettingsError(
                f"a worker runs the model by {', '.join(self.key[1:])}, the main process by "
                f"{', '.join(key[1:])} (engine, version, device, threads), or has other weights; install the "
                "same everywhere."
            )

    @classmethod
    def from_network(
        cls,
        network: InteractiveNetwork,
        *,
        name: str = "unnamed",
        variant: str = "mobilenetv2",
        protocol: Protocol | None = None,
        device: str = "auto",
        threads: int | None = None,
        fast: bool = True,
        rating: Rating | None = None,
    ) -> Model:
        """Return a model of a network in memory, for example one that is being trained.

        The network is copied: training it further does not change the model.

        Args:
            network: with its weights.
            name, variant: for reports.
            protocol: None: the product's rules for ``variant``.
            device, threads, fast: see :class:`~fcfi_core.engines.torch_engine.TorchEngine`.
            rating: see :class:`Model`.
        """
        from fcfi_core.engines.torch_engine import TorchEngine  # torch takes a second to import

        digest = hashlib.sha256()
        for key, tensor in network.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return cls(
            name=name,
            version=digest.hexdigest()[:12],
            variant=variant,
            engine=TorchEngine(network, device, threads, fast=fast),
            protocol=protocol or product(variant),
            digest=digest.hexdigest(),
            rating=rating,
        )


def load_model(
    name_or_path: str | Path = "default",
    *,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    fast: bool = True,
) -> Model:
    """Return a model of the catalogue, or of a checkpoint file; never downloads anything.

    Args:
        name_or_path: "default" (shipped with the package), a name that ``fcfi models`` lists, the path
            of a ``.safetensors`` file, or "chosen": what ``fcfi models use`` named.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        engine: "auto", "openvino" or "torch"; "auto" is OpenVINO on x86 CPUs where it is installed.
        threads: CPU threads; None or 0: the container's share. The last bits of a mask's probabilities
            depend on it, as they do on the device.
        fast: False runs the network the plain way (no folding, no channels-last), for comparison.

    Raises:
        WeightsError: if the file is missing, damaged, or of an unknown architecture.
        SettingsError: for a device or an engine that is not here.
    """
    registry.require(engine)
    path = resolve(name_or_path)
    description = describe(path)
    digest = catalogue.sha256(path)
    card = description.header.get("model_card", {})
    return Model(
        name=path.stem,
        version=str(card.get("version", digest[:12])),
        variant=description.variant,
        engine=registry.open_engine(engine, description, device, threads or None)
        if fast
        else _plain_engine(engine, description, device, threads or None),
        protocol=protocol_of(description, path),
        digest=digest,
        file=path.absolute(),
        rating=rating_of(description, path),
    )


def _reopened(path: Path, device: str, engine: str, threads: int | None, fast: bool, digest: str) -> Model:
    """Return the model that another process had loaded.

    Raises:
        WeightsError: if the file holds other weights by now.
    """
    model = load_model(path, device=device, engine=engine, threads=threads, fast=fast)
    if model.digest != digest:
        raise WeightsError(f"{str(path)!r} has changed since it was loaded; load the model anew.")
    return model


def _plain_engine(engine: str, description: Description, device: str, threads: int | None) -> Engine:
    """Return the network run the plain way, which only torch can."""
    if engine not in (registry.AUTO, "torch"):
        raise SettingsError(f"engine is {engine!r}, which knows no plain way; give torch.")
    from fcfi_core.engines.torch_engine import TorchEngine

    return TorchEngine(read_checkpoint(description.path).network(), device, threads, fast=False)


def rating_of(checkpoint: Checkpoint | Description, path: Path) -> Rating | None:
    """Return how the header says that answers are rated; None if it says nothing.

    Raises:
        WeightsError: if it says something impossible.
    """
    stated = checkpoint.header.get("rating")
    if stated is None:
        return None
    try:
        rating = Rating.from_dict(stated)
    except SettingsError as error:
        raise WeightsError(f"the header of {str(path)!r} is wrong: {error}") from None
    count = 1 + checkpoint.arguments.get("other_answers", 0)
    if rating.count != count:
        raise WeightsError(
            f"the header of {str(path)!r} is wrong: it rates {rating.count} answers of a network that has "
            f"{count}."
        )
    return rating


def protocol_of(checkpoint: Checkpoint | Description, path: Path) -> Protocol:
    """Return the rules that the header of a checkpoint states; missing ones are the product's.

    Raises:
        WeightsError: if the header states something impossible.
    """
    try:
        return Protocol.from_dict({**product(checkpoint.variant).to_dict(), **checkpoint.protocol})
    except SettingsError as error:
        raise WeightsError(
            f"the header of {str(path)!r} is wrong: {error} Train or convert it again with this version."
        ) from None
