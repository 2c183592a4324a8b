"""What Prometheus is told of a comparison."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imgrec.serving.shadowing import Shadowing
from imgrec.serving.trial.desk import Desk


class Counting(Collector):
    """Collects from the desk and from who asks the shadow."""

    def __init__(self, desk: Desk, shadowing: Shadowing) -> None:
        """Take both."""
        self._desk, self._shadowing = desk, shadowing

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        shadow = CounterMetricFamily(
            "imgrec_shadow_requests", "Requests that a shadow was given, or not", labels=["outcome"]
        )
        for outcome in ("asked", "dropped", "failed"):
            shadow.add_metric([outcome], getattr(self._shadowing, outcome))
        yield shadow
        record = self._desk.record()
        lost = "Events of requests that were left out, as there were too many at once"
        yield CounterMetricFamily("imgrec_trial_events_lost", lost, record["lost"])
        yield from self._trials(record["trials"])

    def _trials(self, trials: list[dict]) -> Iterator[Metric]:
        told = CounterMetricFamily(
            "imgrec_feedback", "Answers that somebody said what was right of", labels=["role", "right"]
        )
        difference = GaugeMetricFamily(
            "imgrec_trial_accuracy_difference",
            "How much more often the other version is right than the active one",
            labels=["role", "bound"],
        )
        evidence = GaugeMetricFamily(
            "imgrec_trial_evidence", "For the other version being better or worse", labels=["role", "side"]
        )
        for trial in trials:
            other = trial["pair"]["role"]
            for role, counts in trial["feedback"].items():
                told.add_metric([role, "yes"], counts["right"])
                told.add_metric([role, "no"], counts["told"] - counts["right"])
            accuracy = trial["accuracy"]
            for bound in ("low", "difference", "high"):
                if accuracy[bound] is not None:
                    difference.add_metric([other, bound], accuracy[bound])
            for side, value in accuracy["evidence"].items():
                evidence.add_metric([other, side], value)
        yield from (told, difference, evidence)
