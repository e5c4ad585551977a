"""Which regions of a mask file a user wants, and what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eprimg.errors import InputError, raise_faults
from eprimg.model.lesions import Region, RegionRole

__all__ = ["ROLES", "RegionChoice"]

_ORGANS = ("liver", "spleen", "blood", "muscle", "kidney", "marrow")

ROLES = (*(str(r) for r in RegionRole), *_ORGANS)
"""Roles that can be given to regions: an organ is a reference region with that anatomy."""

_NAMED = 40


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """Regions of one file.

    Parameters
    ----------
    rois : tuple of str or int
        Names as they stand in the file, or label, segment or ROI numbers; empty: all regions.
    role : str
        One of `ROLES`; empty: as the names say.
    """

    rois: tuple[str | int, ...] = ()
    role: str = ""

    def numbers(self, there: Mapping[int, str], where: str) -> frozenset[int] | None:
        """Find the chosen regions in a file.

        Parameters
        ----------
        there : Mapping of int to str
            Number -> name of every region of the file.
        where : str
            File, for messages.

        Returns
        -------
        frozenset of int or None
            Their numbers; None when nothing was chosen, which means all.

        Raises
        ------
        InputError
            ``E_MASK_ROI``, with the names that there are, for a name or a number that the file does
            not have, or a name that it has twice.
        """
        if not self.rois:
            return None
        found: set[int] = set()
        faults: list[InputError] = []
        for wanted in self.rois:
            if isinstance(wanted, int):
                matches = [wanted] if wanted in there else []
            else:
                matches = [n for n, name in there.items() if name.strip() == wanted.strip()]
            if len(matches) == 1:
                found.add(matches[0])
                continue
            listed = [f"{n} {name!r}" for n, name in sorted(there.items())]
            more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
            what = "has no region" if not matches else f"has {len(matches)} regions called"
            faults.append(
                InputError(
                    f"the file {what} {wanted!r}; it has {', '.join(listed[:_NAMED])}{more}",
                    code="E_MASK_ROI",
                    where=f"masks.rois, {where}",
                    value=wanted,
                    action="give one of these names, or its number"
                    if not matches
                    else f"give one of the numbers {', '.join(map(str, matches))}",
                )
            )
        raise_faults(faults)
        return frozenset(found)

    def apply(self, region: Region) -> Region:
        """Give a region its role.

        Parameters
        ----------
        region : Region
            As its name says.

        Returns
        -------
        Region
            The same one when no role was given.
        """
        if not self.role:
            return region
        organ = self.role in _ORGANS
        role = RegionRole.REFERENCE if organ else RegionRole(self.role)
        anatomy = self.role if organ else region.anatomy if role == RegionRole.REFERENCE else ""
        return replace(region, role=role, anatomy=anatomy, notes=())
