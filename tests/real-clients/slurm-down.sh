#!/usr/bin/env bash
# Cancels all jobs of a Slurm started by slurm-up.sh and stops its daemons by their process ids.
# usage: SLURM_DIR=… slurm-down.sh [--purge]     --purge also removes the directory
set -u
dir=${SLURM_DIR:?"must be the directory given to slurm-up.sh"}
export SLURM_CONF=$dir/slurm.conf

# A zombie or another program with an old process id is not alive. A daemon removes its pid file
# when it stops.
alive() {
  local id
  id=$(cat "$1" 2>/dev/null) && [[ $id && $(ps -o stat=,comm= -p "$id") =~ ^[^Z].*$(basename "$1" .pid) ]]
}

stop() {
  local id
  alive "$1" && id=$(cat "$1" 2>/dev/null) || return
  kill "$id"
  for _ in {1..200}; do
    alive "$1" || return
    sleep 0.05
  done
  kill -KILL "$id"
}

if alive "$dir/run/slurmctld.pid"; then
  squeue -h -o %A | xargs -r scancel --full 2>/dev/null
  for _ in {1..300}; do
    [[ -z $(squeue -h) ]] && break
    sleep 0.1
  done
fi
for daemon in run/slurmd run/slurmctld munge/munged; do
  stop "$dir/$daemon.pid"
  rm -f "$dir/$daemon.pid"
done
[[ ${1:-} != --purge ]] || rm -rf "$dir"
