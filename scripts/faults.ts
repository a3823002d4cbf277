/** Writes docs/faults.md from what the last full run of the fault suite left. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type FaultName, type FaultResult, faults } from '../test/faults/support/table.ts';

const folder = join(import.meta.dirname, '../coverage/faults');
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function resultOf(name: string): FaultResult | undefined {
  const file = join(folder, `${name}-full.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as FaultResult) : undefined;
}

const rounded = (value: number | string) =>
  typeof value === 'number' ? String(Math.round(value * 1000) / 1000) : value;

const names = Object.keys(faults) as FaultName[];
const results = names.map((name) => ({ ...faults[name], result: resultOf(name) }));
const ran = results.flatMap(({ result }) => (result ? [result] : []));
const rows = results.map(({ fault, mustHold, result }) => {
  if (!result) return `| ${cell(fault)} | ${cell(mustHold)} | **not run** | |`;
  const figures = Object.entries(result.figures).map(([key, value]) => `${key} ${rounded(value)}`);
  const found = result.error === null ? figures : [...figures, `**${result.error.split('\n')[0]}**`];
  return `| ${cell(fault)} | ${cell(mustHold)} | ${result.held ? 'yes' : '**no**'} | ${cell(found.join('; '))} |`;
});

const days = [...new Set(ran.map(({ at }) => at.slice(0, 10)))].sort();
const seeds = [...new Set(ran.map(({ seed }) => seed))];
const minutes = Math.round(ran.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
const held = ran.filter((result) => result.held).length;
const text = `# Faults

What is done to the engine on purpose, and what was found. \`npm run test:faults\` does all of it and writes this page;
\`npm test\` does a short version of each. The same seed (\`FAULTS_SEED\`, 1 unless given) strikes at the same places. Every
part is real: worker processes that are killed, a Redis server that is, full file systems, Chromium, SMTP. Each acknowledged
job goes into an append-only file and is reconciled with the database at the end.

Last run of each row: ${days.join(' and ')}, Node ${process.versions.node}, ${cpus().length} cores, seed ${seeds.join(', ')}, ${minutes} minutes. ${held} of ${names.length} hold.

| fault | must hold | held | figures |
| --- | --- | --- | --- |
${rows.join('\n')}

Rescue times are those of the usual clocks: a lock lasts 7 s and is looked at every 2.5 s. The rows on schedules set the clocks
of whole processes; the row on the full disk needs root, to make a small file system.
`;
writeFileSync(join(import.meta.dirname, '../docs/faults.md'), text);
