#!/usr/bin/env bash
# Looking at runs: report, movie, and where chain draws.   test_cli_report.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1
small_set small 0 60 12
start=(--preset mnist-quick "${tiny[@]}" --data small --batch 4 --set log_every=1 --set grid_every=2)

shows() { # shows PAGE TEXT..: a part of the page, as it stands in the file
  local page=$1 text
  shift
  for text in "$@"; do grep -qF -- "$text" "$page" || fail "$page does not show $text"; done
}
hides() {
  local page=$1 text
  shift
  for text in "$@"; do grep -qF -- "$text" "$page" && fail "$page holds $text"; done
}
# The page without what dygraphs is: its code, its styles and its licence.
own() { awk '/^<script>.*dygraphs/ { on = 1 } /<summary>The curves/ { on = 1 } !on; /<\/script>|<\/pre>/ { on = 0 }' "$1"; }

succeeds 'done' train "${start[@]}" --out runs --iterations 4
run=runs/00000-mnist-quick
if ! "$damc" report "$run" >screen.txt 2>&1 && grep -q libjs-dygraphs screen.txt; then
  echo "this build has no dygraphs, and says so"
  refuses 2 'no dygraphs' report "$run"
  finish
fi

echo "-- one run"
succeeds 'mse' eval "$run" --samples 10
succeeds "$run/chains/chain-3.png: 2 chains of 3 steps" chain "$run" --steps 3 --chains 2 --frames 4
succeeds "report.html: 1 run, [0-9.]+ MiB" report "$run"
page=$run/report.html
shows "$page" '<title>damc: 00000-mnist-quick</title>' '>done at 20' '<td>4 of 4</td>' '<td>16</td>' '<td>cpu, fp32</td>' \
  '<td>mnist-quick</td>' '12 test images of 28x28x1' '<td>model-000004.safetensors</td>' 'over 10 images, iteration 4' \
  'data-moments="0 2 4"' 'chain-3</figcaption>' '  stability  ' '<th scope="row">ngf</th><td>2 <small>(preset: 8)' 'Permission is hereby granted'
for name in loss_g energy_gap memory_mib $(head -1 "$run/stats.jsonl" | grep -oE '"[a-z_]+":[-0-9]' | cut -d'"' -f2); do
  case $name in iteration | images_seen) continue ;; esac
  shows "$page" "\"name\":\"$name\""
done
loss=$(grep -oE '"loss_g":[-0-9.e]+' "$run/stats.jsonl" | head -1 | cut -d: -f2)
shows "$page" '"name":"loss_g"' "$(printf '"y":[%.6g,' "$loss")"
[ "$(grep -c '<img ' "$page")" = $(($(ls "$run"/grids/*.png | wc -l) + 1)) ] || fail "pictures are missing in $page"
img=$(grep -m1 -o 'data-iteration="4".*base64,[^"]*' "$page" | sed 's/.*base64,//' | base64 -d | cksum)
for file in "$run"/grids/*-000004.png; do cksum <"$file"; done | grep -qx "$img" || fail "a picture in the page is not that of the run"

echo '{"steps": "many"}' >"$run/chains/diagnosis-3.json"
refuses 2 "diagnosis-3.json' is no diagnosis of chains" report "$run"
rm "$run/chains/diagnosis-3.json"
succeeds 'report.html' report "$run"
own "$page" >own.html
hides "$page" '<link' '<iframe' '@import' 'url(' 'src="http' 'href=' 'sourceMappingURL'
grep -E 'https?://' own.html && fail "the page refers to elsewhere"
grep -o '<img [^>]*' "$page" | grep -v 'src="data:image/png;base64,' && fail "a picture is not in the page"
shows "$page" "default-src 'none'"
for tag in html head body section table thead tbody tr th td div figure figcaption p h1 h2 h3 details summary pre script style span ul li label; do
  opened=$(grep -oE "<$tag[ >]" own.html | wc -l) closed=$(grep -o "</$tag>" own.html | wc -l)
  case $tag in script) opened=$(grep -oE '<script[ >]' "$page" | wc -l) closed=$(grep -o '</script>' "$page" | wc -l) ;; esac
  [ "$opened" = "$closed" ] || fail "<$tag> is opened $opened times, closed $closed times"
done
"$damc" report "$run" --out /dev/stdout >streamed.html || fail "a page cannot go to standard output"
cmp <(sed '/^<p>20/d' streamed.html) <(sed '/^<p>20/d' "$page") || fail "a page on standard output is another"

echo "-- several runs, hostile names"
succeeds 'done' train "${start[@]}" --out runs --iterations 2 --set lr_g=0.002 --set seed=7
hostile=$'runs/<script>alert(1)<\xe2\x88\x95script>"\'&\xe2\x80\xae\n'
cp -r runs/00001-mnist-quick "$hostile"
succeeds '3 runs' report runs/0000* "$hostile"
page=runs/report.html
shows "$page" '<title>damc: 00000-mnist-quick 00001-mnist-quick &lt;script&gt;alert(1)&lt;' '&quot;&#39;&amp;\xe2\x80\xae\n' \
  '<td>0.002 <small>(preset: 0.001)</small></td>' '<th scope="row">seed</th><td>1</td><td>7'
hides "$page" '<script>alert' $'\xe2\x80\xae'
[ "$(grep -c '"run":2' "$page")" = 1 ] || fail "the third run has no curves"
cp -r runs/00001-mnist-quick other
succeeds '2 runs' report other runs/00001-mnist-quick --out two.html
shows two.html '<title>damc: other 00001-mnist-quick</title>'
printf '{"iteration":3,"</script><img src=x>":1,"note":"<b>"}\n{"iteration":4,"loss_g":null}\n{"iteration":5,"lo' >>other/stats.jsonl
printf '{"metric":"<i>","value":1,"images":2,"iteration":2,"of":"<u>","how":{"<s>":1}}\n{"metr' >>other/metrics.jsonl
sed -i 's/^data = .*/data = "<em>"/' other/config.toml
succeeds '1 run' report other
shows other/report.html 'not finite: loss_g at iteration 4' '&lt;i&gt; of &lt;u&gt;' '= &#39;&lt;em&gt;'
hides other/report.html '<img src=x>' '<i>' '<u>' '<s>' '<em>' '"name":"note"'

echo "-- runs that are not done"
wild=(--set lr_g=10 --set lr_e=10 --set lr_q=10 --set grad_clip=0 --set lr_min=10 --set on_nan=rollback --set on_nan_retries=1)
refuses 1 'after rollback 1' train "${start[@]}" "${wild[@]}" --out lost --iterations 24
succeeds '1 run' report lost/*
shows lost/*/report.html 'class="failed">ended by an error after iteration' '<section class="alarms">' \
  'divergence: diverged: iteration' 'none are saved yet'
"$damc" train "${start[@]}" --out working --iterations 1000000 --set grid_every=0 >screen.txt 2>&1 &
pid=$!
while ! grep -q loss_g working/*/stats.jsonl && kill -0 $pid; do sleep 0.05; done 2>kill.txt
for ((i = 0; i < 5; ++i)); do succeeds '1 run' report working/*; done
shows working/*/report.html 'class="working">running' 'time left'
kill -s TERM $pid
wait $pid 2>kill.txt
succeeds '1 run' report working/*
shows working/*/report.html 'class="stopped">stopped by SIGTERM after iteration'
sed -i '$d' working/*/log.txt
succeeds '1 run' report working/*
shows working/*/report.html 'class="silent">no end is noted'
mkdir empty
cp "$run/config.toml" empty
succeeds '1 run' report empty
shows empty/report.html 'There are none yet'

echo "-- mistakes"
refuses 2 'runs' report
refuses 2 'nowhere' report nowhere
refuses 2 'is not a run folder' report small
refuses 2 'is given twice' report "$run" "$run/../00000-mnist-quick"
refuses 2 'folder of --out' report "$run" --out nowhere/page.html
echo '{}' >>other/stats.jsonl
refuses 2 "line [0-9]+ of 'other/stats.jsonl' is no record" report other
cp -r runs/00001-mnist-quick damaged
echo 'no picture' >damaged/grids/samples-lebm-000002.png
refuses 2 'samples-lebm-000002.png' report damaged
[ -e damaged/report.html ] && fail "a refused report leaves a page"

echo "-- movie"
succeeds "$run/samples-damc.png: 3 frames of [0-9]+x[0-9]+" movie "$run"
[ "$(grep -aoE 'acTL|fcTL|fdAT' "$run/samples-damc.png" | tr '\n' ' ')" = 'acTL fcTL fcTL fdAT fcTL fdAT ' ] || fail "no animation"
succeeds 'out.png: 3 frames' movie "$run" --of reconstructions --milliseconds 50 --out out.png
exists out.png
refuses 2 "no pictures 'samples-dmac'" movie "$run" --of samples-dmac
succeeds 'OUT.PNG: 3 frames' movie "$run" --out OUT.PNG
succeeds 'OUT.Html: 1 run' report "$run" --out OUT.Html
refuses 2 "'OUT.GIF': what is written is no .gif" movie "$run" --out OUT.GIF
refuses 2 "'out.gif': what is written is no .gif" movie "$run" --out out.gif
refuses 2 "'out.pdf': what is written is no .pdf" report "$run" --out out.pdf
refuses 2 'has no pictures' movie empty
ln -s "../$run/grids/samples-damc-000002.png" empty/frame.png
for out in "$run/grids/samples-damc-000002.png" empty/frame.png; do refuses 2 "'$out' is one of the pictures" movie "$run" --out $out; done
refuses 2 'is not a run folder' movie small
refuses 2 'milliseconds' movie "$run" --milliseconds 0
refuses 2 'samples-lebm-000002.png' movie damaged --of samples-lebm
cp "$run/grids/reals-000000.png" damaged/grids/samples-damc-000001.png
refuses 2 'another size' movie damaged
[ -e damaged/samples-damc.png ] && fail "a refused movie leaves a file"
finish
