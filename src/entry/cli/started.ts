import type { Job } from '../../domain/job.ts';
import type { Started } from '../toolkit.ts';
import type { CommandContext } from './context.ts';

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
    context.output.note(`Follow it with: msp-toolkit job wait ${started.job.id}`);
    return;
  }
  const result = await context.follow(started, title);
  const toolkit = await context.toolkit();
  const { steps: _steps, ...job } = await toolkit.jobs.get(started.job.id);
  await finish(result, job);
}
