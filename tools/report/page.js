'use strict';
// The page's moving parts: one slider for all pictures, and charts that zoom together. What they show is in #data:
//   runs    names
//   tables  iterations, one list for all series that share them
//   charts  {title, series: [{run, table, name, y, low, high}]}; low and high only where a point stands for several
{
  const data = JSON.parse(document.getElementById('data').textContent);
  const colours = ['#1f77b4', '#d95f02', '#2a9d3a', '#c2185b', '#7b52ab', '#8c6d31', '#17a2a8', '#5f6b76'];
  const dashes = [null, [7, 3], [2, 2], [10, 3, 2, 3]];
  document.documentElement.classList.add('scripted');

  function show_pictures() {
    const slider = document.getElementById('when');
    if (!slider) return;
    const moments = slider.dataset.moments.split(' ').map(Number);
    const figures = [...document.querySelectorAll('.moments')].map(
      figure => [...figure.querySelectorAll('img')].map(img => ({img, iteration: Number(img.dataset.iteration)})));
    const show = () => {
      const now = moments[slider.value];
      document.getElementById('moment').textContent = now;
      for (const pictures of figures) {
        const shown = pictures.findLast(p => p.iteration <= now);
        for (const picture of pictures) picture.img.classList.toggle('shown', picture === shown);
      }
    };
    slider.addEventListener('input', show);
    show();
    let timer = null;
    const play = document.getElementById('play');
    play.addEventListener('click', () => {
      clearInterval(timer);
      timer = timer ? null : setInterval(() => {
        slider.value = (Number(slider.value) + 1) % moments.length;
        show();
      }, 500);
      play.textContent = timer ? 'stop' : 'play';
    });
  }

  // Means of each number and those before it, `points` together; nulls stay, and are not counted.
  function smoothed(values, points) {
    const last = [];
    return values.map(value => {
      if (value === null || points === 1) return value;
      last.push(value);
      if (last.length > points) last.shift();
      return last.reduce((sum, one) => sum + one, 0) / last.length;
    });
  }

  // Rows [iteration, [low, y, high], ...] over all iterations of all series; null where a series has none.
  function rows_of(series, points) {
    const rows = new Map();
    series.forEach((one, column) => {
      const [low, y, high] = [one.low ?? one.y, one.y, one.high ?? one.y].map(values => smoothed(values, points));
      data.tables[one.table].forEach((iteration, i) => {
        if (y[i] === null) return;
        if (!rows.has(iteration)) rows.set(iteration, [iteration, ...series.map(() => [null, null, null])]);
        rows.get(iteration)[column + 1] = [low[i], y[i], high[i]];
      });
    });
    return [...rows.values()].sort((a, b) => a[0] - b[0]);
  }

  // One run: a colour for each curve. Several: a colour for each run, and a dash for each curve. Labels are keys of an
  // object, where names such as __proto__ mean something else: a blank in front makes them names.
  function style_of(chart) {
    const names = [...new Set(chart.series.map(one => one.name))];
    const several = data.runs.length > 1;
    return {
      labels: chart.series.map(one => ` ${several ? `${data.runs[one.run]}: ` : ''}${one.name}`),
      colors: chart.series.map(one => colours[(several ? one.run : names.indexOf(one.name)) % colours.length]),
      dashes: chart.series.map(one => several ? dashes[names.indexOf(one.name) % dashes.length] : null),
    };
  }

  const number = value => Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
    ? Number(value.toPrecision(4)).toExponential() : String(Number(value.toPrecision(5)));

  function element(parent, tag, style, text) {
    const made = parent.appendChild(document.createElement(tag));
    made.className = style;
    made.textContent = text;
    return made;
  }

  function draw(chart) {
    const box = element(document.getElementById('charts'), 'div', 'chart', '');
    element(box, 'h3', '', chart.title);
    const canvas = element(box, 'div', 'canvas', ''), legend = element(box, 'div', 'legend', '');
    const {labels, colors, dashes} = style_of(chart);
    const rows = rows_of(chart.series, 1);
    const drawn = new Dygraph(canvas, rows, {
      labels: ['iteration', ...labels], colors, customBars: true, connectSeparatedPoints: true, labelsDiv: legend, legend: 'always', animatedZooms: false,
      drawPoints: rows.length < 40, pointSize: 2, strokeWidth: 1.6, fillAlpha: 0.18, gridLineColor: '#e6e9ed',
      axisLineColor: '#9aa3ad', axisLabelFontSize: 12, highlightCircleSize: 3, includeZero: false,
      series: Object.fromEntries(labels.map((label, i) => [label, {strokePattern: dashes[i]}])),
      axes: {y: {valueFormatter: number, axisLabelFormatter: number, axisLabelWidth: 58}, x: {axisLabelWidth: 60}},
    });
    const positive = rows.every(row => row.slice(1).every(value => value[0] === null || value[0] > 0));
    return {drawn, positive, series: chart.series};
  }

  function show_curves() {
    const charts = data.charts.map(draw);
    if (charts.length > 1) Dygraph.synchronize(charts.map(chart => chart.drawn), {range: false});
    const smoothing = document.getElementById('smoothing');
    smoothing.addEventListener('input', () => {
      const points = Number(smoothing.value);
      document.getElementById('smoothed').textContent = points > 1 ? `mean of ${points} points` : 'none';
      for (const {drawn, series} of charts) drawn.updateOptions({file: rows_of(series, points)});
    });
    const log = document.getElementById('log');
    log.addEventListener('change', () => {
      for (const {drawn, positive} of charts) if (positive) drawn.updateOptions({logscale: log.checked});
    });
    document.getElementById('reset').addEventListener('click', () => {
      for (const {drawn} of charts) drawn.updateOptions({dateWindow: null, valueRange: null});
    });
  }

  document.querySelectorAll('.run').forEach(
    name => name.style.setProperty('--run', colours[name.dataset.run % colours.length]));
  show_pictures();
  show_curves();
}
