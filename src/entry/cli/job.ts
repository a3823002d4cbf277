import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../domain/errors.ts';
import { isFinal, type Job, type JobAttempt, type JobStep, type RetryState } from '../../domain/job.ts';
import { action, interruption, readStdin } from './context.ts';
import { brief } from './client.ts';
import { choices, parseJsonObject, positiveInteger } from './options.ts';
import { type Output, took, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';
import { withJob } from './started.ts';

async function readPayload(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainError('USAGE', `The payload can't be read: ${reason}.`, { details: { file } });
  }
}

function show(output: Output, job: Job & { steps?: JobStep[]; history?: JobAttempt[] }): void {
  output.record([
    ['id', job.id],
    ['type', job.type],
    ['state', job.state],
    ['asked for by', job.requestedBy],
    ['attempts', job.attempts],
    ['progress', job.progress ? `${job.progress.percent} % ${job.progress.message}` : null],
    ['payload', JSON.stringify(job.payload)],
    ['error', job.error ? `${job.error.code}: ${job.error.message}` : null],
    ['created', when(job.createdAt)],
    ['started', when(job.startedAt)],
    ['finished', when(job.finishedAt)],
  ]);
  // One attempt that went well says nothing that is not above.
  if (job.history && (job.history.length > 1 || job.state === 'dead')) {
    output.table(
      ['ATTEMPT', 'WORKER', 'STARTED', 'TOOK', 'ENDED', 'ERROR'],
      job.history.map((a) => [
        a.attempt,
        a.worker,
        whenBriefly(a.startedAt),
        took(a.startedAt, a.endedAt),
        a.outcome ?? 'running',
        a.error ? `${a.error.code}: ${a.error.message}` : '',
      ]),
      '',
    );
  }
  if (job.steps && job.steps.length > 0) {
    output.table(
      ['STEP', 'STATUS', 'STARTED', 'TOOK', 'EVIDENCE'],
      job.steps.map((s) => [
        s.name,
        s.status,
        whenBriefly(s.startedAt),
        took(s.startedAt, s.finishedAt),
        brief(s.evidence),
      ]),
      '',
    );
  }
}

export const register: Register = (program, lifecycle) => {
  const job = program.command('job').description('what was asked for and how it went');

  job
    .command('list')
    .description('list jobs, newest first')
    .addOption(choices('--state <state>', 'only those in this state', 'jobStates'))
    .option('--type <type>', 'only those of this type')
    .option('--client-id <id>', 'only those for this client')
    .option('--limit <n>', 'at most so many', positiveInteger, 50)
    .action(
      action(
        lifecycle,
        async (context, _args, own: { state?: string; type?: string; clientId?: string; limit: number }) => {
          const jobs = await (await context.toolkit()).jobs.list(own);
          context.output.data(jobs, () =>
            context.output.table(
              ['ID', 'TYPE', 'STATE', 'CLIENT', 'TRIES', 'CREATED', 'TOOK'],
              jobs.map((j) => [
                j.id,
                j.type,
                j.state,
                j.clientId,
                j.attempts,
                whenBriefly(j.createdAt),
                took(j.startedAt, j.finishedAt),
              ]),
              'No jobs.',
            ),
          );
        },
      ),
    );

  job
    .command('types')
    .description('list the job types that can be started or scheduled, and what each takes')
    .action(
      action(lifecycle, async (context) => {
        const { jobTypes } = await import('../job-types.ts');
        const types = await jobTypes(await context.toolkit());
        context.output.data(types, () =>
          context.output.table(
            ['TYPE', 'TAKES'],
            types.map(({ type, fields }) => [
              type,
              fields.map(({ name, required }) => (required ? name : `[${name}]`)).join(' '),
            ]),
            '',
          ),
        );
      }),
    );

  job
    .command('start')
    .description('start a job of any type')
    .argument('<type>', 'job type; see: msp-toolkit job types')
    .option('--payload <file>', 'a file that holds a JSON object, or - for standard input')
    .option('--no-wait', 'print the job and return at once')
    .addHelpText(
      'after',
      `
Examples:
  echo '{"clientId":"acme-corp","checks":["disk"]}' | msp-toolkit job start health.check --payload -
  msp-toolkit job start report.generate --payload wish.json --no-wait`,
    )
    .action(
      action(lifecycle, async (context, [type], own: { payload?: string; wait: boolean }) => {
        const toolkit = await context.toolkit();
        const text =
          own.payload === undefined
            ? '{}'
            : own.payload === '-'
              ? await readStdin()
              : await readPayload(own.payload);
        const started = await toolkit.jobs.start(String(type), parseJsonObject(text, 'payload'));
        await withJob(context, started, own.wait, `Running ${String(type)}`, async (_result, ended) => {
          context.output.data(ended, () => {
            show(context.output, ended);
            context.output.line(JSON.stringify(ended.result, null, 2));
          });
        });
      }),
    );

  job
    .command('show')
    .description('show a job with its attempts and steps')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const found = await (await context.toolkit()).jobs.get(String(id));
        context.output.data(found, () => show(context.output, found));
      }),
    );

  job
    .command('wait')
    .description('wait until a job has ended; fails if the job did')
    .argument('<id>')
    .option('--timeout <seconds>', 'give up after so long; the job goes on', positiveInteger)
    .action(
      action(lifecycle, async (context, [id], own: { timeout?: number }) => {
        const toolkit = await context.toolkit();
        const options = {
          signal: context.signal,
          onProgress: ({ percent, message }: { percent: number; message: string }) =>
            context.output.note(`${percent} % ${message}`),
          ...(own.timeout ? { timeoutMs: own.timeout * 1000 } : {}),
        };
        const ended = await toolkit.jobs.wait(String(id), options).catch(async (error: unknown) => {
          throw context.signal.aborted ? interruption(await toolkit.jobs.get(String(id))) : error;
        });
        context.output.data(ended, () => show(context.output, ended));
        if (ended.state !== 'succeeded') {
          throw new DomainError(
            'JOB_FAILED',
            `The job ${ended.id} is ${ended.state}: ${ended.error?.message ?? 'no reason known'}`,
            {
              details: { jobId: ended.id, state: ended.state, cause: ended.error?.code },
              hint: `Run it again with: msp-toolkit job retry ${ended.id}`,
            },
          );
        }
      }),
    );

  job
    .command('cancel')
    .description('stop a job')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const toolkit = await context.toolkit();
        const before = await toolkit.jobs.get(String(id));
        if (isFinal(before.state)) {
          throw new DomainError('JOB_STATE', `The job ${before.id} has ended already: ${before.state}.`, {
            details: { jobId: before.id, state: before.state },
          });
        }
        const cancelled = await toolkit.jobs.cancel(before.id);
        context.output.data(cancelled, () => show(context.output, cancelled));
        if (!isFinal(cancelled.state)) context.output.note('Its worker has been told to stop.');
      }),
    );

  job
    .command('retry')
    .description('run a failed, cancelled or dead job again, or all that fit a filter')
    .argument('[id]')
    .addOption(choices('--state <state>', 'all in this state', 'retryStates'))
    .option('--type <type>', 'of these, only those of this type')
    .option('--client-id <id>', 'of these, only those for this client')
    .option('--dry-run', 'say which, and do nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit job retry --state dead --type report.send --dry-run\n  msp-toolkit job retry --state dead --type report.send',
    )
    .action(
      action(
        lifecycle,
        async (
          context,
          [id],
          own: { state?: RetryState; type?: string; clientId?: string; dryRun?: boolean },
        ) => {
          const { jobs } = await context.toolkit();
          if (Boolean(id) === Boolean(own.state)) {
            throw new DomainError('USAGE', 'Name one job, or give --state.', {
              hint: 'Such as: msp-toolkit job retry --state dead',
            });
          }
          if (!own.state) {
            if (own.dryRun) {
              const found = await jobs.get(String(id));
              context.output.data(found, () => show(context.output, found));
              return;
            }
            const again = await jobs.retry(String(id));
            context.output.data(again, () => show(context.output, again));
            context.output.note(`Wait for it with: msp-toolkit job wait ${again.id}`);
            return;
          }
          const { state, type, clientId } = own;
          const filter = { state, ...(type ? { type } : {}), ...(clientId ? { clientId } : {}) };
          const found = own.dryRun ? await jobs.list({ ...filter, limit: -1 }) : await jobs.retryAll(filter);
          context.output.data(found, () =>
            context.output.table(
              ['ID', 'TYPE', 'CLIENT', 'ERROR'],
              found.map((j) => [j.id, j.type, j.clientId, j.error?.message]),
              'No job fits.',
            ),
          );
          context.output.note(`${found.length} ${own.dryRun ? 'would be' : 'are'} tried again.`);
        },
      ),
    );

  job
    .command('logs')
    .description('show what a job logged')
    .argument('<id>')
    .option('-f, --follow', 'until it has ended; with --json one object a line')
    .action(
      action(lifecycle, async (context, [id], own: { follow?: boolean }) => {
        const toolkit = await context.toolkit();
        const { output } = context;
        if (!own.follow) {
          const logs = (await toolkit.jobs.logs(String(id))).map(({ id: _id, ...log }) => log);
          output.data(logs, () =>
            output.table(
              ['AT', 'TRY', 'LEVEL', 'MESSAGE'],
              logs.map((l) => [when(l.at), l.attempt, l.level, l.message]),
              'Nothing was logged.',
            ),
          );
          return;
        }
        let seen = 0;
        for (;;) {
          const state = (await toolkit.jobs.get(String(id))).state;
          for (const log of await toolkit.jobs.logs(String(id), seen)) {
            seen = log.id;
            const { id: _id, ...line } = log;
            output.line(
              output.json
                ? JSON.stringify(line)
                : `${when(log.at)}  try ${log.attempt}  ${log.level}  ${log.message}`,
            );
          }
          if (isFinal(state)) return;
          await delay(300, undefined, { signal: context.signal });
        }
      }),
    );
};
