#!/usr/bin/env bash
# Starts processes together on this machine, however few processors it has and whoever runs the tests.
#   mpirun.sh MPIRUN COUNT PROGRAM [ARGUMENT...]
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" # of MPI itself
options=()
if "$1" --version 2>/dev/null | grep -q 'Open MPI'; then
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  options=(--bind-to none)
fi
exec "$1" "${options[@]}" -n "${@:2}"
