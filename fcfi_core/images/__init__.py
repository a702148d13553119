"""Pictures: reading them (`loading`), decoding (`decoding`), and what their samples mean (`samples`)."""

from fcfi_core.images.loading import DEFAULT_MAX_PIXELS, READABLE_SUFFIXES, LoadedImage, Source, load

__all__ = ["DEFAULT_MAX_PIXELS", "READABLE_SUFFIXES", "LoadedImage", "Source", "load"]
