import { DomainError, type ErrorShape } from '../../domain/errors.ts';
import { isFinal, type Job } from '../../domain/job.ts';
import type { Started } from '../toolkit.ts';
import type { CommandContext } from './context.ts';

async function jobOf(context: CommandContext, id: string): Promise<Job> {
  const { steps: _steps, ...job } = await (await context.toolkit()).jobs.get(id);
  return job;
}

/** Prints the job at once with --no-wait, or follows it to its result and hands that to `finish`. */
export async function withJob<R>(
  context: CommandContext,
  started: Started<R>,
  wait: boolean,
  title: string,
  finish: (result: R, job: Job) => Promise<void>,
): Promise<void> {
  if (!wait) {
    context.output.data(started.job, () => context.output.line(started.job.id));
    context.output.note(
      `It runs as soon as a worker does (msp-toolkit serve). Follow it with: msp-toolkit job wait ${started.job.id}`,
    );
    return;
  }
  const result = await context.follow(started, title);
  await finish(result, await jobOf(context, started.job.id));
}

/** The same for one client or, with --all, at once for every one that is neither inactive nor suspended. */
export async function forClients<R, T>(
  context: CommandContext,
  id: unknown,
  own: { all?: boolean; wait: boolean },
  work: {
    title(clientId: string): string;
    start(clientId: string): Promise<Started<R>>;
    /** Makes of a result what is printed. */
    collect(result: R, job: Job): T | Promise<T>;
    one(item: T): void;
    all(items: T[]): void;
  },
): Promise<void> {
  if (Boolean(id) === Boolean(own.all)) {
    throw new DomainError('USAGE', 'Name one client, or give --all.', {
      hint: 'See the ids with: msp-toolkit client list',
    });
  }
  if (!own.all) {
    const started = await work.start(String(id));
    await withJob(context, started, own.wait, work.title(String(id)), async (result, job) =>
      work.one(await work.collect(result, job)),
    );
    return;
  }
  const all = await (await context.toolkit()).clients.list();
  const resting = all.filter(({ status }) => status === 'inactive' || status === 'suspended');
  const clients = all.filter((client) => !resting.includes(client));
  if (resting.length > 0)
    context.output.note(`Left out: ${resting.map(({ id, status }) => `${id} (${status})`).join(', ')}.`);
  const started = await Promise.all(clients.map((client) => work.start(client.id)));
  if (!own.wait) {
    const jobs = started.map((s) => s.job);
    context.output.data(jobs, () => jobs.forEach((job) => context.output.line(job.id)));
    return;
  }
  // One that fails must not hide what became of the others.
  const outcomes = await Promise.allSettled(
    started.map(async (s) => {
      const result = await s.result({ signal: context.signal });
      return work.collect(result, await jobOf(context, s.job.id));
    }),
  );
  const failed = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  work.all(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])));
  if (failed.length > 1) context.output.note(`${failed.length} of ${outcomes.length} clients failed.`);
  if (failed.length > 0) throw failed[0];
}

/**
 * Waits until a mail has gone out, or until its first try has failed: the next ones may take hours, and go on wherever a
 * worker runs.
 */
export async function mailed(context: CommandContext, jobId: string): Promise<Job> {
  const toolkit = await context.toolkit();
  for (;;) {
    const job = await toolkit.jobs
      .wait(jobId, { signal: context.signal, timeoutMs: 500 })
      .catch((error: unknown) => {
        if (error instanceof DomainError && error.code === 'WAIT_TIMEOUT') return jobOf(context, jobId);
        throw error;
      });
    if (job.state === 'succeeded') return job;
    if (job.error) {
      const error = job.error as ErrorShape;
      const over = isFinal(job.state);
      throw new DomainError(error.code, `The mail has not gone out: ${error.message}`, {
        details: { ...error.details, jobId },
        hint: over
          ? `Once the cause is mended: msp-toolkit job retry ${jobId}`
          : `It is tried again for some hours wherever a worker runs (msp-toolkit serve): msp-toolkit job show ${jobId}`,
      });
    }
  }
}
