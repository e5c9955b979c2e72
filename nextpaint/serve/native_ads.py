"""Native ads: the assets a place asks for, filled from the columns of an advertisement.

Source of the shapes: IAB Tech Lab, OpenRTB Dynamic Native Ads 1.2. An asset that is not known here, or that the
advertisement has nothing for, is left out; when it is required there is no ad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

_IMAGES = {1: "icon", 3: "image"}
_DATA = {1: "sponsor", 2: "description"}
_WRAPPED = ("1.0", "1.1", "1")  # versions whose response stands in an object called native

Length = Annotated[int, Meta(ge=0, le=100_000)]


class Title(msgspec.Struct, frozen=True):
    """A title of at most `len` characters."""

    len: Length = 90


class Image(msgspec.Struct, frozen=True):
    """An image: type 1 is an icon, 3 the main one."""

    type: int = 3
    w: Length = 0
    h: Length = 0
    wmin: Length = 0
    hmin: Length = 0


class Data(msgspec.Struct, frozen=True):
    """A text: type 1 is who sponsors, 2 the description."""

    type: int = 0
    len: Length = 0


class Asset(msgspec.Struct, frozen=True):
    """One thing that is asked for."""

    id: int
    required: int = 0
    title: Title | None = None
    img: Image | None = None
    data: Data | None = None


class NativeRequest(msgspec.Struct, frozen=True):
    """What a native place asks for."""

    ver: str = "1.2"
    assets: Annotated[list[Asset], Meta(max_length=50)] = []


class _Wrapped(msgspec.Struct, frozen=True):
    native: NativeRequest | None = None


def native_request(text: str) -> NativeRequest | None:
    """The request in a place's string, wrapped or not; None when it is not one."""
    try:
        wrapped = msgspec.json.decode(text, type=_Wrapped).native
        return wrapped or msgspec.json.decode(text, type=NativeRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def native_markup(asked: NativeRequest, parts: Mapping[str, str]) -> str | None:
    """The ad as JSON text; None when a required asset, or the link, is missing. `parts`: title, image, icon,
    description, sponsor, link."""
    link = parts.get("link")
    if not link:
        return None
    assets = []
    for asset in asked.assets:
        filled = _filled(asset, parts)
        if filled is not None:
            assets.append({"id": asset.id, **filled})
        elif asset.required:
            return None
    ad: dict[str, Any] = {"ver": asked.ver, "assets": assets, "link": {"url": link}}
    return msgspec.json.encode({"native": ad} if asked.ver in _WRAPPED else ad).decode()


def _filled(asset: Asset, parts: Mapping[str, str]) -> dict[str, Any] | None:
    if asset.title is not None and parts.get("title"):
        return {"title": {"text": parts["title"][: asset.title.len or None]}}
    if asset.img is not None:
        url = parts.get(_IMAGES.get(asset.img.type, ""))
        if url:
            size = {"w": asset.img.w or asset.img.wmin, "h": asset.img.h or asset.img.hmin}
            return {"img": {"url": url, **{name: value for name, value in size.items() if value}}}
    if asset.data is not None:
        text = parts.get(_DATA.get(asset.data.type, ""))
        if text:
            return {"data": {"value": text[: asset.data.len or None]}}
    return None
