"""Sensitive columns reach no advertisement and no price, however many statements lie in between."""

import asyncio

import pytest

from nextpaint.application import SETTINGS, SURFACES, Application
from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import ApplicationError, InvalidInput
from tests.engine.ads import bidder
from tests.engine.shop import CORNER_SQL, CORNER_SURFACES, GOODS, asked, ids, opened

HEALTH_SQL = """
CREATE TABLE patients (
  subject STRING, illness STRING, city STRING, PRIMARY KEY (subject) NOT ENFORCED);
CREATE VIEW ill AS SELECT subject, illness, city FROM patients WHERE illness IS NOT NULL;
CREATE TABLE by_condition (subject STRING, n BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO by_condition SELECT subject, COUNT(*) FROM ill WHERE illness LIKE 'd%' GROUP BY subject;
CREATE TABLE twice (subject STRING, n BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO twice SELECT subject, SUM(n) FROM by_condition GROUP BY subject;
CREATE TABLE by_city (subject STRING, city STRING, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO by_city SELECT subject, LAST_VALUE(city) FROM patients GROUP BY subject;
"""
AD = """
ad = shelf.but("ad", purpose="advertising", {more})
"""
SENSITIVE = '[sensitive]\ncolumns = ["patients.illness"]\n'


def application(surfaces="", settings=SENSITIVE):
    files = {"corner.sql": CORNER_SQL + HEALTH_SQL, SURFACES: CORNER_SURFACES + surfaces}
    files[SETTINGS] = f'name = "corner"\nmain_surface = "shelf"\n{settings}'
    return Application.of({name: text.encode() for name, text in files.items()})


def refused(surfaces="", settings=SENSITIVE):
    with pytest.raises(ApplicationError) as found:
        application(surfaces, settings)
    return [each.what for each in found.value.diagnostics]


def advert(**more):
    return AD.format(more=", ".join(f"{name}={value}" for name, value in more.items()))


@pytest.mark.parametrize(
    ("more", "read"),
    [
        ({"features": '{"heat": "heat.heat", "n": "twice.n"}'}, "twice.n, which is made of patients.illness"),
        ({"features": '{"heat": "heat.heat", "n": "by_condition.n * 2.0"}'}, "by_condition.n"),
        ({"require": '["twice.n IS NULL"]'}, "twice.n"),
        ({"require": """["patients.illness <> 'x'"]"""}, "patients.illness: it is sensitive"),
        ({"experiment": """Experiment("e", variants={"a": {}, "b": {"features": {"heat": "twice.n"}}})"""}, "twice.n"),
    ],
)
def test_an_advertisement_that_reads_it_is_an_error_of_the_application(more, read):
    extra = "from nextpaint.decide import Experiment" if "experiment" in more else ""
    (found,) = refused(extra + advert(**more))
    assert "surface 'ad' has the purpose 'advertising' and reads" in found
    assert read in found


def test_what_is_not_an_advertisement_may_read_it_and_an_advertisement_may_read_the_rest():
    assert application(advert(features='{"heat": "heat.heat", "n": "twice.n"}', purpose='"care"').replace(
        'purpose="advertising", ', "")).sensitive == {"ad": {"n": "patients.illness"}}  # fmt: skip
    other = advert(require="""["by_city.city = 'x'", "patients.city = 'x'"]""")
    assert application(other).sensitive == {}, "the other columns of the table are not sensitive"
    care = SENSITIVE + 'purposes = ["care"]\n'
    assert (
        "the purpose 'care'" in refused(advert(features='{"heat": "twice.n"}').replace("advertising", "care"), care)[0]
    )
    application(advert(features='{"heat": "twice.n"}'), settings="")


def test_a_surface_that_answers_bids_is_an_advertisement_whatever_it_is_called():
    files = dict(bidder().files)
    files[SETTINGS] += b'\n[sensitive]\ncolumns = ["likes"]\n'
    with pytest.raises(ApplicationError, match="answers bids and reads likes"):
        Application.of(files)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("sensitive = 3\n", "no table"),
        ('[sensitive]\ncolumns = ["patients.mood"]\n', "no column 'patients.mood'"),
        ('[sensitive]\ncolumns = "patients.illness"\n', "write a list|is 'patients.illness'"),
        ('[sensitive]\ncolumn = ["patients.illness"]\n', "unknown setting sensitive.column"),
    ],
)
def test_mistakes_of_the_declaration_are_named(settings, said):
    with pytest.raises(ApplicationError, match=said):
        application(settings=settings)


CARE = """
care = shelf.but("care", purpose="care", features={"heat": "heat.heat", "n": "twice.n"})
"""


def rule(kind, feature, **more):
    from nextpaint.decide.merchandising import Bounds, Rule

    return Rule(kind, "anna", "test", when=Bounds(feature, least=0.0), by=5.0, **more)


def test_no_price_and_no_paid_place_may_depend_on_it_and_no_application_may_make_one_do_so(tmp_path):
    async def main():
        paid = {"sponsored": True, "behalf": "ACME", "paid": "ACME"}
        async with opened(tmp_path / "node", application(CARE), items=GOODS) as engine:
            for kind, more in (("price", {}), ("pin", paid), ("boost", paid)):
                with pytest.raises(InvalidInput, match=r"reads patients\.illness, which is sensitive"):
                    await engine.put_rule(LOCAL, "care", "r", rule(kind, "n", **more))
                await engine.put_rule(LOCAL, "care", "allowed", rule(kind, "heat", **more))
            await engine.put_rule(LOCAL, "care", "bury", rule("bury", "n"))
            await engine.put_rule(LOCAL, "care", "price", rule("price", "heat"))
            wider = SENSITIVE.replace('"patients.illness"', '"patients.illness", "heat"')
            with pytest.raises(InvalidInput, match=r"reads heat, which is sensitive: no (price|paid place) may depend"):
                await engine.apply(LOCAL, application(CARE, wider))
            await engine.delete_rule(LOCAL, "care", "price")
            await engine.delete_rule(LOCAL, "care", "allowed")
            await engine.apply(LOCAL, application(CARE, wider))

    asyncio.run(main())


def test_nothing_of_a_minor_is_read_on_any_surface(tmp_path):
    async def main():
        from tests.engine.shop import click

        async with opened(tmp_path / "node", application(CARE), items=GOODS) as engine:
            await engine.ingest(LOCAL, [click("v1", f"g{n}") for n in range(4)])
            await engine.node.settled()
            for surface in ("shelf", "care"):
                answer = await engine.decide(LOCAL, surface, asked("v1", minor=True))
                assert (answer["profiled"], answer["withheld"]) == (False, "minor") and ids(answer)
                why = await engine.explain(LOCAL, answer["decision_id"], "regulator", True)
                assert why["subjects"] == [] and why["personal_data_used"] == []
                assert why["replay"]["verdict"] == "identical"
                told = await engine.explain(LOCAL, answer["decision_id"], "user")
                assert told["text"].startswith("No profile is made of minors")
            assert (await engine.decide(LOCAL, "shelf", asked("v1", minor=False)))["profiled"] is True
            with pytest.raises(InvalidInput, match="'minor'"):
                await engine.decide(LOCAL, "shelf", asked("v1", minor="yes"))

    asyncio.run(main())
