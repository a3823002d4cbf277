import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../domain/errors.ts';
import type { OnboardingTemplates } from '../domain/ports.ts';

const suffix = '.yaml';

/** Onboarding templates as YAML files; the first folder that has one wins. */
export function onboardingTemplates(folders: readonly string[]): OnboardingTemplates {
  async function names(): Promise<string[]> {
    const files = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])));
    return [
      ...new Set(
        files
          .flat()
          .filter((f) => f.endsWith(suffix))
          .map((f) => f.slice(0, -suffix.length)),
      ),
    ].sort();
  }
  return {
    names,
    async read(name) {
      if (!/^[a-z0-9-]{1,100}$/.test(name)) {
        throw new DomainError(
          'TEMPLATE_NOT_FOUND',
          `"${name}" is not a name that an onboarding template can have.`,
          {
            hint: 'Names are made of a-z, 0-9 and -.',
          },
        );
      }
      for (const folder of folders) {
        const path = join(folder, `${name}${suffix}`);
        const text = await readFile(path, 'utf8').catch(() => undefined);
        if (text === undefined) continue;
        const { parseDocument } = await import('yaml');
        const document = parseDocument(text, { prettyErrors: true });
        const problem = document.errors[0];
        if (problem) {
          throw new DomainError(
            'TEMPLATE_INVALID',
            `${path} is not valid YAML: ${problem.message.split('\n')[0]}`,
            {
              details: { path },
            },
          );
        }
        return document.toJS();
      }
      const known = await names();
      throw new DomainError('TEMPLATE_NOT_FOUND', `There is no onboarding template "${name}".`, {
        details: { template: name, known },
        hint: `Known are: ${known.join(', ')}.`,
      });
    },
  };
}
