"""PixelBloom: AI agents and workflows as durable background runs."""

__version__ = "0.1.0"
