import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { isFinal, type Job, jobSchema } from '../../domain/job.ts';
import type { Started, Toolkit } from '../toolkit.ts';

/** What a tool's code works with. */
export interface ToolContext {
  toolkit: Toolkit;
  /** Aborted when the caller gives the call up. */
  signal: AbortSignal;
  /** Tells the caller how far it is, if it asked to be told. */
  progress(percent: number, message: string): void;
}

export interface ToolAnswer<O> {
  structured: O;
  /** The same for reading. */
  text: string;
  links?: { uri: string; name: string; mimeType: string }[];
}

export interface Tool<I extends z.ZodRawShape = z.ZodRawShape, O extends z.ZodRawShape = z.ZodRawShape> {
  name: string;
  title: string;
  description: string;
  input: I;
  output: O;
  annotations: {
    readOnlyHint: boolean;
    destructiveHint: boolean;
    idempotentHint: boolean;
    openWorldHint: boolean;
  };
  handle(context: ToolContext, input: z.infer<z.ZodObject<I>>): Promise<ToolAnswer<z.infer<z.ZodObject<O>>>>;
}

/** Declares a tool; its file and one line in tools/index.ts are all it takes. */
export function defineTool<I extends z.ZodRawShape, O extends z.ZodRawShape>(
  spec: Omit<Tool<I, O>, 'handle'>,
  handle: Tool<I, O>['handle'],
): Tool<I, O> {
  return { ...spec, handle };
}

export const reads = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
export const adds = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};

/** Inputs of every tool that starts work. */
export const waitInput = {
  wait: z.boolean().default(true).describe('Wait for the result; the job goes on in any case.'),
  timeoutSeconds: z.int().min(1).max(600).default(120).describe('How long to wait at most.'),
};

export const jobOutput = jobSchema.describe(
  'The job that does the work; ask job_status or job_wait for it later.',
);

/** Waits as the caller wishes. Answers with the job as it then is, ended or not. */
export async function awaitJob(
  context: ToolContext,
  started: Pick<Started<unknown>, 'job' | 'done'>,
  wish: { wait: boolean; timeoutSeconds: number },
): Promise<Job> {
  if (!wish.wait) return started.job;
  try {
    return await started.done({
      timeoutMs: wish.timeoutSeconds * 1000,
      signal: context.signal,
      onProgress: ({ percent, message }) => context.progress(percent, message),
    });
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'WAIT_TIMEOUT') throw error;
    const { steps: _steps, ...job } = await context.toolkit.jobs.get(started.job.id);
    return job;
  }
}

/** Throws what made the job fail, if it has failed. */
export function assertNotFailed(job: Job): void {
  if (!isFinal(job.state) || job.state === 'succeeded') return;
  const error = job.error;
  throw new DomainError(
    job.state === 'cancelled' ? 'JOB_CANCELLED' : 'JOB_FAILED',
    error?.message ?? `The job is ${job.state}.`,
    {
      details: { jobId: job.id, state: job.state, cause: error?.code },
      hint: error?.hint ?? `Ask job_status for ${job.id}.`,
    },
  );
}

export function stateLine(job: Job): string {
  return `Job ${job.id} (${job.type}) is ${job.state}.`;
}
