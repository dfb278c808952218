"""How much work a trial is, and roughly how much memory, told from its config alone."""

from trainers.config import TrialConfig
from trainers.data.task import ClassedTask, JudgedTask
from trainers.variants import Variant

_FORWARD_SHARE = 1 / 3  # of the FLOPs of training on an example
_PER_NUMBER = 20  # numbers that are kept for the backward pass, for each of a layer's inputs


def steps_worth(variant: Variant) -> float:
    """Steps of training that take as long as the whole trial, its tests included."""
    return variant.steps + variant.of_shape(_tested_steps)


def numbers_of_step(config: TrialConfig) -> int:
    """A rough measure by which packs can be told apart: weights, and tokens times the width."""
    width = getattr(config.model, "width", 1)
    numbers = config.batch_size * config.training_shape().numbers * width
    return 4 * config.cost().all_params + _PER_NUMBER * numbers


def _tested_steps(config: TrialConfig) -> float:
    """All reports and the outcome, in steps; an answer that is generated counts twice."""
    evaluation = config.evaluation
    sets = (config.task, *config.test_tasks().values())
    passes = len(sets) + evaluation.by_place
    last = evaluation.last_examples or evaluation.examples
    judged = sum(isinstance(task, JudgedTask) for task in sets) * evaluation.judged_examples
    each_report = evaluation.training_examples + 2 * judged
    tested = passes * ((evaluation.points - 1) * evaluation.examples + last)
    tested += evaluation.points * each_report
    tested += len(evaluation.prune) * (last + evaluation.training_examples)
    if isinstance(config.task, ClassedTask):
        tested += 2 * len(config.task.classes()) * evaluation.class_examples
    return tested * _FORWARD_SHARE / config.batch_size
