#!/usr/bin/env bash
# Includes follow the arrows, and none leads in a circle.
#   Folders: tensor <- autograd <- nn <- optim <- damc <- tools; data sees tensor only.
#   In tensor: the contract (backend.h and what it includes) <- kernels <- cpu, cuda; io, watch and processes see the
#   contract only; devices.cpp alone sees all, to choose. kernels/functors.h, philox.h, tensor_list.h and taps.h lie below the
#   contract.
#   Files: a header and its sources are one unit; no unit includes itself by way of others.
set -u
cd "$(dirname "$0")/.."
failed=0
check() {  # check PATH FORBIDDEN|FOLDERS [ALLOWED FILE]
  if grep -rnHE "#include \"($2)/" "$1" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' \
    | grep -v "^${3:-no file}:"; then failed=1; fi
}
check tensor 'autograd|nn|optim|damc|data|tools|tests'
check autograd 'nn|optim|damc|data|tools|tests'
check nn 'optim|damc|data|tools|tests'
check optim 'damc|data|tools|tests'
check data 'autograd|nn|optim|damc|tools|tests'
check damc 'tools|tests'
check tools 'tests'

for folder in io kernels watch cpu cuda processes; do
  for other in io kernels watch cpu cuda processes; do
    case $folder:$other in
      "$folder:$folder" | cpu:kernels | cuda:kernels) ;;
      *) check "tensor/$folder" "tensor/$other" ;;
    esac
  done
done
for file in tensor/*.h tensor/*.cpp; do
  check "$file" 'tensor/io|tensor/watch|tensor/cpu|tensor/cuda|tensor/processes' tensor/devices.cpp
done

# Every unit beside each unit that it includes, for tsort.
units() {
  grep -roE '#include "[^"]+\.(h|cuh)"' "$@" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' \
    | sed -E 's/\.(h|cpp|cuh|cu):#include "/ /; s/\.(h|cuh)"$//' | awk '$1 != $2'
}
if ! circle=$(units tensor autograd nn optim data damc tools | tsort 2>&1 > /dev/null); then
  echo "includes in a circle:" "$circle"
  failed=1
fi
[ "$failed" = 0 ] && echo "includes follow the layers"
exit "$failed"
