"""The version, where every module can import it."""

__version__ = "0.6.0.dev0"
