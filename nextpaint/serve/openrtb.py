"""OpenRTB 2.6 requests: what is read of them, and what follows for one place. Pure; nothing is decided here.

Everything is hostile until it is parsed: types and sizes are checked, unknown fields are passed over. A request that is
not one is an error (HTTP 400); one that may not be answered is a `NoBid` with a code of AdCOM's no-bid reasons.

Source of names and codes: IAB Tech Lab, OpenRTB 2.6 and AdCOM 1.0; for native ads, OpenRTB Dynamic Native Ads 1.2.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nextpaint.govern import tcf

IMPS_MAX = 10  # places of one request that are answered; a page has fewer
BLOCKED_MAX = 1_000  # entries of a block list: it goes into the record of every decision
PURPOSES = frozenset({1, 3, 4})  # to store, to make a profile for ads, to select ads by it

# No-bid reasons (AdCOM).
UNKNOWN, INVALID, UNMATCHED_FORMAT, NO_TIME = 0, 2, 6, 15

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Code = Annotated[str, Meta(max_length=256)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0, le=1e9)]
Pixels = Annotated[int, Meta(ge=0, le=100_000)]


class Format(msgspec.Struct, frozen=True):
    """A size a banner may have."""

    w: Pixels = 0
    h: Pixels = 0


class Banner(msgspec.Struct, frozen=True):
    """A place for a banner."""

    w: Pixels = 0
    h: Pixels = 0
    format: Annotated[list[Format], Meta(max_length=50)] = []
    battr: Annotated[list[int], Meta(max_length=100)] = []

    @property
    def sizes(self) -> list[str]:
        """Sizes as "300x250"; none: any."""
        every = [(self.w, self.h), *((each.w, each.h) for each in self.format)]
        return list(dict.fromkeys(f"{w}x{h}" for w, h in every if w and h))


class Native(msgspec.Struct, frozen=True):
    """A place for a native ad; `request` is JSON in a string."""

    request: Annotated[str, Meta(max_length=32_768)] = ""
    battr: Annotated[list[int], Meta(max_length=100)] = []


class Pmp(msgspec.Struct, frozen=True):
    """A private marketplace. private_auction 1: only its deals may be answered, and we have none."""

    private_auction: Flag = 0


class Imp(msgspec.Struct, frozen=True):
    """One place on offer."""

    id: Identifier
    banner: Banner | None = None
    native: Native | None = None
    bidfloor: Amount = 0.0
    bidfloorcur: Code = "USD"
    secure: Flag | None = None
    tagid: Code | None = None
    pmp: Pmp | None = None


class Where(msgspec.Struct, frozen=True):
    """A site or an app: its domain, or its bundle."""

    domain: Code | None = None
    bundle: Code | None = None


class Device(msgspec.Struct, frozen=True):
    """A device: its advertising id, and whether it asks not to be followed."""

    ifa: Code | None = None
    dnt: Flag | None = None
    lmt: Flag | None = None


class PersonExt(msgspec.Struct, frozen=True):
    """Where the consent string stood before 2.6."""

    consent: str | None = None


class Person(msgspec.Struct, frozen=True):
    """Who it is: `buyeruid` is our own id, `id` the exchange's."""

    id: Code | None = None
    buyeruid: Code | None = None
    consent: str | None = None
    ext: PersonExt | None = None


class RegsExt(msgspec.Struct, frozen=True):
    """Where these stood before 2.6."""

    gdpr: Flag | None = None
    us_privacy: Code | None = None


class Regs(msgspec.Struct, frozen=True):
    """The law that applies."""

    coppa: Flag | None = None
    gdpr: Flag | None = None
    us_privacy: Code | None = None
    gpp_sid: Annotated[list[int], Meta(max_length=50)] = []
    ext: RegsExt | None = None


class BidRequest(msgspec.Struct, frozen=True):
    """A bid request. Floors, blocks and the time it leaves are obeyed; what we do not read changes no answer."""

    id: Identifier
    imp: Annotated[list[Imp], Meta(min_length=1, max_length=100)]
    site: Where | None = None
    app: Where | None = None
    device: Device | None = None
    user: Person | None = None
    test: Flag = 0
    tmax: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    wseat: Annotated[list[Code], Meta(max_length=1_000)] = []
    bseat: Annotated[list[Code], Meta(max_length=1_000)] = []
    cur: Annotated[list[Code], Meta(max_length=100)] = []
    bcat: Annotated[list[Code], Meta(max_length=20_000)] = []
    cattax: int = 1
    badv: Annotated[list[Code], Meta(max_length=20_000)] = []
    regs: Regs | None = None


class NoBid(Exception):
    """There is no bid for a request or for one place. `code`: of AdCOM's list; `why`: in words, for the log."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def person_of(asked: BidRequest) -> dict[str, str]:
    """The identifier by which the person may be known here: ours, else the device's, else the exchange's. The last two
    are named after where they are from, so that no exchange can name somebody else."""
    user, device = asked.user, asked.device
    if user is not None and user.buyeruid:
        return {"anonymousId": user.buyeruid}
    if device is not None and device.ifa and device.ifa.strip("0-"):  # all zeros: the person said no
        return {"anonymousId": f"ifa:{device.ifa[:200].lower()}"}
    if user is not None and user.id:
        return {"anonymousId": f"exchange:{user.id[:200]}"}
    return {}


def withheld(asked: BidRequest, vendor: int | None) -> str:
    """Why this request may not be answered with a profile; "" when it may."""
    regs, device = asked.regs or Regs(), asked.device or Device()
    ext = regs.ext or RegsExt()
    if regs.coppa:
        return "coppa"
    if device.dnt or device.lmt:
        return "do not track"
    privacy = regs.us_privacy or ext.us_privacy or ""
    if len(privacy) >= 3 and privacy[2] in "Yy":
        return "us_privacy"
    if any(section > 0 for section in regs.gpp_sid):
        return "gpp"  # a law whose text we do not read: no profile
    if regs.gdpr or (regs.gdpr is None and ext.gdpr):
        return "" if _agreed(asked, vendor) else "gdpr"
    return ""


def _agreed(asked: BidRequest, vendor: int | None) -> bool:
    user = asked.user or Person()
    text = user.consent or (user.ext.consent if user.ext is not None else None) or ""
    found = tcf.agreed(text)
    return found is not None and vendor in found.vendors and found.purposes >= PURPOSES


def place_of(asked: BidRequest, imp: Imp, taxonomy: int) -> dict[str, Any]:
    """The inputs of one place, but for its floor. Raises NoBid."""
    if imp.pmp is not None and imp.pmp.private_auction:
        raise NoBid(UNKNOWN, "only deals are answered here, and there is none")
    formats = [name for name, part in (("banner", imp.banner), ("native", imp.native)) if part is not None]
    if not formats:
        raise NoBid(UNMATCHED_FORMAT, "neither a banner nor a native ad fits here")
    if asked.bcat and asked.cattax != taxonomy:
        raise NoBid(UNKNOWN, f"categories are blocked in taxonomy {asked.cattax}, ours are in {taxonomy}")
    if len(asked.bcat) > BLOCKED_MAX or len(asked.badv) > BLOCKED_MAX:
        raise NoBid(UNKNOWN, f"a block list has more than {BLOCKED_MAX} entries")
    where = asked.site or asked.app or Where()
    attributes = {*(imp.banner.battr if imp.banner else ()), *(imp.native.battr if imp.native else ())}
    return {
        "formats": formats, "sizes": imp.banner.sizes if imp.banner is not None else [],
        "bcat": [*dict.fromkeys(asked.bcat)], "badv": [*dict.fromkeys(asked.badv)],
        "battr": [str(each) for each in sorted(attributes)], "secure": bool(imp.secure),
        "placement": imp.tagid, "site": where.domain or where.bundle,
    }  # fmt: skip


def seat_may_bid(asked: BidRequest, seat: str) -> bool:
    """Whether the request lets this seat bid."""
    return (not asked.wseat or seat in asked.wseat) and seat not in asked.bseat
