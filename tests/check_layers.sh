#!/usr/bin/env bash
# No include against the arrow: tensor <- autograd <- nn <- optim <- damc <- tools; data sees tensor only.
set -u
cd "$(dirname "$0")/.."
failed=0
check() {  # check FOLDER FORBIDDEN|FOLDERS
  if grep -rnE "#include \"($2)/" "$1" --include='*.h' --include='*.cpp' --include='*.cu'; then failed=1; fi
}
check tensor 'autograd|nn|optim|damc|data|tools|tests'
check autograd 'nn|optim|damc|data|tools|tests'
check nn 'optim|damc|data|tools|tests'
check optim 'damc|data|tools|tests'
check data 'autograd|nn|optim|damc|tools|tests'
check damc 'tools|tests'
check tools 'tests'
[ "$failed" = 0 ] && echo "includes follow the layers"
exit "$failed"
