import type { Series } from '../../domain/report-data.ts';

/** Colours of the reports, the same as in templates/reports/_layout.njk. */
const palette = ['#1f5f8b', '#2a9d8f', '#8a5cb5', '#c97b1a', '#5b6b7a', '#b0416b', '#3d7d3d', '#7a6a2f'];
const grey = '#5b6b7a';
const font = "'Liberation Sans', Arial, sans-serif";

export interface Charts {
  /** Values over time as lines, in one percent scale; empty where nothing has two points. */
  timeline(series: readonly Series[], timezone: string): string;
  /** The latest value of each as a bar with its thresholds marked; empty where there is none. */
  levels(series: readonly Series[]): string;
}

function nameOf(series: Series): string {
  return [series.device, series.check, series.instance].filter(Boolean).join(' ');
}

/** What the time axis shows, by how much of it there is. */
function axisFormat(spanMs: number): Intl.DateTimeFormatOptions {
  if (spanMs > 36 * 3_600_000) return { day: 'numeric', month: 'short' };
  const second = spanMs < 600_000 ? ({ second: '2-digit' } as const) : {};
  return { hour: '2-digit', minute: '2-digit', ...second };
}

/** Draws charts as SVG, which stays vector in a PDF and needs no script in HTML. */
export async function loadCharts(): Promise<Charts> {
  const [{ init, use }, { BarChart, LineChart }, components, { SVGRenderer }] = await Promise.all([
    import('echarts/core'),
    import('echarts/charts'),
    import('echarts/components'),
    import('echarts/renderers'),
  ]);
  use([BarChart, LineChart, components.GridComponent, components.LegendComponent, SVGRenderer]);

  function draw(height: number, option: object): string {
    const chart = init(null, null, { renderer: 'svg', ssr: true, width: 700, height });
    try {
      chart.setOption({ animation: false, textStyle: { fontFamily: font }, color: palette, ...option });
      return chart.renderToSVGString();
    } finally {
      chart.dispose();
    }
  }

  const percentAxis = {
    type: 'value',
    min: 0,
    max: 100,
    axisLabel: { formatter: '{value} %', color: grey },
    splitLine: { lineStyle: { color: '#e4e9ee' } },
  };

  return {
    timeline(all, timezone) {
      const series = all.filter((s) => s.unit === '%' && s.points.length > 1).slice(0, palette.length);
      if (series.length === 0) return '';
      const times = series.flatMap((s) => s.points.map(([at]) => at));
      const axis = new Intl.DateTimeFormat('en-GB', {
        timeZone: timezone,
        ...axisFormat(Math.max(...times) - Math.min(...times)),
      });
      return draw(260, {
        grid: { left: 50, right: 16, top: 16, bottom: 58 },
        legend: { bottom: 0, type: 'plain', textStyle: { color: grey }, icon: 'roundRect' },
        xAxis: {
          type: 'time',
          axisLabel: {
            color: grey,
            hideOverlap: true,
            formatter: (at: number) => axis.format(at),
          },
        },
        yAxis: percentAxis,
        series: series.map((s) => ({
          type: 'line',
          name: nameOf(s),
          showSymbol: s.points.length < 30,
          symbolSize: 4,
          sampling: 'lttb',
          lineStyle: { width: 1.5 },
          data: s.points,
        })),
      });
    },

    levels(all) {
      const series = all.filter((s) => s.unit === '%').slice(0, 24);
      if (series.length === 0) return '';
      const colour = (s: Series) =>
        s.critical !== null && s.latest >= s.critical
          ? '#b3261e'
          : s.warning !== null && s.latest >= s.warning
            ? '#c97b1a'
            : '#2a9d8f';
      return draw(40 + series.length * 26, {
        grid: { left: 210, right: 60, top: 8, bottom: 28 },
        xAxis: percentAxis,
        yAxis: {
          type: 'category',
          inverse: true,
          data: series.map(nameOf),
          axisLabel: { color: '#22303c', width: 190, overflow: 'truncate' },
          axisTick: { show: false },
        },
        series: [
          {
            type: 'bar',
            barWidth: 13,
            data: series.map((s) => ({ value: s.latest, itemStyle: { color: colour(s), borderRadius: 3 } })),
            label: { show: true, position: 'right', formatter: '{c} %', color: '#22303c' },
            showBackground: true,
            backgroundStyle: { color: '#eef2f5', borderRadius: 3 },
          },
        ],
      });
    },
  };
}
