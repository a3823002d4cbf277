import { z } from 'zod';
import { DomainError, parseWith } from './errors.ts';
import type { OnboardingTemplates } from './ports.ts';

/** What a step of an onboarding template can do. Each has its code in the onboarding job. */
export const onboardingActions = [
  'verify-record',
  'discover-devices',
  'deploy-agents',
  'security-baseline',
  'baseline-check',
  'verify-backup',
  'baseline-report',
  'activate',
  'punch-list',
] as const;
export type OnboardingAction = (typeof onboardingActions)[number];

const onboardingTemplateSchema = z
  .strictObject({
    name: z.string(),
    title: z.string(),
    description: z.string(),
    steps: z
      .array(z.strictObject({ name: z.string().regex(/^[a-z0-9-]+$/), action: z.enum(onboardingActions) }))
      .min(1),
  })
  .refine((t) => new Set(t.steps.map((s) => s.name)).size === t.steps.length, {
    error: 'step names must differ',
  });

export type OnboardingTemplate = z.infer<typeof onboardingTemplateSchema>;

/** Reads a template and checks it. Throws TEMPLATE_NOT_FOUND or TEMPLATE_INVALID. */
export async function readTemplate(
  templates: OnboardingTemplates,
  name: string,
): Promise<OnboardingTemplate> {
  const what = `onboarding template "${name}"`;
  const template = parseWith(onboardingTemplateSchema, await templates.read(name), what, 'TEMPLATE_INVALID');
  if (template.name !== name) {
    throw new DomainError('TEMPLATE_INVALID', `The ${what} calls itself "${template.name}".`);
  }
  return template;
}
