/**
 * MSP Toolkit from a program: register a client and this machine, check it, and write a report.
 *
 * Run it with: MSP_HOME=$(mktemp -d) node examples/library.ts
 * A program that has installed the package imports from 'msp-toolkit' instead.
 */
import { hostname } from 'node:os';
import { openToolkit } from '../src/entry/toolkit.ts';

const toolkit = await openToolkit({ config: { general: { companyName: 'Example MSP' } } });
try {
  const client = await toolkit.clients.add({ name: 'Library Example Ltd' });
  await toolkit.devices.add({ clientId: client.id, name: hostname(), type: 'server' });

  const check = await toolkit.health.check(client.id, { checks: ['cpu', 'memory', 'disk'] });
  const { status, results } = await check.result({
    onProgress: ({ percent, message }) => console.error(`${percent} % ${message}`),
  });
  console.log(`${client.name} is ${status}:`);
  for (const { check: name, instance, message } of results)
    console.log(`  ${name} ${instance ?? ''} ${message}`);

  const { report } = await (
    await toolkit.reports.generate({ clientId: client.id, format: 'markdown' })
  ).result();
  console.log(report.path);
} finally {
  await toolkit.close();
}
