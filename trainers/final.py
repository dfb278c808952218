"""The metrics of an outcome, measured once: classes learned, what pruning leaves, a theory's word."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainers.batches import TokenBatch, class_batch
from trainers.config import TrialConfig, without
from trainers.data.encoding import PAD
from trainers.data.material.automaton import Read
from trainers.data.task import ClassedTask, ConcludedTask, Finished, Scores, SymbolTask
from trainers.evaluate import Metrics, first_test, report_metrics, training_metrics
from trainers.forward import generated, states_and_logits
from trainers.models.model import Prunable, Stateful
from trainers.models.stack import Weights
from trainers.schedule import learning_rate

_AT_ONCE = 1_000  # examples of one forward pass; bounds the memory, and changes no result

Found = list[tuple[dict[str, float], dict[str, Any]]]
"""Metrics and details of each trial."""


def final_metrics(weights: Weights, configs: Sequence[TrialConfig], device: torch.device) -> Found:
    """What a trial is asked once, when it has finished."""
    found = _class_metrics(weights, configs, device)
    pruned = _pruned_metrics(weights, configs, device)
    concluded = _conclusions(weights, configs, device)
    return [
        (metrics | more | last, details | said)
        for (metrics, details), more, (last, said) in zip(found, pruned, concluded, strict=True)
    ]


def _class_metrics(weights: Weights, configs: Sequence[TrialConfig], device: torch.device) -> Found:
    """Metrics and details of each trial over the classes of its task; nothing for other tasks.

    A class is learned when most of its examples are answered exactly. The modal answer of a class
    is the answer given most often; it is generated, since a teacher-forced argmax after a wrong
    token is no prediction.
    """
    task = configs[0].task
    if not isinstance(task, ClassedTask):
        return [({}, {}) for _ in configs]
    writing = configs[0].writing()
    each = configs[0].evaluation.class_examples
    names = torch.tensor(task.classes())
    answers: list[list[int | None]] = [[] for _ in configs]
    for part in names.split(max(1, _AT_ONCE // each)):
        batch = class_batch(configs, part, device)
        tokens = generated(configs[0], weights, batch.question, batch.answer.shape[-1])
        for trial, rows in enumerate(tokens.tolist()):
            read = (writing.read(task, row) for row in rows)
            answers[trial] += [None if numbers is None else int(numbers[0]) for numbers in read]
    return [_summary(task, given, each) for given in answers]


def _summary(
    task: ClassedTask, given: list[int | None], each: int
) -> tuple[dict[str, float], dict[str, Any]]:
    modal: dict[int, int] = {}
    right: dict[int, int] = {}
    shares: list[float] = []
    for number, name in enumerate(task.classes()):
        answers = given[number * each : (number + 1) * each]
        (answer, times), *_ = Counter(answers).most_common(1)
        modal[name] = -1 if answer is None else answer  # -1: not a number
        right[name] = answers.count(name)
        shares.append(times / each)
    learned = [name for name in modal if 2 * right[name] > each]
    metrics = {
        "classes_learned": float(len(learned)),
        "modal_share": sum(shares) / len(shares),
        **task.theory(frozenset(learned), modal),
    }
    details = {
        "learned": learned,
        "modal": list(modal.values()),
        "right": list(right.values()),
    }
    return metrics, details


def _conclusions(weights: Weights, configs: Sequence[TrialConfig], device: torch.device) -> Found:
    """What the task itself concludes of each trial."""
    task, evaluation = configs[0].task, configs[0].evaluation
    if not isinstance(task, ConcludedTask):
        return [({}, {}) for _ in configs]
    total = evaluation.last_examples or evaluation.examples
    reports = report_metrics(weights, configs, device, total)
    return [
        task.conclude(
            Finished(
                weights={name: part[row] for name, part in weights.items()},
                rates=partial(_rates, config),
                seed=config.seed,
                data=config.data,
                metrics=metrics,
                read=_reader(
                    config, {name: part[row, None] for name, part in weights.items()}, device
                ),
                scores=_scorer(
                    config, {name: part[row, None] for name, part in weights.items()}, device
                ),
            )
        )
        for row, (config, metrics) in enumerate(zip(configs, reports, strict=True))
    ]


def _reader(config: TrialConfig, weights: Weights, device: torch.device) -> Read | None:
    """What the first token of an answer is predicted from, and what it is, after any question."""
    model, task = config.model, config.task
    if not (isinstance(model, Stateful) and model.keeps_its_state_alone()):
        return None
    if not isinstance(task, SymbolTask):
        return None
    writing = config.writing()

    def read(
        lines: Int[Tensor, "line place"],
    ) -> tuple[Float[Tensor, "line state"], Int[Tensor, " line"]]:
        question = writing.questions(task, lines).to(device)
        nothing = torch.full((1, len(lines), 1), PAD, device=device)
        batch = TokenBatch(question[None], nothing)
        states, logits = states_and_logits(config, weights, batch)
        tokens, place = logits[0, :, 0].argmax(dim=-1).unique(return_inverse=True)
        symbols = [writing.read(task, [token]) for token in tokens.tolist()]
        # -1: no answer that the encoding writes
        numbers = torch.tensor([int(one[0]) if one else -1 for one in symbols])
        return states[0, :, 0], numbers[place.cpu()]

    return read


def _scorer(config: TrialConfig, weights: Weights, device: torch.device) -> Scores | None:
    """The logits of all symbols as the one symbol of an answer, after any questions."""
    task = config.task
    if not isinstance(task, SymbolTask) or task.lengths()[1] != 1:
        return None
    writing = config.writing()
    single = torch.arange(len(task.alphabet()))[:, None]
    tokens = writing.answered.encode(task, single, 1)
    if tokens.shape != single.shape:  # a symbol is more than one token
        return None

    def scores(lines: Int[Tensor, "line place"]) -> Float[Tensor, "line symbol"]:
        found: list[Tensor] = []
        for some in lines.split(_AT_ONCE):
            question = writing.questions(task, some).to(device)
            nothing = torch.full((1, len(some), 1), PAD, device=device)
            batch = TokenBatch(question[None], nothing)
            _, logits = states_and_logits(config, weights, batch)
            found.append(logits[0, :, 0][:, tokens[:, 0].to(device)].cpu())
        return torch.cat(found)

    return scores


def _rates(config: TrialConfig) -> Float[Tensor, " step"]:
    steps = config.steps
    rates = [learning_rate(config.optimizer, step, steps) for step in range(1, steps + 1)]
    return torch.tensor(rates, dtype=torch.float64)


def _pruned_metrics(
    weights: Weights, configs: Sequence[TrialConfig], device: torch.device
) -> Metrics:
    """Loss and accuracy of each trial without its least important neurons."""
    evaluation, model = configs[0].evaluation, configs[0].model
    found: Metrics = [{} for _ in configs]
    for share in evaluation.prune:
        assert isinstance(model, Prunable)  # TrialConfig refuses to prune another one
        left = model.pruned(weights, share)
        rows = first_test(left, configs, device)
        if evaluation.training_examples:
            again = training_metrics(left, configs, device)
            rows = [
                row | {f"train_{name}": value for name, value in more.items()}
                for row, more in zip(rows, again, strict=True)
            ]
        for metrics, row in zip(found, rows, strict=True):
            metrics |= {f"{without(share)}/{name}": value for name, value in row.items()}
    return found
