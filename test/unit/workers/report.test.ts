import { expect, test } from 'vitest';
import type { Series } from '../../../src/domain/report-data.ts';
import { loadCharts } from '../../../src/workers/report/charts.ts';
import { toMarkdown } from '../../../src/workers/report/markdown.ts';

function series(points: number, extra: Partial<Series> = {}): Series {
  return {
    device: 'srv',
    check: 'cpu',
    instance: '',
    unit: '%',
    warning: 85,
    critical: 95,
    latest: 50,
    min: 1,
    max: 90,
    average: 40,
    points: Array.from({ length: points }, (_, i): [number, number] => [
      1_760_000_000_000 + i * 3_600_000,
      40 + (i % 9),
    ]),
    ...extra,
  };
}

test('a timeline needs two points; without them there is no chart rather than an empty one', async () => {
  const charts = await loadCharts();
  expect(charts.timeline([series(1)], 'UTC')).toBe('');
  expect(charts.timeline([series(20)], 'UTC')).toMatch(/^<svg[\s\S]*<path/);
});

test('a name in a chart is escaped', async () => {
  const svg = (await loadCharts()).levels([series(1, { device: '<script>x</script>' })]);
  expect(svg).toContain('<svg');
  expect(svg).not.toContain('<script>');
});

test('Markdown keeps tables, leaves drawings out and lets no tag through', async () => {
  const markdown = await toMarkdown(
    '<h1>A &lt;b&gt;</h1><figure><svg><text>drawn</text></svg></figure><table><thead><tr><th>X</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>',
  );
  expect(markdown).toContain('# A &lt;b>');
  expect(markdown).toMatch(/\| X +\|\n\| -+ \|\n\| 1/);
  expect(markdown).not.toContain('drawn');
});
