from datetime import date, timedelta

from agent.service.ignored_commands import MOST, IgnoredCommands

DAY = date(2026, 11, 30)


def test_a_command_is_news_once_a_day() -> None:
    ignored = IgnoredCommands()
    assert ignored.is_news(b"one", DAY)
    assert not ignored.is_news(b"one", DAY)
    assert ignored.is_news(b"other", DAY)
    assert ignored.is_news(b"one", DAY + timedelta(days=1))


def test_a_day_has_a_bound() -> None:
    ignored = IgnoredCommands()
    news = [ignored.is_news(b"%d" % number, DAY) for number in range(2 * MOST)]
    assert sum(news) == MOST
    assert ignored.is_news(b"%d" % (MOST + 1), DAY + timedelta(days=1))
