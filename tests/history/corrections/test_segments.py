from flask10x.history.corrections import NONE, Corrections, Segment


def of(*segments: Segment) -> Corrections:
    return Corrections({("data2", "co2"): segments})


def test_without_corrections_there_is_one_raw_piece() -> None:
    assert NONE.segments("data2", "co2", 10, 20) == [Segment(10, 20)]
    assert not NONE


def test_a_range_is_cut_where_corrections_begin_and_end() -> None:
    known = of(Segment(0, 11, gain=2.0), Segment(14, 15, hidden=True), Segment(40, 50, offset=1))
    assert known.segments("data2", "co2", 10, 20) == [
        Segment(10, 11, gain=2.0),
        Segment(12, 13),
        Segment(14, 15, hidden=True),
        Segment(16, 20),
    ]


def test_a_value_is_shown_as_its_time_is_corrected() -> None:
    known = of(Segment(0, 9, gain=2.0, offset=-1.0), Segment(10, 10, hidden=True))
    shown = [known.shown("data2", "co2", at, 400.0) for at in (0, 9, 10, 11)]
    assert shown == [799.0, 799.0, None, 400.0]
    assert known.shown("data2", "co2", 0, None) is None
    assert known.shown("data", "co2", 0, 400.0) == 400.0
