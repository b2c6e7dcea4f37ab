"""The part of a training that says which run it is, and what must be the same when it goes on."""

import logging

import pydantic
from pydantic import JsonValue

from paddlevideo.tasks.differences import Difference, config_differences, listed
from paddlevideo.tasks.stateful import State, Stateful, checked_state
from paddlevideo.utils.damage import shown
from paddlevideo.utils.errors import WeightsError

logger = logging.getLogger(__name__)


class RunFacts(pydantic.BaseModel):
    """What a training was made of.

    Attributes:
        seed: of the run.
        freeze: the frozen part of the model, for which the optimizer has no state.
        processes: that share the data; 0: a state of an earlier version, which did not say.
        precision: what is computed in; empty: not said.
        samples: digest of the training samples (`differences`); empty: not said.
        config: the resolved config by dotted keys; empty: not said.
    """

    seed: int = pydantic.Field(0, ge=0, lt=2**63)
    freeze: str | None = None
    processes: int = pydantic.Field(0, ge=0, le=2**31)
    precision: str = ""
    samples: str = ""
    config: dict[str, JsonValue] = {}

    def differences_to(self, now: "RunFacts") -> list[Difference]:
        """What is not as it was; of an earlier version's state what it says."""
        found = []
        if not self.config and self.seed != now.seed:
            found.append(Difference(f"seed: {self.seed} in the state, {now.seed} now", False))
        if self.processes and self.processes != now.processes:
            text = f"processes: {self.processes} in the state, {now.processes} now"
            found.append(Difference(text, False))
        if self.precision and self.precision != now.precision:
            text = f"precision: {shown(self.precision)} in the state, {now.precision} now"
            found.append(Difference(text, False))
        if self.samples and self.samples != now.samples:
            text = "the training samples (paths or labels) are not those of the state"
            found.append(Difference(text, False))
        return found + (config_differences(self.config, now.config) if self.config else [])


class RunPart(Stateful):
    """What a run was made of, held against what it is made of now.

    Args:
        facts: of this run.
        anyway: go on also where a difference changes the result (``resume_anyway``).
    """

    def __init__(self, facts: RunFacts, anyway: bool = False) -> None:
        self.facts = facts
        self.anyway = anyway

    def state_dict(self) -> State:
        """Return this run's facts."""
        return self.facts.model_dump()

    def check_state(self, state: State, source: str) -> None:
        """Tell every difference; raise `WeightsError` for those that change the result."""
        written = checked_state(RunFacts, state, source)
        if written.freeze != self.facts.freeze:
            raise WeightsError(
                f"it was trained with freeze: {shown(written.freeze)}, and now freeze is "
                f"{self.facts.freeze}; to go on from the weights alone use -w"
            )
        differences = written.differences_to(self.facts)
        for difference in differences:
            effect = "" if difference.is_harmless else " (this changes the result)"
            logger.info("resume: %s%s", difference.text, effect)
        serious = [each for each in differences if not each.is_harmless]
        if serious and not self.anyway:
            raise WeightsError(
                f"the run would not go on as it was: {listed(serious)}. Give what it had, or "
                "resume with --resume-anyway (config key: resume_anyway)"
            )

    def load_state_dict(self, state: State, source: str) -> None:
        """Take nothing: this run's own facts stand."""
