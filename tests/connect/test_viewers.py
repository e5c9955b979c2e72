"""Simulated viewers: functions of their seed, labelled simulated, staying for what they like."""

from collections import Counter

from nextpaint.connect.viewers import Film, Viewer

FILMS = {f"{kind}-{number}": Film(kind, 6000) for kind in ("west", "song", "dogs", "snow") for number in range(10)}


def page(*items):
    return {"decision_id": "d1", "items": [{"id": item, "position": place} for place, item in enumerate(items, 1)]}


def evening(seed, pages=40):
    viewer = Viewer(seed, FILMS)
    return viewer, [moment for _ in range(pages) for moment in viewer.react(page(*FILMS))]


def test_the_same_seed_and_pages_give_the_same_evening():
    assert evening(7)[1] == evening(7)[1]
    assert evening(7)[1] != evening(8)[1]


def test_a_page_is_an_impression_and_at_most_one_film_in_order():
    for seed in range(40):
        moments = Viewer(seed, FILMS).react(page(*FILMS))
        assert moments[0].event == "Impression" and len(moments[0].properties["items"]) == len(FILMS)
        watched = moments[1:]
        if not watched:
            continue
        assert watched[0].event == "Video Content Started"
        assert watched[-1].event in ("Video Content Completed", "Video Playback Exited")
        assert {each.event for each in watched[1:-1]} <= {"Video Content Playing"}
        assert len({each.properties["item_id"] for each in watched}) == 1
        heads = [each.properties["position"] for each in watched]
        assert heads == sorted(heads) and heads[-1] <= 6000
        assert (watched[-1].event == "Video Content Completed") == (heads[-1] == 6000)


def test_calls_are_labelled_simulated_and_carry_the_decision():
    viewer, moments = evening(3)
    calls = [viewer.call(moment, 1_700_000_000_000) for moment in moments]
    assert all(call["context"]["simulated"] is True and call["type"] == "track" for call in calls)
    assert all(call["anonymousId"].startswith("simulated-viewer-") for call in calls)
    assert len({call["messageId"] for call in calls}) == len(calls)
    assert {call["properties"]["decision_id"] for call in calls} == {"d1"}


def test_viewers_begin_and_finish_what_they_like():
    begun, finished = Counter(), Counter()
    for seed in range(200):
        viewer = Viewer(seed, FILMS)
        liked = {kind for kind, weight in viewer.taste.items() if weight >= 0.5}
        for moment in viewer.react(page(*FILMS)):
            if moment.event in ("Video Content Started", "Video Content Completed"):
                likes = FILMS[moment.properties["item_id"]].kind in liked
                (begun if moment.event.endswith("Started") else finished)[likes] += 1
    assert begun[True] > 2 * begun[False] > 0
    assert finished[True] / begun[True] > finished[False] / begun[False] + 0.2


def test_an_empty_page_and_unknown_films_are_left_alone():
    assert Viewer(1, FILMS).react({"items": []}) == []
    assert len(Viewer(1, FILMS).react(page("nobody-knows-it"))) == 1
    assert len(Viewer(1, {}).react(page("west-1"))) == 1
