"""Medians, spreads and ratios of rounds."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Figure:
    """The median of some rounds, with the lowest and the highest."""
    median: float
    low: float
    high: float

    def scaled(self, factor):
        return Figure(self.median * factor, self.low * factor, self.high * factor)


def figure(values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return Figure(statistics.median(values), min(values), max(values))


def ratio(ours, theirs):
    """Ratio of the medians; its spread is that of the ratios within each round."""
    pairs = [(a, b) for a, b in zip(ours, theirs) if a is not None and b]
    if not pairs:
        return None
    each = [a / b for a, b in pairs]
    of_medians = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    return Figure(of_medians, min(each), max(each))


def rates(results):
    return [result["events_per_s"] for result in results]


def latencies(results, quantile, field="end_to_end_us"):
    """In microseconds; None for rounds that have none."""
    return [(result[field] or {}).get(quantile) for result in results]


def lost(results):
    return sum(r["refused"] + r["unanswered"] + r["not_sent"] + r["errors"]
               + (abs(r["acknowledged"] - r["received"]) if r["end_to_end_us"] else 0)
               for r in results)


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def with_spread(value, digits=0):
    """"12 (11 to 14)"."""
    if value is None:
        return ""
    return (f"{value.median:,.{digits}f} "
            f"({value.low:,.{digits}f} to {value.high:,.{digits}f})")
