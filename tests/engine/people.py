"""A shop with a few people in it, one of whom is to be erased."""

import asyncio

from nextpaint.govern.access import ADMIN, LOCAL, READ, Principal
from tests.engine.shop import TICKLESS, asked, bytes_of, click, opened, retail, slice_of

AUTHORITY = Principal("data protection", frozenset({READ, ADMIN}))
ITEMS = slice_of(60)
MAIL, DEVICE = "ada.canary@example.org", "device-canary-7"
APPLICATION = retail()


def on(tmp_path, application, items, act):
    async def run():
        async with opened(tmp_path / "node", application, items=items, settings=TICKLESS) as engine:
            return await act(engine)

    return asyncio.run(run())


async def visits(engine, visitor, items, user=None):
    more = {} if user is None else {"userId": user}
    for item in items:
        await engine.ingest(LOCAL, [{**click(visitor, item), **more}])
    await engine.node.settled()


async def crowd(engine, items=ITEMS):
    """A few people look around; one of them is Ada, on two devices. Everybody gets a page; gives them by device."""
    listed = [each["item_id"] for each in items]
    for number in range(4):
        await visits(engine, f"v{number}", listed[number : number + 6])
    await visits(engine, DEVICE, listed[2:9], MAIL)
    await visits(engine, "phone", listed[10:13], MAIL)
    surface = engine.node.application.surfaces[0].name
    made = {}
    for visitor in (DEVICE, "phone", "v0", "v1", "v2", "v3"):
        made[visitor] = await engine.decide(LOCAL, surface, asked(visitor))
    await engine.node.settled()
    return made


def tokens_of(engine):
    known = engine.node.subjects.known
    return [known("user", MAIL), known("anonymous", DEVICE), known("anonymous", "phone")]


def holding(directory, *texts):
    """The files that hold one of some texts, and how many bytes were looked at."""
    found = bytes_of(directory)
    return [str(path.relative_to(directory)) for path, body in found if any(text.encode() in body for text in texts)]
