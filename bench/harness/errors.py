"""What ends a run without figures."""


class BenchError(Exception):
    """A run that yields no figures."""
