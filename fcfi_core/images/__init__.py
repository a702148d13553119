"""Pictures: reading (`loading`), decoding (`decoding`), what samples mean (`samples`), keeping (`store`)."""

from fcfi_core.images.loading import (
    DEFAULT_MAX_PIXELS,
    READABLE_SUFFIXES,
    LoadedImage,
    Source,
    digest_of,
    load,
)

__all__ = ["DEFAULT_MAX_PIXELS", "READABLE_SUFFIXES", "LoadedImage", "Source", "digest_of", "load"]
