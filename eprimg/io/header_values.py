"""Typed values out of raw header elements, without the cost of building every data element.

`pydicom` keeps an element as raw bytes until it is asked for; turning forty elements per file into
full data elements costs more than reading the file.  The functions here read the bytes of the few
elements that the index needs.  A number that is not a finite number is noted as a fault, never
replaced.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Container, Iterable
from functools import lru_cache
from typing import Any

__all__ = ["HeaderValues"]


@lru_cache(maxsize=8192)
def _ascii(raw: bytes) -> str | None:
    try:
        return raw.decode("ascii").strip("\0 ")
    except UnicodeDecodeError:
        return None


def _number(text: bytes | str | float) -> float:
    """Return a finite float or raise ValueError."""
    if (isinstance(text, bytes) and b"_" in text) or (isinstance(text, str) and "_" in text):
        raise ValueError("not a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


class HeaderValues:
    """Read single values of a raw dataset and note the faulty ones.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset
        Dataset whose elements may still be raw.
    little_endian : bool
        Byte order of binary values.
    """

    def __init__(self, dataset: Any, *, little_endian: bool = True) -> None:
        self.dataset = dataset
        self.faults: list[tuple[str, str]] = []
        self._items: dict[int, Any] = {} if dataset is None else dataset._dict
        self._short = struct.Struct("<H" if little_endian else ">H")
        self._order = "<" if little_endian else ">"

    def raw(self, tag: int) -> Any:
        """Return the value of an element as it stands, or None.

        Parameters
        ----------
        tag : int
            Element tag.

        Returns
        -------
        object
            Bytes of a raw element, the value of a built one, None when absent or empty.
        """
        item = self._items.get(tag)
        if item is None:
            return None
        value = item.value
        if value is None or (isinstance(value, bytes | str) and not value):
            return None
        return value

    def shared_values(self, tags: Iterable[int], others: Container[int]) -> tuple[Any, ...]:
        """Return what tells headers of one series from those of another.

        Parameters
        ----------
        tags : iterable of int
            Elements that seldom change inside a series.
        others : container of int
            The other elements that were read.

        Returns
        -------
        tuple
            Equal for headers whose elements `tags` have equal bytes.
        """
        return tuple(map(self.raw, tags))

    def private_tag(self, group: int, creator: str, element: int) -> int | None:
        """Return the tag of a private element, found through its creator.

        Parameters
        ----------
        group : int
            Odd group number.
        creator : str
            Private creator.
        element : int
            Last two digits of the element number.

        Returns
        -------
        int or None
            Full tag; None when the creator reserved no block.

        Notes
        -----
        DICOM PS3.5 7.8.1: the creator in (gggg,00bb) reserves the elements (gggg,bb00) to
        (gggg,bbFF); which block bb it takes may differ from file to file.
        """
        first, last = group << 16 | 0x10, group << 16 | 0xFF
        for reserved in map(int, self._items):
            if first <= reserved <= last and self.text(reserved) == creator:
                return group << 16 | (reserved & 0xFF) << 8 | element
        return None

    def text(self, tag: int) -> str:
        """Return a text value, empty when absent.

        Parameters
        ----------
        tag : int
            Element tag.

        Returns
        -------
        str
            Stripped text.
        """
        value = self.raw(tag)
        if value is None:
            return ""
        if isinstance(value, bytes):
            plain = _ascii(value)
            if plain is not None:
                return plain
            try:  # other character sets are pydicom's business
                value = self._decoded(tag)
            except Exception:
                return str(value, "latin-1", "replace").strip("\0 ")
        return str(value).strip("\0 ")

    def words(self, tag: int) -> tuple[str, ...]:
        """Return a multi-valued text.

        Parameters
        ----------
        tag : int
            Element tag.

        Returns
        -------
        tuple of str
            Stripped values; empty when absent.
        """
        value = self.raw(tag)
        if value is None:
            return ()
        if isinstance(value, bytes | str):
            return tuple(w.strip() for w in self.text(tag).split("\\"))
        if isinstance(value, list | tuple) or hasattr(value, "__iter__"):
            return tuple(str(w).strip() for w in value)
        return (str(value),)

    def numbers(self, tag: int, name: str, count: int) -> tuple[float, ...] | None:
        """Return a decimal string of a known number of values.

        Parameters
        ----------
        tag : int
            Element tag.
        name : str
            Keyword, for the fault.
        count : int
            How many values there have to be.

        Returns
        -------
        tuple of float or None
            None when absent or faulty.
        """
        value = self.raw(tag)
        if value is None:
            return None
        try:
            if isinstance(value, bytes):
                parts: Any = value.split(b"\\") if count > 1 else [value.strip(b"\0 ")]
                if not b"".join(parts).strip(b"\0 "):
                    return None
            elif isinstance(value, str) or not hasattr(value, "__iter__"):
                parts = [value]
            else:
                parts = list(value)
            numbers = tuple(_number(p.strip(b"\0 ") if isinstance(p, bytes) else p) for p in parts)
        except (ValueError, TypeError):
            self._fault(tag, name, "is not a finite number")
            return None
        if len(numbers) != count:
            self._fault(tag, name, f"has {len(numbers)} values instead of {count}")
            return None
        return numbers

    def number(self, tag: int, name: str) -> float | None:
        """Return one decimal or integer string.

        Parameters
        ----------
        tag : int
            Element tag.
        name : str
            Keyword, for the fault.

        Returns
        -------
        float or None
            None when absent or faulty.
        """
        values = self.numbers(tag, name, 1)
        return values[0] if values else None

    def integer(self, tag: int, name: str) -> int | None:
        """Return one integer string (also one of several).

        Parameters
        ----------
        tag : int
            Element tag.
        name : str
            Keyword, for the fault.

        Returns
        -------
        int or None
            None when absent or not a number.
        """
        value = self.raw(tag)
        if isinstance(value, bytes):
            value = value.split(b"\\")[0].strip(b"\0 ")
        elif hasattr(value, "__iter__") and not isinstance(value, str):
            value = next(iter(value), None)
        if value is None or value in (b"", ""):
            return None
        try:
            return int(_number(value))
        except (ValueError, TypeError):
            self._fault(tag, name, "is not an integer")
            return None

    def unsigned(self, tag: int, name: str) -> int | None:
        """Return one binary unsigned short.

        Parameters
        ----------
        tag : int
            Element tag.
        name : str
            Keyword, for the fault.

        Returns
        -------
        int or None
            None when absent or faulty.
        """
        value = self.raw(tag)
        if value is None:
            return None
        if isinstance(value, bytes):
            if len(value) < 2:
                self._fault(tag, name, "is not a number")
                return None
            return int(self._short.unpack_from(value)[0])
        try:
            return int(value)
        except (ValueError, TypeError):
            self._fault(tag, name, "is not a number")
            return None

    def binary_float(self, tag: int, name: str) -> float | None:
        """Return one binary float of 4 or 8 bytes (or a decimal string of another length).

        Parameters
        ----------
        tag : int
            Element tag.
        name : str
            Keyword, for the fault.

        Returns
        -------
        float or None
            None when absent or faulty.
        """
        value = self.raw(tag)
        if isinstance(value, bytes) and len(value) in (4, 8):
            kind = "f" if len(value) == 4 else "d"
            number = float(struct.unpack(self._order + kind, value)[0])
            if not math.isfinite(number):
                self._fault(tag, name, "is not a finite number")
                return None
            return number
        return self.number(tag, name)

    def _decoded(self, tag: int) -> Any:
        return self.dataset[tag].value

    def _fault(self, tag: int, name: str, what: str) -> None:
        self.faults.append(("E_NUMERIC", f"{name} ({tag >> 16:04X},{tag & 0xFFFF:04X}) {what}"))
