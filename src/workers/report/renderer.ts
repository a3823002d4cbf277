import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import nunjucks from 'nunjucks';
import { DomainError } from '../../domain/errors.ts';
import type { ReportRenderer } from '../../domain/ports.ts';
import type { BrowserPool } from './browser.ts';
import { type Charts, loadCharts } from './charts.ts';
import { toMarkdown } from './markdown.ts';

const suffix = '.njk';

function formatDate(iso: unknown, timezone: unknown, withTime = true): string {
  if (typeof iso !== 'string') return 'no data';
  return new Intl.DateTimeFormat('en-GB', {
    timeZone: typeof timezone === 'string' ? timezone : 'UTC',
    dateStyle: 'medium',
    ...(withTime ? { timeStyle: 'short' } : {}),
  }).format(new Date(iso));
}

/** A number with one decimal where it has any; "no data" for none. */
function formatNumber(value: unknown): string {
  return typeof value === 'number' ? String(Math.round(value * 10) / 10) : 'no data';
}

/** Percent with three decimals, cut and not rounded, so that 99.9996 is not shown as a spotless 100. */
function formatPercent(value: unknown): string {
  if (typeof value !== 'number') return 'no data';
  const cut = Math.floor(value * 1000) / 1000;
  return `${cut === 100 ? '100' : cut.toFixed(3)} %`;
}

function formatMinutes(value: unknown): string {
  if (typeof value !== 'number') return 'ongoing';
  if (value < 1) return 'under 1 min';
  const minutes = Math.round(value);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/**
 * Fills report templates. A template is one file in one of `folders`, found by its name; names that start with `_`
 * are parts of others. The first folder that has a template wins, so that a company can bring its own.
 */
export function createRenderer(folders: readonly string[], browser: BrowserPool): ReportRenderer {
  const environment = new nunjucks.Environment(
    folders.map((folder) => new nunjucks.FileSystemLoader(folder)),
    { autoescape: true, throwOnUndefined: true, trimBlocks: true, lstripBlocks: true },
  );
  environment.addFilter('date', formatDate);
  environment.addFilter('number', formatNumber);
  environment.addFilter('percent', formatPercent);
  environment.addFilter('minutes', formatMinutes);
  let charts: Promise<Charts> | undefined;

  async function templates(): Promise<string[]> {
    const files = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])));
    const names = files
      .flat()
      .filter((file) => file.endsWith(suffix) && !file.startsWith('_'))
      .map((file) => file.slice(0, -suffix.length));
    return [...new Set(names)].sort();
  }

  async function html(template: string, data: Record<string, unknown>): Promise<string> {
    const known = await templates();
    if (!known.includes(template)) {
      throw new DomainError('TEMPLATE_NOT_FOUND', `There is no report template "${template}".`, {
        details: { template, known, folders: folders.map((folder) => join(folder, `${template}${suffix}`)) },
        hint: `Known are: ${known.join(', ')}.`,
      });
    }
    charts ??= loadCharts();
    const { timeline, levels } = await charts;
    const safe = (svg: string) => new nunjucks.runtime.SafeString(svg);
    const drawing = {
      timeline: (...input: Parameters<Charts['timeline']>) => safe(timeline(...input)),
      levels: (...input: Parameters<Charts['levels']>) => safe(levels(...input)),
    };
    try {
      return environment.render(`${template}${suffix}`, { ...data, chart: drawing });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new DomainError(
        'TEMPLATE_INVALID',
        `The report template "${template}" can't be filled: ${reason}`,
        {
          cause: error,
        },
      );
    }
  }

  return {
    templates,
    async render(template, format, data, signal) {
      const page = await html(template, data);
      if (format === 'html') return { bytes: Buffer.from(page), extension: 'html' };
      if (format === 'markdown') return { bytes: Buffer.from(await toMarkdown(page)), extension: 'md' };
      return { bytes: await toPdf(page, browser, signal), extension: 'pdf' };
    },
  };
}

/** A4 with page numbers in the margin; text stays text and charts stay vector. */
export async function toPdf(page: string, browser: BrowserPool, signal: AbortSignal): Promise<Buffer> {
  return browser.withPage(signal, async (tab) => {
    await tab.setContent(page, { waitUntil: 'load' });
    const pdf = await tab.pdf({
      format: 'A4',
      printBackground: true,
      margin: { top: '14mm', bottom: '18mm', left: '14mm', right: '14mm' },
      displayHeaderFooter: true,
      headerTemplate: '<span></span>',
      footerTemplate: `<div style="width:100%;padding:0 14mm;font:8px 'Liberation Sans',Arial,sans-serif;color:#5b6b7a;display:flex;justify-content:space-between"><span class="title"></span><span>Page <span class="pageNumber"></span> of <span class="totalPages"></span></span></div>`,
    });
    return Buffer.from(pdf);
  });
}
