import { z } from 'zod';

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

export const onboardingTemplateSchema = z
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
