#!/bin/bash
# A sweep under Slurm: Ray on every node of the job, the driver on the first one, the next job goes on.
# Edit the lines of #SBATCH, then, in the checkout, whose .venv every node sees:
#
#   sbatch deploy/slurm.sh SWEEP STORAGE [MORE OPTIONS OF lawsweep launch]
#
# STORAGE is a folder that every node sees. Two minutes before its time is over, or when Slurm wants the
# nodes back, the job is told: every trial is saved, and the job is queued again, to go on from there.
# The token lies in your home folder, which every node sees; nobody else may read it.
#SBATCH --job-name=lawsweep
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lawsweep-%j.log
set -euo pipefail
umask 077
if [ "$#" -lt 2 ]; then
  echo "usage: sbatch $0 SWEEP STORAGE [OPTIONS]" >&2
  exit 2
fi
sweep=$1 storage=$2
shift 2
PATH="${SLURM_SUBMIT_DIR:-$PWD}/.venv/bin:$PATH"

export RAY_AUTH_MODE=token
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600 # seconds; nodes of a large job start one by one
export MKL_CBWR=AUTO
token="$HOME/.ray/auth_token"
mkdir -p "$HOME/.ray"
[ -s "$token" ] || ray get-auth-token --generate > /dev/null
chmod 600 "$token"

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:$((20000 + SLURM_JOB_ID % 10000))" # two jobs may share a node

# This script runs on the first node, as the driver does: it alone is told to stop, because Ray on the
# other nodes must live until their workers have saved.
driver=$(mktemp)
told=no
# shellcheck disable=SC2329 # the trap calls it
save() {
  told=yes
  if [ -s "$driver" ]; then kill -TERM "$(cat "$driver")" || true; fi
}
trap save TERM
# shellcheck disable=SC2016 # $$ and $0 are those of the driver's shell
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
  ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --disable-usage-stats -- \
  bash -c 'echo $$ > "$0"; exec "$@"' "$driver" \
  lawsweep launch "$sweep" --storage "$storage" --address "$address" --yes "$@" &
step=$!
code=0
wait "$step" || code=$?
while kill -0 "$step" 2> /dev/null; do # a signal ends `wait` before the step has ended
  code=0
  wait "$step" || code=$?
done
rm -f "$driver"
if [ "$told" = yes ] && [ "$code" -ne 0 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
