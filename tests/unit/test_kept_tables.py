import gc

import torch
from torch import Tensor

from trainers.models.tables import all_kept, kept


@kept
def counted(places: int) -> Tensor:
    return torch.arange(places)


def test_a_table_is_made_once_and_whoever_holds_the_list_keeps_those_that_are_forgotten() -> None:
    first = counted(7)
    assert counted(7) is first
    place = first.data_ptr()
    held = all_kept()
    del first
    for places in range(100, 200):  # more than are remembered
        counted(places)
    assert counted(7).data_ptr() != place
    assert any(table.data_ptr() == place for table in held)
    del held
    gc.collect()
    assert not any(table.data_ptr() == place and len(table) == 7 for table in all_kept())
