"""A seeded bank: simulated days with labelled scenarios, dirt for tests, and the scripted day of the demo."""

from connectors.sources.simulator.agenda import Event, Label
from connectors.sources.simulator.day import scripted_day
from connectors.sources.simulator.disturb import Poison, disturbed, poisoned, topic_of
from connectors.sources.simulator.outcome import answer_of, differences
from connectors.sources.simulator.scenarios import SCENARIOS
from connectors.sources.simulator.script import Expectations, Script, Step
from connectors.sources.simulator.simulation import Simulation, simulate, write_labels

__all__ = [
    "SCENARIOS",
    "Event",
    "Expectations",
    "Label",
    "Poison",
    "Script",
    "Simulation",
    "Step",
    "answer_of",
    "differences",
    "disturbed",
    "poisoned",
    "scripted_day",
    "simulate",
    "topic_of",
    "write_labels",
]
