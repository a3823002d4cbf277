import { readFile } from 'node:fs/promises';
import { openToolkit } from '../src/entry/toolkit.ts';
import { silentLog } from '../src/domain/log.ts';
import { createBrowserPool } from '../src/workers/report/browser.ts';
import { toPdf } from '../src/workers/report/renderer.ts';
import { hostname } from 'node:os';
import { median, milliseconds, rounds, tidy } from './measure.ts';

/** Our PDF of a real report against a bare page.pdf() of the same HTML with the same options, both warm. */
export async function pdf(home: string): Promise<Record<string, number>> {
  const toolkit = await openToolkit({ home, config: {} });
  const { id: clientId } = await toolkit.clients.add({ name: 'Report Client' });
  await toolkit.devices.add({ clientId, name: hostname(), type: 'server' });
  await (await toolkit.health.check(clientId)).result();
  const { report } = await (await toolkit.reports.generate({ clientId, format: 'html' })).result();
  const html = await readFile(report.path, 'utf8');
  await toolkit.close();

  const { signal } = new AbortController();
  const pool = createBrowserPool({ sandbox: process.getuid?.() !== 0 }, silentLog);
  const times = { bare: [] as number[], ours: [] as number[] };
  await pool.withPage(signal, async (page) => {
    const bare = async () => {
      await page.setContent(html, { waitUntil: 'load' });
      await page.pdf({ format: 'A4', printBackground: true });
    };
    const ours = () => toPdf(html, pool, signal);
    await bare();
    await ours();
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < 3; i += 1) {
        times.bare.push(await milliseconds(bare));
        times.ours.push(await milliseconds(ours));
      }
    }
  });
  await pool.close();
  return {
    barePdfMs: tidy(median(times.bare)),
    pdfMs: tidy(median(times.ours)),
    pdfVsBare: tidy(median(times.ours) / median(times.bare)),
  };
}
