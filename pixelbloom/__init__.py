"""PixelBloom: AI agents and workflows as durable background runs."""

__version__ = "0.2.0"
