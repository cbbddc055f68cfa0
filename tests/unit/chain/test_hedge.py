"""What is known of how fast a node answers."""

from keeper.chain.hedge import Latencies


def test_the_slowest_twentieth_is_known_once_there_are_some_answers() -> None:
    latencies = Latencies()
    assert latencies.p95(0.5) == 0.5
    for milliseconds in range(1, 101):
        latencies.note(milliseconds / 1000)
    assert 0.09 <= latencies.p95(0.5) <= 0.1
