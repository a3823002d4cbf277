const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A point of a chart; `value` is null where there was no data. */
export interface ChartPoint {
  value: number | null;
  /** How it stood then, for the colour. */
  status: string;
}

const order = ['healthy', 'unknown', 'unreachable', 'warning', 'critical'];

/** Puts points together until there are no more than `width`: the highest value counts, and the worst status. */
export function condense(points: readonly ChartPoint[], width: number): ChartPoint[] {
  if (points.length <= width) return [...points];
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * points.length) / width);
    const part = points.slice(from, Math.max(from + 1, Math.floor(((column + 1) * points.length) / width)));
    const values = part.flatMap(({ value }) => (value === null ? [] : [value]));
    const status = part.map((p) => p.status).reduce((a, b) => (order.indexOf(b) > order.indexOf(a) ? b : a));
    return { value: values.length > 0 ? Math.max(...values) : null, status };
  });
}

/**
 * A row of bars, one a point; a gap is a dot on the line. Percents are drawn from 0 to 100, so that rows can be compared;
 * all else from 0 to its own highest value.
 *
 * @param paint colours a bar by its status
 */
export function sparkline(
  points: readonly ChartPoint[],
  unit: string | null,
  paint: (text: string, status: string) => string,
): string {
  const highest = unit === '%' ? 100 : Math.max(...points.map(({ value }) => value ?? 0), Number.MIN_VALUE);
  return points
    .map(({ value, status }) => {
      if (value === null) return '·';
      const level = Math.round((Math.max(0, value) / highest) * (bars.length - 1));
      return paint(bars[Math.min(bars.length - 1, level)] ?? '█', status);
    })
    .join('');
}
