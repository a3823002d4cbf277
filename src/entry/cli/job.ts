import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../domain/errors.ts';
import { isFinal, type Job, type JobStep } from '../../domain/job.ts';
import { action, interruption } from './context.ts';
import { brief } from './client.ts';
import { choices, positiveInteger } from './options.ts';
import { type Output, took, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';

function show(output: Output, job: Job & { steps?: JobStep[] }): void {
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
    .command('show')
    .description('show a job with its steps')
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
    .description('run a failed, cancelled or dead job again')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const again = await (await context.toolkit()).jobs.retry(String(id));
        context.output.data(again, () => show(context.output, again));
        context.output.note(`Wait for it with: msp-toolkit job wait ${again.id}`);
      }),
    );

  job
    .command('logs')
    .description('show what a job logged')
    .argument('<id>')
    .option('-f, --follow', 'until it has ended')
    .action(
      action(lifecycle, async (context, [id], own: { follow?: boolean }) => {
        const toolkit = await context.toolkit();
        const { output } = context;
        if (output.json || !own.follow) {
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
            output.line(`${when(log.at)}  ${log.level}  ${log.message}`);
          }
          if (isFinal(state)) return;
          await delay(300, undefined, { signal: context.signal });
        }
      }),
    );
};
