import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cli } from '../support/cli.ts';
import { scratchHome, until } from '../support/home.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const main = join(root, 'dist/main.js');

async function connected() {
  const home = await scratchHome();
  await cli(['client', 'add', '--name', 'Acme Corp'], { home });
  const client = new Client({ name: 'tester', version: '1' });
  const env = { PATH: process.env['PATH'] ?? '', MSP_HOME: home };
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [main, 'mcp'], env, stderr: 'pipe' }),
  );
  onTestFinished(() => client.close());
  const call = async (name: string, args: Record<string, unknown> = {}, options: object = {}) =>
    (await client.callTool({ name, arguments: args }, undefined, options)) as CallToolResult & {
      structuredContent: never;
    };
  await call('device_add', {
    clientId: 'acme-corp',
    name: hostname(),
    type: 'server',
    metadata: { services: ['node'] },
  });
  return { home, client, call };
}

test('the tools are those promised, each with schemas and annotations', async () => {
  const { client } = await connected();
  const { tools } = await client.listTools();
  expect(tools.map((tool) => tool.name)).toEqual([
    'client_list',
    'client_onboard',
    'device_list',
    'device_add',
    'health_check',
    'health_history',
    'alert_list',
    'alert_acknowledge',
    'report_generate',
    'job_list',
    'job_status',
    'job_wait',
    'job_cancel',
    'schedule_list',
    'execute_workflow',
  ]);
  for (const tool of tools) {
    expect(tool.description?.length).toBeGreaterThan(20);
    expect(tool.inputSchema.type).toBe('object');
    expect(tool.outputSchema?.type).toBe('object');
    expect(Object.keys(tool.annotations ?? {})).toEqual(
      expect.arrayContaining(['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']),
    );
  }
  expect(client.getInstructions()).toContain('client_list');
});

test('clients and devices are listed as structure and as text', async () => {
  const { call } = await connected();
  const clients = await call('client_list');
  expect(clients.structuredContent).toMatchObject({ clients: [{ id: 'acme-corp' }] });
  expect(clients.content).toEqual([{ type: 'text', text: expect.stringContaining('acme-corp: Acme Corp') }]);
  expect((await call('device_list', { clientId: 'acme-corp' })).structuredContent).toMatchObject({
    devices: [{ name: hostname() }],
  });
});

test('a check waits with progress and is found again in the history and among the jobs', async () => {
  const { call, home } = await connected();
  const seen: { progress: number; message?: string }[] = [];
  const checked = await call(
    'health_check',
    { clientId: 'acme-corp' },
    { onprogress: (p: { progress: number }) => seen.push(p) },
  );
  expect(checked.isError).toBeFalsy();
  expect(checked.structuredContent).toMatchObject({
    job: { state: 'succeeded' },
    found: { summary: { total: expect.any(Number) } },
  });
  expect(seen.map((p) => p.message)).toContain('recording the results');
  const history = await call('health_history', { clientId: 'acme-corp', check: 'memory' });
  expect(history.structuredContent).toMatchObject({ total: 1, results: [{ check: 'memory' }] });
  const listed = await call('job_list', { type: 'health.check' });
  expect(listed.structuredContent).toMatchObject({
    jobs: [{ requestedBy: 'mcp:tester', state: 'succeeded' }],
  });
  expect((await cli(['job', 'list', '--json'], { home })).json()).toMatchObject([
    { requestedBy: 'mcp:tester' },
  ]);
});

test('a job that is not waited for goes on, and is followed by its id', async () => {
  const { call } = await connected();
  const started = await call('client_onboard', { clientId: 'acme-corp', template: 'basic', wait: false });
  const { job } = started.structuredContent as { job: { id: string; state: string } };
  expect(['pending', 'queued']).toContain(job.state);
  const waited = await call('job_wait', { jobId: job.id });
  expect(waited.structuredContent).toMatchObject({ ended: true, job: { state: 'succeeded' } });
  const status = await call('job_status', { jobId: job.id });
  expect(status.structuredContent).toMatchObject({
    steps: expect.arrayContaining([expect.objectContaining({ name: 'agents', status: 'skipped' })]),
  });
});

test('a job can be cancelled', async () => {
  const { call } = await connected();
  const started = await call('health_check', { clientId: 'acme-corp', wait: false });
  const { job } = started.structuredContent as { job: { id: string } };
  expect((await call('job_cancel', { jobId: job.id })).structuredContent).toMatchObject({
    job: { state: 'cancelled' },
  });
});

test('a caller that gives up a call does not stop the job', async () => {
  const { call } = await connected();
  const controller = new AbortController();
  const calling = call('health_check', { clientId: 'acme-corp' }, { signal: controller.signal }).catch(
    () => 'given up',
  );
  const running = async () => {
    const { structuredContent } = await call('job_list');
    return (structuredContent as { jobs: { id: string; state: string }[] }).jobs.find(
      (job) => job.state === 'running',
    );
  };
  const job = await until('running', running);
  controller.abort();
  expect(await calling).toBe('given up');
  expect((await call('job_wait', { jobId: job.id })).structuredContent).toMatchObject({
    job: { state: 'succeeded' },
  });
});

test('a report comes back as a link that can be read', async () => {
  const { client, call } = await connected();
  const written = await call('report_generate', {
    clientId: 'acme-corp',
    format: 'markdown',
    template: 'health-report',
  });
  const link = written.content.find((part) => part.type === 'resource_link');
  expect(link).toMatchObject({ mimeType: 'text/markdown', uri: expect.stringMatching(/^msp-report:/) });
  const { contents } = await client.readResource({ uri: link?.type === 'resource_link' ? link.uri : '' });
  expect(contents).toMatchObject([
    { mimeType: 'text/markdown', text: expect.stringContaining('# Acme Corp') },
  ]);
});

describe('an error', () => {
  test('has a code and a way out', async () => {
    const { call } = await connected();
    const failed = await call('health_check', { clientId: 'nobody' });
    expect(failed.isError).toBe(true);
    expect(failed.content).toEqual([
      { type: 'text', text: expect.stringMatching(/^CLIENT_NOT_FOUND: .*client list/) },
    ]);
  });

  test('of the input is told too, and the server goes on', async () => {
    const { call } = await connected();
    const failed = await call('health_check', { clientId: 'Not An Id', checks: ['gpu'] });
    expect(failed.isError).toBe(true);
    expect((await call('client_list')).isError).toBeFalsy();
  });
});

test('it works with the command line of the MCP Inspector', async () => {
  const home = await scratchHome();
  await cli(['client', 'add', '--name', 'Acme Corp'], { home });
  const inspect = async (...args: string[]) => {
    const inspector = join(root, 'node_modules/.bin/mcp-inspector');
    const { stdout } = await run(
      inspector,
      ['--cli', process.execPath, main, 'mcp', '-e', `MSP_HOME=${home}`, ...args],
      {
        env: { PATH: process.env['PATH'], HOME: home },
      },
    );
    return JSON.parse(stdout);
  };
  expect((await inspect('--method', 'tools/list')).tools).toHaveLength(15);
  const listed = await inspect('--method', 'tools/call', '--tool-name', 'client_list');
  expect(listed.structuredContent).toMatchObject({ clients: [{ id: 'acme-corp' }] });
});

test('any job type can be started by name, and a wrong name or payload says what there is', async () => {
  const { call } = await connected();
  const checked = await call('execute_workflow', {
    type: 'health.check',
    payload: { clientId: 'acme-corp', checks: ['memory'] },
  });
  expect(checked.structuredContent).toMatchObject({
    job: { type: 'health.check', state: 'succeeded', result: { clientId: 'acme-corp' } },
  });
  const unknown = await call('execute_workflow', { type: 'make.coffee' });
  expect(unknown).toMatchObject({
    isError: true,
    content: [{ text: expect.stringMatching(/JOB_TYPE_UNKNOWN.*Known are: client.onboard, health.check/) }],
  });
  const misfit = await call('execute_workflow', { type: 'health.check', payload: { client: 'acme' } });
  expect(misfit).toMatchObject({
    isError: true,
    content: [{ text: expect.stringMatching(/PAYLOAD_INVALID.*clientId/) }],
  });
});

test('schedules are listed with their next run', async () => {
  const { home, call } = await connected();
  expect((await call('schedule_list')).structuredContent).toEqual({ schedules: [] });
  const payload = JSON.stringify({ clientId: 'acme-corp' });
  await cli(
    [
      'schedule',
      'add',
      '--name',
      'nightly',
      '--cron',
      '0 2 * * *',
      '--job',
      'health.check',
      '--payload',
      payload,
    ],
    { home },
  );
  expect((await call('schedule_list')).structuredContent).toMatchObject({
    schedules: [
      {
        name: 'nightly',
        jobType: 'health.check',
        paused: false,
        nextRunAt: expect.stringMatching(/T02:00:00/),
      },
    ],
  });
});
