#!/usr/bin/env bash
# Starts a Slurm with one node on loopback, without systemd and control groups, in one directory.
# usage: SLURM_DIR=/short/path [SLURM_PORT=16817] slurm-up.sh     needs: root, and Debian's
#        slurmctld slurmd slurm-client munge (--no-install-recommends)
# Prints the setting that clients need: export SLURM_CONF=… Running daemons are kept.
# Other settings, in seconds: SLURM_KILL_WAIT (5), SLURM_NODE_TIMEOUT (20), SLURM_REQUEUE_DELAY (5).
set -euo pipefail
dir=${SLURM_DIR:?"must be a short path for all files of this cluster; see the head of $0"}
port=${SLURM_PORT:-16817} host=$(hostname -s)
export SLURM_CONF=$dir/slurm.conf

# A zombie or another program with an old process id is not alive. A daemon removes its pid file
# when it stops.
alive() {
  local id
  id=$(cat "$1" 2>/dev/null) && [[ $id && $(ps -o stat=,comm= -p "$id") =~ ^[^Z].*$(basename "$1" .pid) ]]
}

wait_for() {
  for _ in {1..200}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  echo "slurm-up.sh: timed out waiting for: $*" >&2
  tail -n 5 "$dir"/log/* >&2
  exit 1
}

node_is_up() { [[ $(sinfo -h -o %T) =~ ^(idle|mixed|allocated)$ ]]; }

umask 022
mkdir -p "$dir"/{munge,log,run,state,spool}
chmod 755 "$dir"
if ! alive "$dir/munge/munged.pid"; then
  [[ -s $dir/munge/key ]] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
  rm -f "$dir"/munge/socket*
  munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/munged.pid" \
    --log-file="$dir/munge/munged.log" --seed-file="$dir/munge/seed" --num-threads=2
fi
wait_for munge -n -S "$dir/munge/socket"

# cred_expire is also the delay before a requeued job may start again; its default is 120 s.
cat >"$dir/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n1 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=${SLURM_REQUEUE_DELAY:-5}
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PropagateResourceLimits=NONE
MpiDefault=none
ReturnToService=2
KillWait=${SLURM_KILL_WAIT:-5}
SlurmdTimeout=${SLURM_NODE_TIMEOUT:-20}
CONF
echo CgroupPlugin=cgroup/v1 >"$dir/cgroup.conf" # loaded but not used; version 22.05 requires it

alive "$dir/run/slurmctld.pid" || slurmctld -f "$SLURM_CONF"
wait_for scontrol ping
alive "$dir/run/slurmd.pid" || slurmd -f "$SLURM_CONF"
wait_for node_is_up
echo "export SLURM_CONF=$SLURM_CONF"
