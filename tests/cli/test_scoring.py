"""What a run of the score job tells of reasons."""

from tidemill.cli.scoring import reasons_said


def test_reasons_of_many_rows_are_told_with_how_to_leave_them_out() -> None:
    (said,) = reasons_said(2_500_000, 3)
    assert said.startswith("2,500,000 predictions carry up to 3 reasons each")
    assert "score.reasons=0" in said
    assert reasons_said(2_500_000, 0) == reasons_said(99_999, 3) == ()
