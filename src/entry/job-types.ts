import { z } from 'zod';
import type { Toolkit } from './toolkit.ts';

export interface JobTypeInfo {
  type: string;
  fields: { name: string; required: boolean }[];
  /** The payload's JSON schema. */
  payload: Record<string, unknown>;
}

/** What can be started or scheduled, and what it takes, from the schemas of the job types. */
export async function jobTypes(toolkit: Toolkit): Promise<JobTypeInfo[]> {
  const types = await toolkit.jobs.types();
  return types.map(({ type, payload }) => {
    const schema = z.toJSONSchema(payload, { io: 'input', unrepresentable: 'any' }) as {
      properties?: Record<string, unknown>;
      required?: string[];
    };
    const fields = Object.keys(schema.properties ?? {}).map((name) => ({
      name,
      required: schema.required?.includes(name) ?? false,
    }));
    return { type, fields, payload: { ...schema } };
  });
}
