from typing import Any, Literal

import torch
from pydantic import Field
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.material.groups import GroupName, group, group_order, table_on
from trainers.data.material.irreps import LARGEST_LOGITS, irreps, learned, logit_shares
from trainers.data.task import ConcludedTask, Finished, Lines, SymbolTask


class Group(SymbolTask, ConcludedTask):
    """Given two elements a, b of a finite group, predict ab; part of the table is held out.

    `group` is C7 (cyclic), D7 (dihedral, of 14 elements), S5 (symmetric), A5 (alternating) or a
    direct product such as C7xD4, of up to 1,000 elements. The seed puts `train_share` of the cells of
    the table into training, and tests see the others. The paper has C113, C118, D59, D61, S5, S6
    and A5.
    Source: Chughtai, Chan and Nanda 2023, arXiv:2302.03025, 40 % of the table.
    """

    kind: Literal["group"] = "group"
    group: GroupName = "S5"
    train_share: float = Field(default=0.4, gt=0, le=1)

    @override
    def alphabet(self) -> tuple[str, ...]:
        return group(self.group).names

    @override
    def lines(self, draws: Draws) -> Lines:
        order = group_order(self.group)
        cell = draws.cell(order * order, self.train_share)
        table = table_on(self.group, draws.device)
        question = torch.stack([cell // order, cell % order], dim=-1)
        return Lines(question=question, answer=table.flatten()[cell][..., None])

    @override
    def lengths(self) -> tuple[int, int]:
        return 2, 1

    @override
    def answers_have_one_length(self) -> bool:
        return True

    @override
    def conclusions(self) -> tuple[str, ...]:
        return "irreps_found", "logits_explained", "largest_irrep"

    @override
    def conclude(self, finished: Finished) -> tuple[dict[str, float], dict[str, Any]]:
        """Which irreducible representations the logits of the whole table are made of.

        `logits_explained` is the share that the characters of all of them explain, `irreps_found` how
        many explain at least a twentieth, `largest_irrep` the dimension of the first of these.
        """
        order = group_order(self.group)
        if finished.scores is None or order > LARGEST_LOGITS:
            return {}, {}
        cells = torch.arange(order * order)
        logits = finished.scores(torch.stack([cells // order, cells % order], dim=-1))
        shares = logit_shares(self.group, logits.view(order, order, order))
        found, known = learned(shares), irreps(self.group)
        metrics = {
            "irreps_found": float(len(found)),
            "logits_explained": sum(shares.values()),
        }
        if found:
            metrics["largest_irrep"] = float(known.dimensions[known.names.index(found[0])])
        details = {
            "irreps": found,
            "first_irrep": found[0] if found else "none",
            "irrep_set": " + ".join(sorted(found)) or "none",
            "irrep_shares": [shares[name] for name in found],
        }
        return metrics, details
