#!/usr/bin/env bash
# Starts processes together on this machine, however few processors it has and whoever runs the tests.
#   mpirun.sh MPIRUN COUNT PROGRAM [ARGUMENT...]
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # of MPI itself
# Of Open MPI; others do not read them.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
exec "$1" -n "${@:2}"
