// Time series: the page carries the numbers, uPlot is fetched only where there is something to draw.

const libraries = new Map();

function library(address) {
  if (!libraries.has(address)) {
    libraries.set(
      address,
      new Promise((ready) => {
        const script = document.createElement("script");
        script.src = address;
        script.addEventListener("load", ready);
        document.head.append(script);
      }),
    );
  }
  return libraries.get(address);
}

// A canvas needs colours it can parse; the browser works out what a token means in this theme.
function colour(element, value, share = 1) {
  const probe = document.createElement("i");
  probe.style.color = value;
  element.append(probe);
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  brush.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  brush.fillRect(0, 0, 1, 1);
  const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
  return `rgba(${red},${green},${blue},${share})`;
}

function tone(element, name, share) {
  const holder = document.createElement("i");
  holder.className = `tone-${name}`;
  element.append(holder);
  const value = colour(holder, "var(--chart)", share);
  holder.remove();
  return value;
}

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const year = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

// Each day once, though the axis may put several marks on one.
function days(_, marks) {
  const words = marks.map((mark) => day.format(mark * 1000));
  return words.map((word, index) => (word === words[index - 1] ? "" : word));
}

function line(element, { label, tone: name = "indigo" }, first) {
  return {
    label,
    stroke: tone(element, name),
    width: 2,
    fill: first ? tone(element, name, 0.08) : undefined,
    points: { show: false },
    paths: uPlot.paths.linear(), // a smoothed line shows values that never were
  };
}

async function draw(element) {
  await library(element.dataset.library);
  const { times, series } = JSON.parse(element.dataset.series);
  const ink = colour(element, "var(--muted)");
  const grid = { stroke: colour(element, "var(--line)"), width: 1 };
  const axis = { stroke: ink, ticks: { show: false }, font: '12px "Inter Variable"' };
  element.replaceChildren();
  const chart = new uPlot(
    {
      width: element.clientWidth,
      height: Number(element.dataset.height),
      legend: { live: false },
      cursor: { points: { size: 7 }, y: false },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.1 : 5] } },
      axes: [
        { ...axis, grid: { show: false }, values: days },
        { ...axis, grid, size: 44 },
      ],
      series: [{ label: "Day", value: (_, time) => (time ? year.format(time * 1000) : "") }, ...series.map((entry, index) => line(element, entry, index === 0))],
    },
    [times, ...series.map((entry) => entry.values)],
    element,
  );
  element.chart = chart;
  if (!element.watched) {
    element.watched = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width && width !== element.chart.width) element.chart.setSize({ width, height: element.chart.height });
    });
    element.watched.observe(element);
  }
}

function drawAll(force = false) {
  document.querySelectorAll("[data-series]").forEach((element) => (force || !element.chart) && draw(element));
}

document.addEventListener("htmx:after:settle", () => drawAll());
document.addEventListener("themechange", () => drawAll(true));
drawAll();
