#!/usr/bin/env bash
# Results beside each other: compare, and table with the published ones.   test_cli_tables.sh DAMC
# shellcheck source=cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 COLUMNS=300
small_set small 0 60 12
start=(--preset mnist-anomaly "${tiny[@]}" --holdout 9 --set posterior_steps=2 --set prior_steps=2 --data small
  --batch 4 --set eval_every=2 --set log_every=1 --set grid_every=0)
shows() { # shows FILE PATTERN..
  local file=$1 pattern
  shift
  for pattern in "$@"; do grep -qE -- "$pattern" "$file" || fail "$file does not show $pattern: $(cat "$file")"; done
}

for method in damc vae sri; do succeeds 'done' train "${start[@]}" --method $method --iterations 4 --out runs; done
succeeds 'done' train "${start[@]}" --method damc --set sigma=0.5 --iterations 2 --set eval_every=0 --out runs
run=runs/00000-mnist-anomaly
small_set others 200 30 30
"$damc" eval $run --metric mse --data others >screen || fail "other images: $(cat screen)"
grep -q '^note: images that the run did not learn from: [0-9]* training' screen || fail "other images: $(cat screen)"
[ "$(tail -1 "$run/metrics.jsonl" | grep -o '"data":"[^"]*"')" = "\"data\":\"$PWD/others\"" ] || fail "$(cat "$run/metrics.jsonl")"
succeeds 'others.csv: 1 run' compare $run --out others.csv
grep -q "mse on $PWD/others" others.csv || fail "other images: $(head -1 others.csv)"
sed -i '$d' "$run/metrics.jsonl"
succeeds 'samples 20' eval $run --metric pca-fd --samples 20
succeeds 'samples 20' eval $run --metric pca-fd --samples 20 --from lebm
succeeds 'samples 20' eval runs/00001-mnist-anomaly --metric pca-fd --samples 20

echo "-- compare"
"$damc" compare runs/* >screen || fail "compare: exit code $?"
mse=$(grep '"mse"' $run/metrics.jsonl | tail -1 | grep -oE '"value":[0-9.]+' | cut -d: -f2)
images=$(grep '"mse"' $run/metrics.jsonl | tail -1 | grep -oE '"images":[0-9]+' | cut -d: -f2)
shows screen '^run +method +preset +settings +iterations +time +s/iteration +parameters +memory MiB +mse +auprc +auprc in training' \
  "^00000-mnist-anomaly +damc +mnist-anomaly +- +4 .* $(printf '%.5g' "$mse") \($images\) .* \+- [0-9.e-]+ \(2\)" \
  '^00003-mnist-anomaly +damc +mnist-anomaly +sigma=0.5 +2 .* - +-$' 'pca-fd of samples from lebm'
COLUMNS=60 "$damc" compare runs/* >narrow || fail "compare on a narrow screen: exit code $?"
[ "$(awk 'length > 60' narrow | wc -l)" = 0 ] || fail "compare is wider than its screen: $(cat narrow)"
[ "$(grep -c '^00001-mnist-anomaly ' narrow)" -ge 4 ] || fail "a part of the table lacks a run"
for suffix in md csv html; do succeeds "c.$suffix: 4 runs" compare runs/* --out c.$suffix; done
shows c.md '^\| run \| method \|' '^\| --- \| --- \| --- \|' '^\| 00001-mnist-anomaly \| vae \|'
shows c.csv '^run,method,preset,settings,iterations,seconds,' "^00000-mnist-anomaly,damc,.*,$mse,$images,4,"
[ "$(awk -F, '{ print NF }' c.csv | sort -u | wc -l)" = 1 ] || fail "lines of c.csv have different numbers of fields"
shows c.html '<th>00002-mnist-anomaly</th><td>sri</td>' '</html>'
hostile=$'runs/<b>|\n'
cp -r runs/00001-mnist-anomaly "$hostile"
succeeds '1 run' compare "$hostile" --out hostile.md
shows hostile.md '^\| \\<b\\>\\\|\\\\n \| vae \|'
succeeds '1 run' compare "$hostile" --out hostile.html
shows hostile.html '<th>&lt;b&gt;\|\\n</th>'
rm -r "$hostile"
mkdir empty
cp $run/config.toml empty
succeeds 'None of the runs has been evaluated' compare empty

echo "-- table"
"$damc" table 3 --runs runs >screen || fail "table 3: exit code $?"
shows screen '^model +1 +4 +5 +7 +9$' '^Ours +0.684 \+- 0.02 ' '^  here .* 0\.[0-9]{3} (\+- [0-9.e-]+ )?\[[0-9]\]$' \
  '^least possible +0.226 +0.200 +0.188 +0.212 +0.204$' 'auprc of the last 2 evaluations, after 4 iterations of 200000; not as .* ngf 2 for 128' \
  '^damc train --preset mnist-anomaly --method vae --data data/mnist --out runs  # VAE, 1$'
grep -q 'holdout=9.*# VAE' screen && fail "table 3 has a command for what is there"
"$damc" table 1 >screen || fail "table 1: exit code $?"
shows screen '^Ours-DAMC +0.002 +18.76 ' '^damc eval RUN --metric fid --from lebm --inception FILE  # Ours-LEBM, SVHN$' \
  '^damc train --preset celebahq --method damc .*  # Ours-LEBM, CelebA-HQ; Ours-DAMC, CelebA-HQ$'
grep -q '^  here' screen && fail "table 1 shows values of no run"
for name in 1 3 4 s5 s6; do
  "$damc" table $name | sed -n 's/  # .*//; s/^damc train/train --dry-run/p' |
    sed 's/ --data [a-zA-Z/]*//; s/inception=FILE/inception=x/' | sort -u >commands
  [ -s commands ] || fail "table $name has no commands"
  head -2 commands >some # a dry run makes networks of full width
  while read -ra command; do succeeds 'parameters' "${command[@]}"; done <some
done
succeeds 'Table S6' table s6 runs/00000-mnist-anomaly --out c.html
shows c.html '<h1>Table S6' '<pre>' 'damc train --preset cifar10 --method damc --set posterior_steps=10 '

echo "-- mistakes"
refuses 2 "'2' is not one of 1, 3, 4, s5, s6" table 2
refuses 2 'table is required' table
refuses 2 'nowhere is not a run folder' table 1 nowhere
refuses 2 'runs nowhere: there is no such folder' table 1 --runs nowhere
refuses 2 'there is no run in it' table 1 --runs small
refuses 2 'is given twice' table 1 runs/00000-mnist-anomaly --runs runs
refuses 2 'runs is required' compare
refuses 2 'nowhere is not a run folder' compare nowhere
refuses 2 'small is not a run folder' compare $run small
refuses 2 'is given twice' compare $run $run/.
refuses 2 "'.txt' is no suffix of a table" compare $run --out c.txt
refuses 2 'folder of --out nowhere/c.md does not exist' compare $run --out nowhere/c.md
cp -r $run damaged
rm damaged/log.txt
mkfifo damaged/log.txt
refuses 2 "'damaged/log.txt' is not a regular file" compare damaged
rm damaged/log.txt
echo '{"metric":"mse"}' >>damaged/metrics.jsonl
rm c.md
refuses 2 "line [0-9]+ of 'damaged/metrics.jsonl' is no metric" compare $run damaged --out c.md
[ -e c.md ] && fail "a refused table leaves a file"
finish
