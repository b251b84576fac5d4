"""Encoded images to pixels: decoded, checked, brought into one mode, on a few threads, in order."""

import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from workers.data.records import BadRow, ImportOptions, Pictures, Raw

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What may be decoded: no format of Pillow that starts another program (EPS) or reads further."""

BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(NotImplementedError, OverflowError, struct.error, zlib.error),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow's decoders raise on damaged files."""

CHUNK_BYTES = 1 << 20
"""Of encoded images and pixels: what one thread is given at a time."""
MOST_IN_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Form:
    """What every image of a source must look like."""

    mode: str
    """`L` or `RGB`."""
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, Image.getmodebands(self.mode)

    @classmethod
    def of(cls, first: Raw, options: ImportOptions) -> "Form":
        """The form that the first image sets for all: its mode, and its size unless resized."""
        image = _opened(first, options)
        height, width = options.resize or (image.height, image.width)
        return cls("L" if image.mode in ("1", "L", "LA") else "RGB", height, width)

    def pixels(self, raw: Raw, options: ImportOptions) -> Pictures:
        """The image of `raw` as (H, W, C) uint8; raises `BadRow`."""
        if isinstance(raw.image, np.ndarray) and raw.image.shape == self.shape:
            return raw.image
        image = _opened(raw, options)
        if image.mode != self.mode:
            image = image.convert(self.mode)
        if image.size != (self.width, self.height):
            if options.resize is None:
                raise BadRow(
                    raw.where,
                    f"the image is {image.height} x {image.width} pixels where the first one is "
                    f"{self.height} x {self.width}; give a size to resize all images to.",
                )
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(self.shape)


def decoded(
    rows: Iterable[Raw], form: Form, options: ImportOptions
) -> Iterator[tuple[Raw, Pictures]]:
    """Each row with its pixels, in order; a bounded number of rows is read ahead."""
    waiting: deque[Future[list[tuple[Raw, Pictures]]]] = deque()

    def work(chunk: list[Raw]) -> list[tuple[Raw, Pictures]]:
        return [(raw, form.pixels(raw, options)) for raw in chunk]

    pool = ThreadPoolExecutor(options.threads, thread_name_prefix="decode")
    try:
        for chunk in _chunks(rows, form):
            waiting.append(pool.submit(work, chunk))
            if len(waiting) > options.threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(rows: Iterable[Raw], form: Form) -> Iterator[list[Raw]]:
    height, width, channels = form.shape
    chunk: list[Raw] = []
    room = CHUNK_BYTES
    for raw in rows:
        chunk.append(raw)
        encoded = len(raw.image) if isinstance(raw.image, bytes) else 0
        room -= max(encoded + height * width * channels, CHUNK_BYTES // MOST_IN_CHUNK)
        if room <= 0:
            yield chunk
            chunk, room = [], CHUNK_BYTES
    if chunk:
        yield chunk


def _opened(raw: Raw, options: ImportOptions) -> Image.Image:
    """A decoded image with 8 bits a channel; raises `BadRow`.

    The orientation tag of cameras is not applied, as in torchvision.
    """
    if isinstance(raw.image, np.ndarray):
        return Image.fromarray(raw.image.squeeze(2) if raw.image.shape[2] == 1 else raw.image)
    if not raw.image:
        raise BadRow(raw.where, "there are no image bytes; a path alone is not enough.")
    if len(raw.image) > options.max_image_bytes:
        raise BadRow(
            raw.where,
            f"the image has {len(raw.image)} bytes, more than the {options.max_image_bytes} "
            "allowed; remove or re-encode it.",
        )
    try:
        with Image.open(BytesIO(raw.image), formats=FORMATS) as image:
            _fits(image, raw.where, options)
            image.load()
    except BadRow:
        raise
    except BROKEN as error:
        raise BadRow(
            raw.where,
            f"the image cannot be decoded ({type(error).__name__}); replace or remove it "
            f"(readable: {', '.join(FORMATS)}).",
        ) from error
    return image.convert("RGBA") if image.mode == "P" else image


def _fits(image: Image.Image, where: str, options: ImportOptions) -> None:
    if image.width * image.height > options.max_pixels:
        raise BadRow(
            where,
            f"the image has {image.width * image.height} pixels, more than the "
            f"{options.max_pixels} allowed; shrink or remove it.",
        )
    if image.mode[0] in "IF":
        raise BadRow(
            where,
            f"the image has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits.",
        )
