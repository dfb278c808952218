"""Automata from hidden states: merged, minimised, compared; and in a trained network."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from trainers.config import trial_config
from trainers.data.material.automaton import Automaton, Read, extracted, minimal, same
from trainers.data.tasks.parity import Parity
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.recurrent import Recurrent
from trainers.result import Ended


@st.composite
def automata(draw: st.DrawFn, states: int = 5) -> Automaton:
    count = draw(st.integers(1, states))
    state, said = st.integers(0, count - 1), st.integers(0, 1)
    pairs = st.tuples(state, state)
    return Automaton(
        first=draw(pairs),
        after=tuple(draw(st.lists(pairs, min_size=count, max_size=count))),
        says=tuple(draw(st.lists(said, min_size=count, max_size=count))),
    )


def said(automaton: Automaton, line: tuple[int, ...]) -> int:
    """What it says of a line, by walking through it."""
    state = automaton.first[line[0]]
    for symbol in line[1:]:
        state = automaton.after[state][symbol]
    return automaton.says[state]


def lines(longest: int) -> Iterator[tuple[int, ...]]:
    for length in range(1, longest + 1):
        yield from itertools.product((0, 1), repeat=length)


def reached(automaton: Automaton) -> set[int]:
    """The states that a line leads to."""
    states = set(automaton.first)
    while new := {after for state in states for after in automaton.after[state]} - states:
        states |= new
    return states


def classes(automaton: Automaton, longest: int) -> int:
    """States that a line leads to, told apart by what is said after every further line.

    The definition of Myhill and Nerode; of n states any two that differ do so within n symbols.
    """
    tables = set[tuple[int, ...]]()
    for state in reached(automaton):
        table = [automaton.says[state]]
        for line in lines(longest):
            at = state
            for symbol in line:
                at = automaton.after[at][symbol]
            table.append(automaton.says[at])
        tables.add(tuple(table))
    return len(tables)


@given(automata())
def test_the_smallest_automaton_says_the_same_with_as_many_states_as_lines_can_tell_apart(
    automaton: Automaton,
) -> None:
    least = minimal(automaton)
    assert len(least.says) == classes(automaton, longest=5)
    assert all(said(least, line) == said(automaton, line) for line in lines(8))
    assert same(least, automaton)
    assert minimal(least) == least


@given(automata(4), automata(4))
def test_two_automata_are_the_same_where_no_line_tells_them_apart(
    one: Automaton, other: Automaton
) -> None:
    # two automata of m and n states that differ do so on a line of at most m + n symbols
    told_apart = any(said(one, line) != said(other, line) for line in lines(9))
    assert same(one, other) != told_apart


def hidden(automaton: Automaton, noise: float) -> Read:
    """A network that is this automaton: a state is a corner of a simplex, and a little noise."""
    corners = torch.eye(len(automaton.says), dtype=torch.float64)

    def read(questions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = []
        for line in questions.tolist():
            state = automaton.first[line[0]]
            for symbol in line[1:]:
                state = automaton.after[state][symbol]
            states.append(state)
        generator = torch.Generator().manual_seed(questions.shape[1])
        vectors = corners[states]
        shake = torch.randn(vectors.shape, generator=generator, dtype=torch.float64) * noise
        return vectors + shake, torch.tensor([automaton.says[state] for state in states])

    return read


@given(automata())
def test_the_automaton_of_a_network_that_is_one_is_found(automaton: Automaton) -> None:
    assume(len(reached(automaton)) > 1)  # one state does not spread
    found = extracted(hidden(automaton, noise=1e-5), symbols=2, longest=6)
    assert same(found, automaton)
    assert len(found.says) <= len(automaton.says)


def test_states_that_spread_apart_are_not_merged() -> None:
    parity = Automaton(first=(0, 1), after=((0, 1), (1, 0)), says=(0, 1))
    found = extracted(hidden(parity, noise=0.1), symbols=2, longest=5)
    assert len(found.says) > 20
    # the longest lines lead to the nearest state there is, so a far line may still be known
    assert len(minimal(found).says) == 2
    assert same(found, parity)


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({}, True),
        ({"cell": "gru"}, True),
        ({"cell": "lstm"}, False),
        ({"cell": "diagonal"}, False),
        ({"layers": 2}, False),
        ({"start_token": True}, False),
    ],
)
def test_a_state_is_all_that_is_kept_only_in_one_layer_whose_output_is_its_memory(
    changes: dict[str, object], whole: bool
) -> None:
    fields = {"cell": "relu", "start_token": False, **changes}
    assert Recurrent.model_validate(fields).keeps_its_state_alone() == whole


def concluded(**changes: object) -> dict[str, float]:
    """What is measured once of a small recurrent network that learns parity."""
    trial = trial_config(
        {
            "task": {"kind": "parity", "length": [1, 4], "run": 64},
            "encoding": {"kind": "characters"},
            "model": {"kind": "recurrent", "cell": "tanh", "width": 16, "start_token": False},
            "optimizer": {"kind": "adam", "lr": 1e-2},
            "batch_size": 64,
            "budget": {"steps": 1_000},
            "evaluation": {"points": 1, "examples": 200},
            **changes,
        }
    )
    (outcome,) = [event.outcome for event in train([Start(trial)]) if isinstance(event, Ended)]
    assert outcome.metrics.keys() <= trial.metrics()
    return outcome.metrics


def test_a_network_that_has_learned_parity_is_the_automaton_of_two_states() -> None:
    found = concluded()
    assert found["automaton_states"] >= found["minimal_states"] == 2
    assert found["automaton_exact"] == 1


def test_a_network_that_has_not_learned_parity_is_another_automaton() -> None:
    found = concluded(budget={"steps": 1}, evaluation={"points": 1, "examples": 10})
    assert found["automaton_exact"] == 0


def test_of_other_models_and_of_parity_at_every_step_nothing_is_concluded() -> None:
    short = {"budget": {"steps": 1}, "evaluation": {"points": 1, "examples": 10}}
    assert concluded(model={"kind": "recurrent", "width": 8}, **short) == {}
    every_step = Parity(length=(1, 4), every_step=True)
    assert concluded(task=every_step.model_dump(), **short) == {}
