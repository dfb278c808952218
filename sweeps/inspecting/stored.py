"""The config of a trial as its folder holds it."""

from sweeps.storage.ledger import Ledger, TrialFolder
from trainers.config import TrialConfig, trial_config
from trainers.schema import InputError


def stored_trial(ledger: Ledger, beginning: str) -> tuple[TrialFolder, TrialConfig]:
    """The trial whose key begins so, and its config.

    Raises:
        InputError: there is no such trial, or its file holds no config that can be trained.
    """
    folder = ledger.find(beginning)
    stored = folder.config()
    if stored is None:
        raise InputError(
            f"{beginning}: expected a trial with its config in {ledger.root}, got none"
        )
    try:
        return folder, trial_config(stored)
    except InputError as error:
        raise InputError(f"{folder.path / 'trial.json'}: {error}") from error
