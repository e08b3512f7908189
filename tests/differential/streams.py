"""Streams of commands in any mixture of protocols. commands.py says what a stream is."""

from __future__ import annotations

import random

from binary_commands import BinaryMaker
from commands import Command, Maker, Shape
from meta_commands import MetaMaker

_MAKERS = {"text": Maker, "meta": MetaMaker, "binary": BinaryMaker}


def make_stream(rng: random.Random, shape: Shape, length: int) -> list[Command]:
    makers = [_MAKERS[shape.protocol_of(connection)](rng, shape, connection)
              for connection in range(shape.connections)]
    stream: list[Command] = []
    chunk = 0
    while len(stream) < length:
        chunk += 1
        # In a disjoint stream every connection gets a chunk of the same number: they run together.
        turn = makers if shape.disjoint else [rng.choice(makers)]
        for maker in turn:
            stream += maker.make_chunk(chunk)
    return stream
